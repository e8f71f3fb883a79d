// iOS 12: shapes, parts, reductions and resizing, all on channels, height and width.
#include "ops/index/list.h"
#include "writers/coreml/nn.h"

enum { MOST_CHANNELS = 64 }; // that one is repeated to

// Which of channels, height and width (0, 1, 2) an axis is; -1: none of them.
static int plane_axis(const rml_shape *shape, int64_t axis)
{
    const int at = rml_axis_of(axis, shape->rank);
    return at - (shape->rank == 4 || shape->rank == 2);
}

static const rml_shape *in_shape(const rml_net_node *n)
{
    return &n->graph->values[n->node->in[0]].shape;
}

// ---- shapes -------------------------------------------------------------------------------------

static void emit_reshape(rml_net_emitter *e, const rml_node *node)
{
    const rml_shape from = rml_net_planes(rml_net_shape(e, 0));
    const rml_shape to = rml_net_planes(rml_net_out_shape(e, 0));
    (void)node;
    if (rml_shape_equal(&from, &to))
        rml_net_same(e, 0, 0);
    else
        rml_net_reshape(e, rml_net_in(e, 0), rml_net_out_shape(e, 0), rml_net_out(e, 0));
}

static const char *lacks_transpose(const rml_net_node *n)
{
    const int rank = n->out.shape.rank;
    if (rank < 3)
        return "a matrix that is turned";
    return rank == 4 && rml_transpose_axis(&n->attr->transpose, 4, 0) != 0 ? "a batch that moves"
                                                                           : NULL;
}

static void emit_transpose(rml_net_emitter *e, const rml_node *node)
{
    const int rank = rml_net_shape(e, 0)->rank, first = rank - 3;
    int64_t order[4] = {0};
    for (int i = 0; i < 3; i++)
        order[1 + i] = 1 + rml_transpose_axis(&node->attr.transpose, rank, first + i) - first;
    rml_net_one(e, RML_NET_OLD_PERMUTE, rml_net_in(e, 0), rml_net_out(e, 0));
    rml_fields_ints(&e->m, 1, order, 4);
    rml_net_end(e);
}

// What the layer does along the channels is done along another axis where that has changed places
// with the channels.
static const char *swapped(rml_net_emitter *e, const char *x, int axis, const char *out)
{
    int64_t order[] = {0, 1, 2, 3};
    if (axis == 0)
        return x;
    order[1] = 1 + axis;
    order[1 + axis] = 1;
    rml_net_one(e, RML_NET_OLD_PERMUTE, x, out ? out : (out = rml_net_between(e)));
    rml_fields_ints(&e->m, 1, order, 4);
    rml_net_end(e);
    return out;
}

static const char *lacks_axis(const rml_shape *shape, int64_t axis)
{
    return plane_axis(shape, axis) < 0 ? "the axis of the batch" : NULL;
}

static const char *lacks_concat(const rml_net_node *n)
{
    return lacks_axis(&n->out.shape, n->attr->concat.axis);
}

static void concat(rml_net_emitter *e, const char *const *in, int count, const char *out)
{
    rml_net_layer(e, RML_NET_OLD_CONCAT, in, count, &out, 1);
    rml_net_end(e);
}

static void emit_concat(rml_net_emitter *e, const rml_node *node)
{
    const int axis = plane_axis(rml_net_out_shape(e, 0), node->attr.concat.axis);
    const char **in = rml_arena_alloc(&e->w->graph.arena, (size_t)node->in_count + 1, sizeof *in);
    if (!in) {
        rml_net_fail(e, RML_ERR_NOMEM, "out of memory for the inputs of a layer");
        return;
    }
    for (int i = 0; i < node->in_count; i++)
        in[i] = swapped(e, rml_net_in(e, i), axis, NULL);
    const char *out = axis ? rml_net_between(e) : rml_net_out(e, 0);
    concat(e, in, node->in_count, out);
    swapped(e, out, axis, rml_net_out(e, 0));
}

