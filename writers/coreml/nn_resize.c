// Resizing, and blocks of pixels that become channels. What no layer of resizing does is a choice
// of rows and columns, or a product with a matrix of weights along each axis.
#include "ops/image/resize.h"
#include "writers/coreml/nn.h"

#include <string.h>

#define MOST_WEIGHTS ((size_t)1 << 24) // of a matrix that resizes

enum { MOST_INPUTS = 5 };

// What becomes of each axis; false where only a run tells.
static bool plan_of(const rml_graph *graph, const rml_node *node, const rml_shape *out,
                    rml_resize_plan *plan)
{
    rml_tensor in[MOST_INPUTS], result;
    if (!rml_shape_known(&graph->values[node->in[0]].shape) || !rml_shape_known(out))
        return false;
    for (int i = 0; i < node->in_count && i < MOST_INPUTS; i++) {
        const rml_fact fact = rml_net_fact(graph, node, i);
        size_t count = 0;
        in[i] = rml_tensor_make((void *)fact.data, &fact.shape, RML_LAYOUT_PLAIN);
        in[i].dtype = fact.dtype;
        in[i].rank = fact.shape.rank;
        if (i > 0 && i < 4 && fact.shape.rank >= 0 && rml_shape_count(&fact.shape, &count) &&
            count > 0 && !fact.data)
            return false;
    }
    result = rml_tensor_make(NULL, out, RML_LAYOUT_PLAIN);
    const rml_op_args args = {
        .attr = &node->attr, .in = in, .in_count = node->in_count, .out = &result};
    *plan = rml_resize_plan_of(&args);
    return true;
}

static const char *lacks_resize(const rml_net_node *n)
{
    const rml_resize_attr *attr = &n->attr->resize;
    rml_resize_plan plan;
    if (!plan_of(n->graph, n->node, &n->out.shape, &plan))
        return "sizes that may change";
    if (attr->coordinates == RML_COORDINATES_CROP &&
        (attr->mode == RML_INTERPOLATION_NEAREST || attr->extrapolation != 0))
        return "a value outside the image";
    for (int i = 0; i < plan.rank; i++) {
        const rml_resize_axis *axis = &plan.axis[i];
        if (axis->in < 1 || axis->out < 1 || (size_t)axis->in > MOST_WEIGHTS / (size_t)axis->out)
            return "images of this size";
        if (attr->mode != RML_INTERPOLATION_NEAREST && i < plan.rank - 2 &&
            !rml_resize_axis_is_same(attr, axis))
            return "resizing of other axes than the last two";
    }
    return NULL;
}

// ---- nearest ------------------------------------------------------------------------------------

// Whether every element is repeated `times` times.
static bool repeats(const rml_resize_attr *attr, const rml_resize_axis *axis, int64_t *times)
{
    *times = axis->out / axis->in;
    if (*times < 1 || *times * axis->in != axis->out)
        return false;
    for (int64_t i = 0; i < axis->out && !rml_resize_axis_is_same(attr, axis); i++)
        if (rml_resize_nearest(attr, axis, i) != i / *times)
            return false;
    return true;
}

static const char *gather_rows(rml_net_emitter *e, const char *x, const rml_resize_axis *axis,
                               int number, const char *out)
{
    float *places = rml_net_alloc(e, (size_t)axis->out);
    for (int64_t i = 0; places && i < axis->out; i++)
        places[i] = (float)rml_resize_nearest(&e->node->attr.resize, axis, i);
    const rml_shape shape = {1, {axis->out}};
    const char *const in[] = {x, rml_net_load(e, places, &shape, true)};
    rml_net_layer(e, RML_NET_GATHER, in, 2, &out, 1);
    rml_net_int(e, 1, number);
    rml_net_end(e);
    return out;
}

static void upsample(rml_net_emitter *e, const int64_t times[2], int mode, int way)
{
    rml_net_one(e, RML_NET_UPSAMPLE, rml_net_in(e, 0), rml_net_out(e, 0));
    rml_fields_ints(&e->m, 1, times, 2);
    rml_net_int(e, 5, mode);
    rml_net_int(e, 6, way);
    rml_net_end(e);
}

static void emit_nearest(rml_net_emitter *e, const rml_resize_plan *plan)
{
    const rml_resize_attr *attr = &e->node->attr.resize;
    int64_t times[2] = {1, 1};
    int changed = 0;
    bool image = plan->rank >= 3;
    for (int i = 0; i < plan->rank; i++) {
        const bool same = rml_resize_axis_is_same(attr, &plan->axis[i]);
        changed += !same;
        image =
            image &&
            (i < plan->rank - 2 ? same : repeats(attr, &plan->axis[i], &times[i - plan->rank + 2]));
    }
    if (image) {
        upsample(e, times, 0, 0);
        return;
    }
    const char *x = rml_net_in(e, 0);
    for (int i = 0; i < plan->rank; i++)
        if (!rml_resize_axis_is_same(attr, &plan->axis[i]))
            x = gather_rows(e, x, &plan->axis[i], i,
                            --changed ? rml_net_between(e) : rml_net_out(e, 0));
}

