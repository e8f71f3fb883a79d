// Convolutions and poolings. What has one spatial axis is an image of one row here.
#include "ops/conv/conv.h"
#include "writers/coreml/nn.h"

#include <string.h>

// ---- images -------------------------------------------------------------------------------------

// (N,C,L) as (N,C,1,L); anything else as it is.
static const char *as_image(rml_net_emitter *e, const char *x, int axes)
{
    if (axes != 1)
        return x;
    const char *image = rml_net_between(e);
    rml_net_one(e, RML_NET_EXPAND_DIMS, x, image);
    rml_fields_ints(&e->m, 1, (const int64_t[]){2}, 1);
    rml_net_end(e);
    return image;
}

// Where a layer on images writes to, and the way from there to `out`.
static const char *image_out(rml_net_emitter *e, const char *out, int axes)
{
    return axes == 1 ? rml_net_between(e) : out;
}

static void from_image(rml_net_emitter *e, const char *image, const char *out, int axes)
{
    if (axes != 1)
        return;
    rml_net_one(e, RML_NET_SQUEEZE, image, out);
    rml_fields_ints(&e->m, 1, (const int64_t[]){2}, 1);
    rml_net_end(e);
}

// Sizes of height and width, `fill` for the height of what has one axis.
static void write_pair(rml_net_emitter *e, uint32_t field, const int64_t *sizes, int axes,
                       int64_t fill)
{
    const int64_t pair[] = {axes == 1 ? fill : sizes[0], sizes[axes - 1]};
    rml_fields_ints(&e->m, field, pair, 2);
}

static void write_edges(rml_net_emitter *e, uint32_t field, const int64_t *before,
                        const int64_t *after, int axes)
{
    rml_fields_begin(&e->m, field);
    for (int i = 0; i < 2; i++) {
        const int axis = axes == 1 ? i - 1 : i;
        rml_fields_begin(&e->m, 10);
        rml_net_int(e, 1, axis < 0 ? 0 : before[axis]);
        rml_net_int(e, 2, axis < 0 ? 0 : after[axis]);
        rml_fields_end(&e->m);
    }
    rml_fields_end(&e->m);
}

static void write_valid(rml_net_emitter *e, uint32_t field, const int64_t *before,
                        const int64_t *after, int axes)
{
    rml_fields_begin(&e->m, field);
    write_edges(e, 1, before, after, axes);
    rml_fields_end(&e->m);
}

static bool is_same(rml_auto_pad pad)
{
    return pad == RML_AUTO_PAD_SAME_UPPER || pad == RML_AUTO_PAD_SAME_LOWER;
}

// ---- convolution --------------------------------------------------------------------------------

static const char *lacks_conv(const rml_net_node *n)
{
    const rml_conv_attr *conv = &n->attr->conv;
    const int rank = n->graph->values[n->node->in[0]].shape.rank;
    if (!rml_activation_is_none(&conv->act))
        return "an activation inside";
    if (conv->twice || rml_input_given(n->node, 3))
        return "a form for speed alone";
    if (rank < 3 || rank > 5)
        return "images of this number of dimensions";
    for (int i = 1; i < 3; i++)
        if (rml_input_given(n->node, i) &&
            n->graph->values[n->node->in[i]].kind != RML_VALUE_CONSTANT)
            return "weights that are computed";
    return NULL;
}

static void write_weights(rml_net_emitter *e, uint32_t weight, uint32_t bias)
{
    const bool transposed = e->node->op == RML_OP_CONV_TRANSPOSE;
    const rml_shape *shape = rml_net_shape(e, 1);
    const int axis = transposed ? 1 : 0;
    size_t count, inner = 1;
    for (int i = axis + 1; i < shape->rank; i++)
        inner *= (size_t)shape->dim[i];
    const float *numbers = rml_net_numbers(e, e->node->in[1], &count);
    const bool apart = !transposed || e->node->attr.conv.groups == 1; // which channel is whose
    rml_net_weights(e, weight, numbers, count, apart ? (size_t)shape->dim[axis] : 1, inner);
    if (!rml_input_given(e->node, 2))
        return;
    numbers = rml_net_numbers(e, e->node->in[2], &count);
    rml_net_vector(e, bias, numbers, count, false);
}

