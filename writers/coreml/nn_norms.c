// Normalisations.
#include "writers/coreml/nn.h"

enum { RSQRT = 1 }; // of the unary layer

static bool is_constant(const rml_graph *graph, const rml_node *node, int input)
{
    return !rml_input_given(node, input) ||
           graph->values[node->in[input]].kind == RML_VALUE_CONSTANT;
}

static const char *lacks_vectors(const rml_net_node *n)
{
    for (int i = 1; i < n->node->in_count; i++)
        if (!is_constant(n->graph, n->node, i))
            return "weights that are computed";
    return NULL;
}

// Numbers of a vector for each of `count` channels: its own, those of a group each, or `fill`.
static const float *for_channels(rml_net_emitter *e, int input, size_t count, float fill)
{
    size_t have = 0;
    const float *own =
        rml_input_given(e->node, input) ? rml_net_numbers(e, e->node->in[input], &have) : NULL;
    if (own && have == count)
        return own;
    float *numbers = rml_net_alloc(e, count);
    for (size_t i = 0; numbers && i < count; i++)
        numbers[i] = own && have ? own[i / (count / have)] : fill;
    return numbers;
}

// (N,C,...) as (N,C,H,W), and back.
static rml_shape image_shape(const rml_shape *shape)
{
    rml_shape image = {4, {shape->dim[0], shape->dim[1], 1, 1}};
    for (int i = 2; i < shape->rank; i++)
        image.dim[2] = shape->dim[i] < 0 || image.dim[2] < 0 ? -1 : image.dim[2] * shape->dim[i];
    return image;
}

static const char *as_image(rml_net_emitter *e)
{
    const rml_shape *shape = rml_net_shape(e, 0);
    if (shape->rank == 4)
        return rml_net_in(e, 0);
    const rml_shape image = image_shape(shape);
    const char *out = rml_net_between(e);
    rml_net_reshape(e, rml_net_in(e, 0), &image, out);
    return out;
}

static const char *image_out(rml_net_emitter *e)
{
    return rml_net_shape(e, 0)->rank == 4 ? rml_net_out(e, 0) : rml_net_between(e);
}

static void from_image(rml_net_emitter *e, const char *image)
{
    if (rml_net_shape(e, 0)->rank != 4)
        rml_net_reshape(e, image, rml_net_out_shape(e, 0), rml_net_out(e, 0));
}

// ---- batch, instance and group norm -------------------------------------------------------------

static const char *lacks_batch_norm(const rml_net_node *n)
{
    return n->out.shape.rank < 2 ? "a value without channels" : lacks_vectors(n);
}

static void emit_batch_norm(rml_net_emitter *e, const rml_node *node)
{
    const size_t channels = (size_t)rml_net_shape(e, 1)->dim[0];
    const char *x = as_image(e), *out = image_out(e);
    rml_net_one(e, RML_NET_BATCHNORM, x, out);
    rml_fields_int(&e->m, 1, (int64_t)channels);
    rml_fields_float(&e->m, 10, node->attr.batch_norm.eps);
    for (int i = 0; i < 4; i++)
        rml_net_vector(e, (uint32_t)(15 + i), for_channels(e, 1 + i, channels, 0), channels, false);
    rml_net_end(e);
    from_image(e, out);
}

static const char *lacks_group_norm(const rml_net_node *n)
{
    const rml_shape *x = &n->graph->values[n->node->in[0]].shape;
    if (!rml_activation_is_none(&n->attr->group_norm.act))
        return "an activation inside";
    if (rml_input_given(n->node, 3))
        return "an offset inside";
    if (x->rank < 3 || x->dim[1] < 1)
        return "a value without channels";
    return lacks_vectors(n);
}

static void emit_instance_norm(rml_net_emitter *e, const rml_node *node, size_t channels)
{
    const char *x = as_image(e), *out = image_out(e);
    rml_net_one(e, RML_NET_BATCHNORM, x, out);
    rml_fields_int(&e->m, 1, (int64_t)channels);
    rml_fields_int(&e->m, 5, 1);
    rml_fields_int(&e->m, 6, 1);
    rml_fields_float(&e->m, 10, node->attr.group_norm.eps);
    rml_net_vector(e, 15, for_channels(e, 1, channels, 1), channels, false);
    rml_net_vector(e, 16, for_channels(e, 2, channels, 0), channels, false);
    rml_net_end(e);
    from_image(e, out);
}