// ---- mixed --------------------------------------------------------------------------------------

// Numbers of the matrix (out, in).
static const float *matrix_of(rml_net_emitter *e, const rml_resize_axis *axis)
{
    const rml_resize_attr *attr = &e->node->attr.resize;
    const size_t taps = rml_resize_taps(attr, axis->in, axis->out);
    const size_t out = (size_t)axis->out, in = (size_t)axis->in;
    rml_arena *arena = &e->w->graph.arena;
    const rml_resize_table table = {taps, rml_arena_alloc(arena, out, sizeof *table.first),
                                    rml_arena_alloc(arena, out, sizeof *table.count),
                                    rml_arena_alloc(arena, out * taps, sizeof *table.weight)};
    float *numbers = rml_net_alloc(e, out * in);
    if (!table.first || !table.count || !table.weight || !numbers) {
        rml_net_fail(e, RML_ERR_NOMEM, "out of memory for a matrix of %zu weights", out * in);
        return NULL;
    }
    rml_resize_weights(attr, axis, &table);
    for (size_t i = 0; i < out; i++)
        for (int64_t t = 0; t < table.count[i]; t++)
            numbers[i * in + (size_t)(table.first[i] + t)] =
                (float)table.weight[i * taps + (size_t)t];
    return numbers;
}

// Along the last axis.
static void mix(rml_net_emitter *e, const char *x, const rml_resize_axis *axis, const char *out)
{
    rml_net_one(e, RML_NET_MATMUL, x, out);
    rml_fields_int(&e->m, 5, axis->in);
    rml_fields_int(&e->m, 6, axis->out);
    rml_net_vector(e, 8, matrix_of(e, axis), (size_t)(axis->in * axis->out), false);
    rml_net_end(e);
}