static void write_volume_padding(rml_net_emitter *e, uint32_t first, const rml_window *w)
{
    for (uint32_t i = 0; i < 3; i++) {
        rml_net_int(e, first + 2 * i, w->before[i]);
        rml_net_int(e, first + 2 * i + 1, w->after[i]);
    }
}

// A transposed one, whose output is `size`, has its weights as coremltools writes them, inputs
// first; others have no `size`.
static void emit_volume_conv(rml_net_emitter *e, const rml_node *node, const rml_window *w,
                             const int64_t *size)
{
    const rml_shape *shape = rml_net_shape(e, 1);
    const int64_t groups = node->attr.conv.groups;
    rml_net_needs(e, 5);
    rml_net_one(e, RML_NET_CONVOLUTION_3D, rml_net_in(e, 0), rml_net_out(e, 0));
    rml_fields_int(&e->m, 1, size ? shape->dim[1] * groups : shape->dim[0]);
    rml_fields_int(&e->m, 2, size ? shape->dim[0] : shape->dim[1] * groups);
    rml_fields_int(&e->m, 10, groups);
    for (uint32_t i = 0; i < 3; i++)
        rml_fields_int(&e->m, 20 + i, w->kernel[i]);
    for (uint32_t i = 0; i < 3; i++)
        rml_fields_int(&e->m, 31 + i, w->stride[i]);
    for (uint32_t i = 0; i < 3; i++)
        rml_fields_int(&e->m, 40 + i, w->dilation[i]);
    rml_net_int(e, 50, rml_input_given(node, 2));
    write_weights(e, 60, 61);
    write_volume_padding(e, 80, w);
    rml_net_int(e, 86, size != NULL);
    if (size && size[0] >= 0 && size[1] >= 0 && size[2] >= 0)
        rml_fields_ints(&e->m, 87, size, 3);
    rml_net_end(e);
}

static void emit_conv(rml_net_emitter *e, const rml_node *node)
{
    const rml_conv_attr *conv = &node->attr.conv;
    const rml_shape *shape = rml_net_shape(e, 1);
    rml_window w;
    if (!rml_graph_window(e->graph, node, &w)) {
        rml_net_fail(e, RML_ERR_UNSUPPORTED, "%s: its window is not known", node->name);
        return;
    }
    if (w.rank == 3) {
        emit_volume_conv(e, node, &w, NULL);
        return;
    }
    const char *x = as_image(e, rml_net_in(e, 0), w.rank);
    const char *out = image_out(e, rml_net_out(e, 0), w.rank);
    rml_net_one(e, RML_NET_CONVOLUTION, x, out);
    rml_fields_int(&e->m, 1, shape->dim[0]);
    rml_fields_int(&e->m, 2, shape->dim[1]);
    rml_fields_int(&e->m, 10, conv->groups);
    write_pair(e, 20, w.kernel, w.rank, 1);
    write_pair(e, 30, w.stride, w.rank, 1);
    write_pair(e, 40, w.dilation, w.rank, 1);
    if (is_same(conv->window.auto_pad) && w.in[w.rank - 1] < 0) {
        rml_fields_begin(&e->m, 51);
        rml_net_int(e, 1, conv->window.auto_pad == RML_AUTO_PAD_SAME_LOWER);
        rml_fields_end(&e->m);
    } else {
        write_valid(e, 50, w.before, w.after, w.rank);
    }
    rml_net_int(e, 70, rml_input_given(node, 2));
    write_weights(e, 90, 91);
    rml_net_end(e);
    from_image(e, out, rml_net_out(e, 0), w.rank);
}