static const char *lacks_split(const rml_net_node *n)
{
    const rml_shape *x = in_shape(n);
    const int axis = rml_axis_of(n->attr->split.axis, x->rank);
    rml_fact out[RML_MAX_OUTPUTS];
    if (plane_axis(x, n->attr->split.axis) != 0 ||
        rml_graph_infer_here(n->graph, n->node, out, NULL) != RML_OK)
        return "another axis than the channels";
    for (int k = 1; k < n->node->out_count; k++)
        if (out[k].shape.dim[axis] != out[0].shape.dim[axis])
            return "parts of several sizes";
    return NULL;
}

static void emit_split(rml_net_emitter *e, const rml_node *node)
{
    const char *in = rml_net_in(e, 0), *out[RML_MAX_OUTPUTS];
    for (int k = 0; k < node->out_count; k++)
        out[k] = rml_net_out(e, k);
    rml_net_layer(e, RML_NET_OLD_SPLIT, &in, 1, out, node->out_count);
    rml_fields_int(&e->m, 1, node->out_count);
    rml_net_end(e);
}

static int64_t within(int64_t place, int64_t size)
{
    place += place < 0 ? size : 0;
    return place < 0 ? 0 : place < size ? place : size;
}

// Of the cuts of a slice those that take something away.
static bool find_cuts(const rml_graph *graph, const rml_node *node, rml_cuts *c)
{
    const rml_shape *x = &graph->values[node->in[0]].shape;
    int kept = 0;
    if (!rml_cuts_of(graph, node, c) || c->count == 0)
        return false;
    for (int i = 0; i < c->count; i++) {
        const int64_t size = x->dim[rml_axis_of(c->axis[i], x->rank)];
        if (c->step[i] == 1 && within(c->start[i], size) == 0 && within(c->stop[i], size) == size)
            continue;
        c->axis[kept] = c->axis[i];
        c->start[kept] = c->start[i];
        c->stop[kept] = c->stop[i];
        c->step[kept++] = c->step[i];
    }
    c->count = kept;
    return true;
}

static const char *lacks_slice(const rml_net_node *n)
{
    rml_cuts c;
    if (!find_cuts(n->graph, n->node, &c))
        return "bounds that are computed";
    for (int i = 0; i < c.count; i++)
        if (c.step[i] < 1 || plane_axis(in_shape(n), c.axis[i]) < 0)
            return "a slice of this kind";
    return NULL;
}

// A layer an axis.
static void emit_slice(rml_net_emitter *e, const rml_node *node)
{
    const rml_shape planes = rml_net_planes(rml_net_shape(e, 0));
    const char *x = rml_net_in(e, 0);
    rml_cuts c;
    find_cuts(e->graph, node, &c);
    if (c.count == 0)
        rml_net_same(e, 0, 0);
    for (int i = 0; i < c.count; i++) {
        const int axis = plane_axis(rml_net_shape(e, 0), c.axis[i]);
        const char *out = i + 1 < c.count ? rml_net_between(e) : rml_net_out(e, 0);
        rml_net_one(e, RML_NET_OLD_SLICE, x, out);
        rml_net_int(e, 1, within(c.start[i], planes.dim[axis]));
        rml_net_int(e, 2, within(c.stop[i], planes.dim[axis]));
        rml_fields_int(&e->m, 3, c.step[i]);
        rml_net_int(e, 4, axis);
        rml_net_end(e);
        x = out;
    }
}

static const char *lacks_pad(const rml_net_node *n)
{
    int64_t pads[RML_MAX_RANK][2];
    double fill;
    const int rank = n->out.shape.rank;
    if (rank < 3 || !rml_pads_of(n->graph, n->node, pads) ||
        (rml_input_given(n->node, 2) && !rml_input_number(n->graph, n->node, 2, &fill)))
        return "amounts that are computed";
    if (n->attr->pad.mode == RML_PAD_WRAP)
        return "padding that wraps around";
    for (int i = 0; i < rank; i++)
        if (pads[i][0] < 0 || pads[i][1] < 0 || (i < rank - 2 && (pads[i][0] || pads[i][1])))
            return "padding of other axes than height and width, or that cuts off";
    return NULL;
}

static void emit_pad(rml_net_emitter *e, const rml_node *node)
{
    int64_t pads[RML_MAX_RANK][2];
    double fill = 0;
    rml_pads_of(e->graph, node, pads);
    rml_input_number(e->graph, node, 2, &fill);
    rml_net_pad_image(e, node->attr.pad.mode, &pads[rml_net_shape(e, 0)->rank - 2], (float)fill,
                      rml_net_in(e, 0), rml_net_out(e, 0));
}