// A group as an image of one row, whose mean and variance are taken; then the channels' numbers.
static void emit_group_norm(rml_net_emitter *e, const rml_node *node)
{
    const rml_group_norm_attr *norm = &node->attr.group_norm;
    const rml_shape *shape = rml_net_shape(e, 0), image = image_shape(shape);
    const int64_t channels = shape->dim[1], groups = norm->groups ? norm->groups : channels;
    if (groups == channels) {
        emit_instance_norm(e, node, (size_t)channels);
        return;
    }
    const rml_shape rows = {4,
                            {shape->dim[0], groups,
                             image.dim[2] < 0 ? -1 : channels / groups * image.dim[2],
                             image.dim[3]}};
    const char *row = rml_net_between(e), *even = rml_net_between(e), *back = rml_net_between(e);
    const char *out = image_out(e);
    rml_net_reshape(e, rml_net_in(e, 0), &rows, row);
    rml_net_one(e, RML_NET_MVN, row, even);
    rml_fields_int(&e->m, 2, 1);
    rml_fields_float(&e->m, 3, norm->eps);
    rml_net_end(e);
    rml_net_reshape(e, even, shape->rank == 4 ? shape : &image, back);
    rml_net_one(e, RML_NET_SCALE, back, out);
    rml_fields_ints(&e->m, 1, (const int64_t[]){channels, 1, 1}, 3);
    rml_net_vector(e, 2, for_channels(e, 1, (size_t)channels, 1), (size_t)channels, false);
    rml_fields_int(&e->m, 3, 1);
    rml_fields_ints(&e->m, 4, (const int64_t[]){channels, 1, 1}, 3);
    rml_net_vector(e, 5, for_channels(e, 2, (size_t)channels, 0), (size_t)channels, false);
    rml_net_end(e);
    from_image(e, out);
}

// ---- layer norm ---------------------------------------------------------------------------------

// Over the last dimensions of `shape` from `axis` on.
static void layer_norm(rml_net_emitter *e, const char *x, const rml_shape *shape, int axis,
                       const char *out)
{
    size_t count = 1;
    for (int i = axis; i < shape->rank; i++)
        count *= (size_t)shape->dim[i];
    rml_net_one(e, RML_NET_LAYER_NORM, x, out);
    rml_fields_ints(&e->m, 1, shape->dim + axis, (size_t)(shape->rank - axis));
    rml_fields_float(&e->m, 2, e->node->attr.layer_norm.eps);
    rml_net_vector(e, 3, for_channels(e, 1, count, 1), count, false);
    rml_net_vector(e, 4, for_channels(e, 2, count, 0), count, false);
    rml_net_end(e);
}

static int first_axis(const rml_layer_norm_attr *norm, int rank)
{
    return norm->axis < 0 ? norm->axis + rank : norm->axis;
}

static const char *lacks_layer_norm(const rml_net_node *n)
{
    const rml_layer_norm_attr *norm = &n->attr->layer_norm;
    const rml_shape *x = &n->graph->values[n->node->in[0]].shape;
    size_t wanted = 1, have;
    if (norm->moments)
        return "moments as outputs";
    for (int i = first_axis(norm, x->rank); i < x->rank; i++) {
        if (x->dim[i] < 1)
            return "a size that may change";
        wanted *= (size_t)x->dim[i];
    }
    for (int i = 1; i < 3 && !norm->rms; i++)
        if (rml_input_given(n->node, i) &&
            (!rml_shape_count(&n->graph->values[n->node->in[i]].shape, &have) || have != wanted))
            return "weights that are broadcast";
    return norm->rms ? NULL : lacks_vectors(n);
}

// x / sqrt(mean of x^2 + eps) * gamma + beta
static void emit_rms_norm(rml_net_emitter *e, const rml_node *node)
{
    const int rank = rml_net_shape(e, 0)->rank, first = first_axis(&node->attr.layer_norm, rank);
    const char *x = rml_net_in(e, 0), *square = rml_net_between(e), *mean = rml_net_between(e);
    const char *factor = rml_net_between(e), *now = x;
    int64_t axes[RML_MAX_RANK];
    for (int i = first; i < rank; i++)
        axes[i - first] = i - rank;
    rml_net_binary(e, RML_NET_MULTIPLY, x, x, square);
    rml_net_one(e, RML_NET_REDUCE_MEAN, square, mean);
    rml_fields_ints(&e->m, 1, axes, (size_t)(rank - first));
    rml_fields_int(&e->m, 2, 1);
    rml_net_end(e);
    rml_net_unary(e, RSQRT, mean, 0, node->attr.layer_norm.eps, factor);
    const bool scales = rml_input_given(node, 1), adds = rml_input_given(node, 2);
    const char *even = scales || adds ? rml_net_between(e) : rml_net_out(e, 0);
    rml_net_binary(e, RML_NET_MULTIPLY, now, factor, even);
    now = even;
    if (scales) {
        const char *scaled = adds ? rml_net_between(e) : rml_net_out(e, 0);
        rml_net_binary(e, RML_NET_MULTIPLY, now, rml_net_in(e, 1), scaled);
        now = scaled;
    }
    if (adds)
        rml_net_binary(e, RML_NET_ADD, now, rml_net_in(e, 2), rml_net_out(e, 0));
}