// What is left of the whole, (in - 1) * stride + span, behind what is cut off in front. A last part
// that no window reaches cannot be had.
static bool cut_behind(const rml_conv_attr *conv, const rml_window *w, int64_t *after)
{
    for (int i = 0; i < w->rank; i++) {
        const int64_t whole = (w->in[i] - 1) * w->stride[i] + rml_window_span(w, i);
        after[i] = w->in[i] < 0 ? w->after[i] - conv->out_pad[i] : whole - w->before[i] - w->out[i];
        if (after[i] < 0)
            return false;
    }
    return true;
}

static const char *lacks_conv_transpose(const rml_net_node *n)
{
    const rml_graph *graph = n->graph;
    int64_t after[RML_MAX_SPATIAL];
    rml_window w;
    const char *why = lacks_conv(n);
    if (why)
        return why;
    if (rml_conv_transpose_make(&n->attr->conv, &graph->values[n->node->in[0]].shape,
                                &graph->values[n->node->in[1]].shape, &w, NULL) != RML_OK)
        return "its window is not known";
    if (!cut_behind(&n->attr->conv, &w, after))
        return "an output that is padded further than its windows reach";
    for (int i = 0; i < w.rank; i++)
        if (w.in[i] < 0 && (n->attr->conv.window.auto_pad || n->attr->conv.out_size[i]))
            return "padding that depends on a size that may change";
    return NULL;
}

// With output padding: the whole, then a crop, as converters write it.
static void emit_conv_transpose(rml_net_emitter *e, const rml_node *node)
{
    const rml_conv_attr *conv = &node->attr.conv;
    const rml_shape *shape = rml_net_shape(e, 1);
    const int64_t zeros[2] = {0, 0};
    int64_t after[RML_MAX_SPATIAL] = {0}, size[RML_MAX_SPATIAL];
    rml_window w;
    if (rml_conv_transpose_make(conv, rml_net_shape(e, 0), shape, &w, e->err) != RML_OK ||
        !cut_behind(conv, &w, after)) {
        rml_net_fail(e, RML_ERR_UNSUPPORTED, "%s: its window is not known", node->name);
        return;
    }
    if (w.rank == 3) {
        memcpy(w.after, after, sizeof after);
        emit_volume_conv(e, node, &w, w.out);
        return;
    }
    const bool crops = w.before[0] != after[0] || w.before[w.rank - 1] != after[w.rank - 1];
    for (int i = 0; i < w.rank; i++)
        size[i] = crops ? w.out[i] + w.before[i] + after[i] : w.out[i];
    const char *x = as_image(e, rml_net_in(e, 0), w.rank);
    const char *out = image_out(e, rml_net_out(e, 0), w.rank);
    const char *whole = crops ? rml_net_between(e) : out;
    rml_net_one(e, RML_NET_CONVOLUTION, x, whole);
    rml_fields_int(&e->m, 1, shape->dim[1] * conv->groups);
    rml_fields_int(&e->m, 2, shape->dim[0]);
    rml_fields_int(&e->m, 10, conv->groups);
    write_pair(e, 20, w.kernel, w.rank, 1);
    write_pair(e, 30, w.stride, w.rank, 1);
    write_pair(e, 40, w.dilation, w.rank, 1);
    write_valid(e, 50, crops ? zeros : w.before, crops ? zeros : after, w.rank);
    rml_fields_int(&e->m, 60, 1);
    rml_net_int(e, 70, rml_input_given(node, 2));
    write_weights(e, 90, 91);
    if (w.in[0] >= 0 && w.in[w.rank - 1] >= 0)
        write_pair(e, 100, size, w.rank, 1);
    rml_net_end(e);
    if (crops) {
        rml_net_one(e, RML_NET_CROP, whole, out);
        write_edges(e, 1, w.before, after, w.rank);
        rml_net_end(e);
    }
    from_image(e, out, rml_net_out(e, 0), w.rank);
}

// ---- pooling ------------------------------------------------------------------------------------