static void swap_last(rml_net_emitter *e, const char *x, int rank, const char *out)
{
    int order[RML_MAX_RANK];
    for (int i = 0; i < rank; i++)
        order[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    rml_net_transpose(e, x, order, rank, out);
}

static void emit_mixed(rml_net_emitter *e, const rml_resize_plan *plan)
{
    const rml_resize_attr *attr = &e->node->attr.resize;
    const rml_resize_axis *height = plan->rank > 1 ? &plan->axis[plan->rank - 2] : NULL;
    const rml_resize_axis *width = &plan->axis[plan->rank - 1];
    const bool high = height && !rml_resize_axis_is_same(attr, height);
    const bool wide = !rml_resize_axis_is_same(attr, width);
    const char *x = rml_net_in(e, 0);
    if (wide) {
        const char *out = high ? rml_net_between(e) : rml_net_out(e, 0);
        mix(e, x, width, out);
        x = out;
    }
    if (!high)
        return;
    const char *turned = rml_net_between(e), *mixed = rml_net_between(e);
    swap_last(e, x, plan->rank, turned);
    mix(e, turned, height, mixed);
    swap_last(e, mixed, plan->rank, rml_net_out(e, 0));
}

// The layer of resizing that has these coordinates, for both axes; false: there is none.
static bool emit_bilinear(rml_net_emitter *e, const rml_resize_plan *plan)
{
    enum { STRICT_ALIGN = 0, UPSAMPLE_WAY = 2, BILINEAR = 1, ALIGN_CORNERS_FALSE = 2 };
    const rml_resize_attr *attr = &e->node->attr.resize;
    int64_t size[2], times[2];
    bool whole = true;
    if (plan->rank < 3 || attr->mode != RML_INTERPOLATION_LINEAR || attr->exclude_outside)
        return false;
    for (int i = 0; i < 2; i++) {
        const rml_resize_axis *axis = &plan->axis[plan->rank - 2 + i];
        const bool exact =
            fabs(axis->scale * (double)axis->in - (double)axis->out) < 1e-6 * (double)axis->out;
        if (!exact || (attr->antialias && axis->out < axis->in))
            return false;
        size[i] = axis->out;
        times[i] = axis->out / axis->in;
        whole = whole && times[i] >= 1 && times[i] * axis->in == axis->out;
    }
    if (attr->coordinates == RML_COORDINATES_ALIGN_CORNERS ||
        attr->coordinates == RML_COORDINATES_ASYMMETRIC) {
        rml_net_needs(e, 3);
        rml_net_one(e, RML_NET_RESIZE_BILINEAR, rml_net_in(e, 0), rml_net_out(e, 0));
        rml_fields_ints(&e->m, 1, size, 2);
        rml_fields_begin(&e->m, 2);
        rml_net_int(
            e, 1, attr->coordinates == RML_COORDINATES_ALIGN_CORNERS ? STRICT_ALIGN : UPSAMPLE_WAY);
        rml_fields_end(&e->m);
        rml_net_end(e);
        return true;
    }
    if (!whole || (attr->coordinates != RML_COORDINATES_HALF_PIXEL &&
                   attr->coordinates != RML_COORDINATES_PYTORCH_HALF_PIXEL))
        return false;
    rml_net_needs(e, 5);
    upsample(e, times, BILINEAR, ALIGN_CORNERS_FALSE);
    return true;
}

static void emit_resize(rml_net_emitter *e, const rml_node *node)
{
    rml_resize_plan plan;
    bool same = true;
    if (!plan_of(e->graph, node, rml_net_out_shape(e, 0), &plan)) {
        rml_net_fail(e, RML_ERR_UNSUPPORTED, "%s: sizes that may change", node->name);
        return;
    }
    for (int i = 0; i < plan.rank; i++)
        same = same && rml_resize_axis_is_same(&node->attr.resize, &plan.axis[i]);
    if (same)
        rml_net_same(e, 0, 0);
    else if (node->attr.resize.mode == RML_INTERPOLATION_NEAREST)
        emit_nearest(e, &plan);
    else if (!emit_bilinear(e, &plan))
        emit_mixed(e, &plan);
}

// ---- blocks of pixels ---------------------------------------------------------------------------

// Images that are not made of whole squares, or are cut to the size of another, have no layer.
static const char *lacks_blocks(const rml_net_node *n)
{
    const int64_t block = n->attr->shuffle.block;
    const bool to_channels = n->node->op == RML_OP_SPACE_TO_DEPTH;
    const rml_shape *x = &n->graph->values[n->node->in[0]].shape;
    if (x->rank != 4)
        return "images of this number of dimensions";
    if (n->old && !n->attr->shuffle.pixels_first)
        return "channels in this order";
    for (int i = 2; i < 4; i++) {
        if (to_channels && (x->dim[i] < 0 ? !n->attr->shuffle.exact : x->dim[i] % block != 0))
            return "an image that is not made of whole squares";
        if (!to_channels && rml_input_given(n->node, 1) &&
            (x->dim[i] < 0 || n->out.shape.dim[i] != x->dim[i] * block))
            return "an image that is cut to the size of another";
    }
    return NULL;
}

// Channels of one pixel side by side, or pixels of one channel: then channels are put in order.
static void emit_space_to_depth(rml_net_emitter *e, const rml_node *node)
{
    const rml_shuffle_attr *shuffle = &node->attr.shuffle;
    const rml_shape *out = rml_net_out_shape(e, 0);
    const int64_t squares = shuffle->block * shuffle->block, channels = rml_net_shape(e, 0)->dim[1];
    const char *blocks = shuffle->pixels_first ? rml_net_out(e, 0) : rml_net_between(e);
    rml_net_one(e, RML_NET_REORGANIZE, rml_net_in(e, 0), blocks);
    rml_fields_int(&e->m, 2, shuffle->block);
    rml_net_end(e);
    if (shuffle->pixels_first)
        return;
    float *places = rml_net_alloc(e, (size_t)out->dim[1]);
    for (int64_t i = 0; places && i < out->dim[1]; i++)
        places[i] = (float)(i % squares * channels + i / squares);
    const rml_shape shape = {1, {out->dim[1]}};
    const char *const in[] = {blocks, rml_net_load(e, places, &shape, true)};
    const char *to = rml_net_out(e, 0);
    rml_net_layer(e, RML_NET_GATHER, in, 2, &to, 1);
    rml_fields_int(&e->m, 1, 1);
    rml_net_end(e);
}

static void emit_depth_to_space(rml_net_emitter *e, const rml_node *node)
{
    enum { DEPTH_TO_SPACE = 1, PIXEL_SHUFFLE = 2 };
    const rml_shuffle_attr *shuffle = &node->attr.shuffle;
    if (!shuffle->pixels_first)
        rml_net_needs(e, 5);
    rml_net_one(e, RML_NET_REORGANIZE, rml_net_in(e, 0), rml_net_out(e, 0));
    rml_fields_int(&e->m, 1, shuffle->pixels_first ? DEPTH_TO_SPACE : PIXEL_SHUFFLE);
    rml_fields_int(&e->m, 2, shuffle->block);
    rml_net_end(e);
}

const rml_net_rule rml_net_resize_rules[] = {
    {RML_OP_RESIZE, lacks_resize, emit_resize},
    {RML_OP_SPACE_TO_DEPTH, lacks_blocks, emit_space_to_depth},
    {RML_OP_DEPTH_TO_SPACE, lacks_blocks, emit_depth_to_space},
    {RML_OP_COUNT, NULL, NULL},
};