// ---- repetition ---------------------------------------------------------------------------------

// One number becomes a plane, one plane several.
static const char *lacks_expand(const rml_net_node *n)
{
    const rml_shape from = rml_net_planes(in_shape(n)), to = rml_net_planes(&n->out.shape);
    const bool plane = from.dim[1] == to.dim[1] && from.dim[2] == to.dim[2];
    const bool images = in_shape(n)->rank == n->out.shape.rank || rml_shape_equal(&from, &to);
    if (!images || (!plane && (from.dim[1] != 1 || from.dim[2] != 1)) ||
        (from.dim[0] != to.dim[0] && from.dim[0] != 1) || to.dim[0] > MOST_CHANNELS * from.dim[0])
        return "broadcasting along other axes";
    return NULL;
}

static void upsample(rml_net_emitter *e, const char *x, int64_t height, int64_t width,
                     const char *out)
{
    rml_net_one(e, RML_NET_UPSAMPLE, x, out);
    rml_fields_ints(&e->m, 1, (const int64_t[]){height, width}, 2);
    rml_net_end(e);
}

static void emit_expand(rml_net_emitter *e, const rml_node *node)
{
    const rml_shape from = rml_net_planes(rml_net_shape(e, 0));
    const rml_shape to = rml_net_planes(rml_net_out_shape(e, 0));
    const bool grows = from.dim[1] != to.dim[1] || from.dim[2] != to.dim[2];
    const bool repeats = from.dim[0] != to.dim[0];
    const char *x = rml_net_in(e, 0), *in[MOST_CHANNELS];
    (void)node;
    if (!grows && !repeats) {
        rml_net_same(e, 0, 0);
        return;
    }
    if (grows) {
        const char *plane = repeats ? rml_net_between(e) : rml_net_out(e, 0);
        upsample(e, x, to.dim[1], to.dim[2], plane);
        x = plane;
    }
    for (int64_t i = 0; i < to.dim[0] && repeats; i++)
        in[i] = x;
    if (repeats)
        concat(e, in, (int)to.dim[0], rml_net_out(e, 0));
}

static const char *lacks_resize(const rml_net_node *n)
{
    const rml_resize_attr *attr = &n->attr->resize;
    const rml_shape *x = in_shape(n), *out = &n->out.shape;
    const bool nearest = attr->mode == RML_INTERPOLATION_NEAREST;
    if (x->rank != 4 || out->rank != 4 || x->dim[1] != out->dim[1])
        return "resizing of other axes than height and width";
    if (!nearest && attr->mode == RML_INTERPOLATION_LINEAR && !attr->antialias &&
        !attr->exclude_outside && attr->coordinates == RML_COORDINATES_ALIGN_CORNERS)
        return NULL;
    if (!nearest ||
        (attr->coordinates != RML_COORDINATES_ASYMMETRIC &&
         attr->coordinates != RML_COORDINATES_HALF_PIXEL) ||
        (attr->coordinates == RML_COORDINATES_ASYMMETRIC) != (attr->nearest == RML_NEAREST_FLOOR))
        return "resizing of later systems";
    for (int i = 2; i < 4; i++)
        if (out->dim[i] % x->dim[i] != 0)
            return "pixels that are not repeated a whole number of times";
    return NULL;
}

static void emit_resize(rml_net_emitter *e, const rml_node *node)
{
    const rml_shape *x = rml_net_shape(e, 0), *out = rml_net_out_shape(e, 0);
    if (node->attr.resize.mode == RML_INTERPOLATION_NEAREST) {
        upsample(e, rml_net_in(e, 0), out->dim[2] / x->dim[2], out->dim[3] / x->dim[3],
                 rml_net_out(e, 0));
        return;
    }
    rml_net_needs(e, 3);
    rml_net_one(e, RML_NET_RESIZE_BILINEAR, rml_net_in(e, 0), rml_net_out(e, 0));
    rml_fields_ints(&e->m, 1, &out->dim[2], 2);
    rml_net_choose(e, 2);
    rml_net_end(e);
}

// ---- along axes ---------------------------------------------------------------------------------