// A last window that is not whole: padding behind, until it is. False: it counts cells that are
// nowhere, or sizes that may change.
static bool lengthen(const rml_pool_attr *pool, rml_window *w)
{
    for (int i = 0; i < w->rank; i++) {
        if (w->in[i] < 0 && (pool->window.ceil_mode || is_same(pool->window.auto_pad)))
            return false;
        const int64_t reach = (w->out[i] - 1) * w->stride[i] + rml_window_span(w, i);
        const int64_t after = reach - w->in[i] - w->before[i];
        if (w->in[i] < 0 || after <= w->after[i])
            continue;
        if (pool->kind == RML_POOL_AVERAGE && pool->count_pad)
            return false;
        w->after[i] = after;
    }
    return true;
}

static const char *lacks_pool(const rml_net_node *n)
{
    const rml_pool_attr *pool = &n->attr->pool;
    const rml_shape *x = &n->graph->values[n->node->in[0]].shape;
    rml_window w;
    if (pool->indices)
        return "places of the largest elements";
    if (pool->kind == RML_POOL_LP && (pool->p != 2 || x->rank == 5))
        return "this norm";
    if (x->rank < 3 || x->rank > 5)
        return "images of this number of dimensions";
    if (pool->global)
        return NULL;
    if (rml_window_make(&pool->window, x, NULL, &w, NULL) != RML_OK)
        return "its window is not known";
    for (int i = 0; i < w.rank; i++)
        if (w.dilation[i] != 1)
            return "windows with gaps";
    return lengthen(pool, &w) ? NULL : "a last window that is not whole";
}

static void emit_volume_pool(rml_net_emitter *e, const rml_pool_attr *pool, const rml_window *w)
{
    rml_net_needs(e, 5);
    rml_net_one(e, pool->global ? RML_NET_GLOBAL_POOLING_3D : RML_NET_POOLING_3D, rml_net_in(e, 0),
                rml_net_out(e, 0));
    rml_net_int(e, 1, pool->kind == RML_POOL_AVERAGE);
    for (uint32_t i = 0; i < 3 && !pool->global; i++)
        rml_fields_int(&e->m, 2 + i, w->kernel[i]);
    for (uint32_t i = 0; i < 3 && !pool->global; i++)
        rml_fields_int(&e->m, 5 + i, w->stride[i]);
    if (!pool->global) {
        write_volume_padding(e, 8, w);
        rml_net_int(e, 14, !pool->count_pad);
    }
    rml_net_end(e);
}

static void emit_pool(rml_net_emitter *e, const rml_node *node)
{
    static const int types[] = {[RML_POOL_MAX] = 0, [RML_POOL_AVERAGE] = 1, [RML_POOL_LP] = 2};
    const rml_pool_attr *pool = &node->attr.pool;
    rml_window w = {.rank = rml_net_shape(e, 0)->rank - 2};
    if (!pool->global)
        rml_window_make(&pool->window, rml_net_shape(e, 0), NULL, &w, NULL); // `lacks` has seen it
    for (int i = 0; i < w.rank && pool->global; i++)
        w.kernel[i] = w.stride[i] = 1;
    if (!pool->global)
        lengthen(pool, &w);
    if (w.rank == 3) {
        emit_volume_pool(e, pool, &w);
        return;
    }
    const char *x = as_image(e, rml_net_in(e, 0), w.rank);
    const char *out = image_out(e, rml_net_out(e, 0), w.rank);
    rml_net_one(e, RML_NET_POOLING, x, out);
    rml_net_int(e, 1, types[pool->kind]);
    write_pair(e, 10, w.kernel, w.rank, 1);
    write_pair(e, 20, w.stride, w.rank, 1);
    write_valid(e, 30, w.before, w.after, w.rank);
    rml_net_int(e, 50, pool->kind == RML_POOL_AVERAGE && !pool->count_pad);
    rml_net_int(e, 60, pool->global);
    rml_net_end(e);
    from_image(e, out, rml_net_out(e, 0), w.rank);
}

const rml_net_rule rml_net_image_rules[] = {
    {RML_OP_CONV, lacks_conv, emit_conv},
    {RML_OP_CONV_TRANSPOSE, lacks_conv_transpose, emit_conv_transpose},
    {RML_OP_POOL, lacks_pool, emit_pool},
    {RML_OP_COUNT, NULL, NULL},
};