static void emit_layer_norm(rml_net_emitter *e, const rml_node *node)
{
    const rml_shape *shape = rml_net_shape(e, 0);
    if (node->attr.layer_norm.rms)
        emit_rms_norm(e, node);
    else
        layer_norm(e, rml_net_in(e, 0), shape, first_axis(&node->attr.layer_norm, shape->rank),
                   rml_net_out(e, 0));
}

static const char *lacks_channel_norm(const rml_net_node *n)
{
    if (n->attr->layer_norm.rms || n->attr->layer_norm.moments ||
        n->graph->values[n->node->in[0]].shape.dim[1] < 1)
        return "this form of the norm";
    return lacks_vectors(n);
}

// Over the channels, which are brought to the end.
static void emit_channel_norm(rml_net_emitter *e, const rml_node *node)
{
    static const int to_end[] = {0, 2, 3, 1}, back[] = {0, 3, 1, 2};
    const rml_shape *shape = rml_net_shape(e, 0);
    const rml_shape turned = {4, {shape->dim[0], shape->dim[2], shape->dim[3], shape->dim[1]}};
    const char *last = rml_net_between(e), *even = rml_net_between(e);
    (void)node;
    rml_net_transpose(e, rml_net_in(e, 0), to_end, 4, last);
    layer_norm(e, last, &turned, 3, even);
    rml_net_transpose(e, even, back, 4, rml_net_out(e, 0));
}

// ---- others -------------------------------------------------------------------------------------

static const char *lacks_lrn(const rml_net_node *n)
{
    return n->out.shape.rank != 4 || n->attr->lrn.bias == 0 ? "this form of the norm" : NULL;
}

static void emit_lrn(rml_net_emitter *e, const rml_node *node)
{
    const rml_lrn_attr *lrn = &node->attr.lrn;
    rml_net_one(e, RML_NET_LRN, rml_net_in(e, 0), rml_net_out(e, 0));
    rml_fields_float(&e->m, 1, lrn->alpha);
    rml_fields_float(&e->m, 2, lrn->beta);
    rml_fields_int(&e->m, 3, lrn->size);
    rml_fields_float(&e->m, 4, lrn->bias);
    rml_net_end(e);
}

// x / (root of the sum of squares over the channels + eps) * scale
static void emit_l2norm(rml_net_emitter *e, const rml_node *node)
{
    const bool scales = rml_input_given(node, 1);
    const char *x = rml_net_in(e, 0), *length = rml_net_between(e), *safe = rml_net_between(e);
    const char *even = scales ? rml_net_between(e) : rml_net_out(e, 0);
    rml_net_one(e, RML_NET_REDUCE_L2, x, length);
    rml_fields_ints(&e->m, 1, (const int64_t[]){1}, 1);
    rml_fields_int(&e->m, 2, 1);
    rml_net_end(e);
    rml_net_linear(e, length, 1, node->attr.l2norm.eps, safe);
    rml_net_binary(e, RML_NET_DIVIDE, x, safe, even);
    if (!scales)
        return;
    const size_t channels = (size_t)rml_net_shape(e, 1)->dim[0];
    rml_net_one(e, RML_NET_SCALE, even, rml_net_out(e, 0));
    rml_fields_ints(&e->m, 1, (const int64_t[]){(int64_t)channels, 1, 1}, 3);
    rml_net_vector(e, 2, for_channels(e, 1, channels, 1), channels, false);
    rml_net_end(e);
}

const rml_net_rule rml_net_norm_rules[] = {
    {RML_OP_BATCH_NORM, lacks_batch_norm, emit_batch_norm},
    {RML_OP_GROUP_NORM, lacks_group_norm, emit_group_norm},
    {RML_OP_LAYER_NORM, lacks_layer_norm, emit_layer_norm},
    {RML_OP_CHANNEL_NORM, lacks_channel_norm, emit_channel_norm},
    {RML_OP_LRN, lacks_lrn, emit_lrn},
    {RML_OP_L2NORM, lacks_vectors, emit_l2norm},
    {RML_OP_COUNT, NULL, NULL},
};