static const char *lacks_softmax(const rml_net_node *n)
{
    return n->attr->softmax.kind != RML_SOFTMAX ||
                   !rml_net_is_along_axis(&n->attr->softmax, n->out.shape.rank)
               ? "this form of softmax"
               : lacks_axis(&n->out.shape, n->attr->softmax.axis);
}

static void emit_softmax(rml_net_emitter *e, const rml_node *node)
{
    const int axis = plane_axis(rml_net_out_shape(e, 0), node->attr.softmax.axis);
    const char *x = swapped(e, rml_net_in(e, 0), axis, NULL);
    const char *out = axis ? rml_net_between(e) : rml_net_out(e, 0);
    rml_net_one(e, RML_NET_OLD_SOFTMAX, x, out);
    rml_net_end(e);
    swapped(e, out, axis, rml_net_out(e, 0));
}

// The layer's name for the axes: CHW, HW, C, H, W; -1 where it has none.
static int reduced_axes(const rml_graph *graph, const rml_node *node)
{
    static const int names[8] = {-1, 2, 3, -1, 4, -1, 1, 0}; // by bits of C, H and W
    const rml_shape *x = &graph->values[node->in[0]].shape;
    int64_t axes[RML_MAX_RANK];
    const int count = rml_net_reduced(graph, node, axes);
    unsigned bits = 0;
    if (count < 0 || x->rank < 3)
        return -1;
    for (int i = 0; i < count; i++) {
        const int axis = plane_axis(x, axes[i]);
        if (axis < 0)
            return -1;
        bits |= 1u << axis;
    }
    return names[bits];
}

static int reduce_mode(rml_reduce_kind kind)
{
    static const int modes[] = {
        [RML_REDUCE_SUM] = 0,         [RML_REDUCE_MEAN] = 1, [RML_REDUCE_PROD] = 2,
        [RML_REDUCE_SUM_SQUARE] = 4,  [RML_REDUCE_L1] = 5,   [RML_REDUCE_L2] = 6,
        [RML_REDUCE_MAX] = 7,         [RML_REDUCE_MIN] = 8,  [RML_REDUCE_LOG_SUM] = -1,
        [RML_REDUCE_LOG_SUM_EXP] = -1};
    return modes[kind];
}

static const char *lacks_reduce(const rml_net_node *n)
{
    if (reduce_mode(n->attr->reduce.kind) < 0)
        return "a reduction of later systems";
    return reduced_axes(n->graph, n->node) < 0 ? "a reduction over these axes" : NULL;
}

// The layer keeps the dimensions.
static void emit_reduce(rml_net_emitter *e, const rml_node *node)
{
    const bool keep = node->attr.reduce.keep;
    const char *out = keep ? rml_net_out(e, 0) : rml_net_between(e);
    rml_net_one(e, RML_NET_OLD_REDUCE, rml_net_in(e, 0), out);
    rml_net_int(e, 1, reduce_mode(node->attr.reduce.kind));
    rml_net_int(e, 3, reduced_axes(e->graph, node));
    rml_net_end(e);
    if (!keep)
        rml_net_reshape(e, out, rml_net_out_shape(e, 0), rml_net_out(e, 0));
}

const rml_net_rule rml_net_old_shape_rules[] = {
    {RML_OP_RESHAPE, NULL, emit_reshape},
    {RML_OP_SQUEEZE, NULL, emit_reshape},
    {RML_OP_UNSQUEEZE, NULL, emit_reshape},
    {RML_OP_FLATTEN, NULL, emit_reshape},
    {RML_OP_CAST, NULL, emit_reshape}, // of f32 to f32
    {RML_OP_TRANSPOSE, lacks_transpose, emit_transpose},
    {RML_OP_CONCAT, lacks_concat, emit_concat},
    {RML_OP_SPLIT, lacks_split, emit_split},
    {RML_OP_SLICE, lacks_slice, emit_slice},
    {RML_OP_PAD, lacks_pad, emit_pad},
    {RML_OP_EXPAND, lacks_expand, emit_expand},
    {RML_OP_RESIZE, lacks_resize, emit_resize},
    {RML_OP_SOFTMAX, lacks_softmax, emit_softmax},
    {RML_OP_REDUCE, lacks_reduce, emit_reduce},
    {RML_OP_COUNT, NULL, NULL},
};
