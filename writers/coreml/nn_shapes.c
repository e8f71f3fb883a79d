// Shapes, and elements that move. Sizes are mostly known, so layers say them outright.
#include "ops/index/list.h"
#include "writers/coreml/nn.h"

#include <string.h>

// ---- reshape ------------------------------------------------------------------------------------

// Whether the sizes that are asked for come from the run, as a list of known length.
static bool asks_run(const rml_graph *graph, const rml_node *node, int list, int rank)
{
    return rml_input_given(node, list) && rank > 0 &&
           graph->values[node->in[list]].kind != RML_VALUE_CONSTANT &&
           graph->values[node->in[list]].shape.dim[0] == rank;
}

static const char *lacks_reshape(const rml_net_node *n)
{
    int64_t sizes[RML_MAX_RANK];
    int count;
    return rml_net_target_shape(&n->out.shape, sizes, &count) ||
                   (n->node->op == RML_OP_RESHAPE &&
                    asks_run(n->graph, n->node, 1, n->out.shape.rank))
               ? NULL
               : "several sizes that may change";
}

// A layer of two inputs: x, and the sizes it is to have.
static void emit_by_run(rml_net_emitter *e, const rml_node *node, uint32_t kind, int list)
{
    const char *in[2] = {rml_net_in(e, 0), NULL};
    in[1] = rml_net_in(e, list);
    (void)node;
    rml_net_plain(e, kind, in, 2, rml_net_out(e, 0));
}

static void emit_reshape(rml_net_emitter *e, const rml_node *node)
{
    int64_t sizes[RML_MAX_RANK];
    int count;
    if (rml_shape_known(rml_net_out_shape(e, 0)) &&
        rml_shape_equal(rml_net_shape(e, 0), rml_net_out_shape(e, 0)))
        rml_net_same(e, 0, 0);
    else if (!rml_net_target_shape(rml_net_out_shape(e, 0), sizes, &count))
        emit_by_run(e, node, RML_NET_RESHAPE_DYNAMIC, 1);
    else
        rml_net_reshape(e, rml_net_in(e, 0), rml_net_out_shape(e, 0), rml_net_out(e, 0));
}

static void emit_transpose(rml_net_emitter *e, const rml_node *node)
{
    int order[RML_MAX_RANK];
    const int rank = rml_net_shape(e, 0)->rank;
    for (int i = 0; i < rank; i++)
        order[i] = rml_transpose_axis(&node->attr.transpose, rank, i);
    if (rank < 2)
        rml_net_same(e, 0, 0);
    else
        rml_net_transpose(e, rml_net_in(e, 0), order, rank, rml_net_out(e, 0));
}

// To sizes of the run one number may be repeated: of others it is not known which side is larger.
static const char *lacks_expand(const rml_net_node *n)
{
    size_t count = 0;
    const bool one = rml_shape_count(&n->graph->values[n->node->in[0]].shape, &count) && count == 1;
    return rml_shape_known(&n->out.shape) ||
                   (one && asks_run(n->graph, n->node, 2, n->out.shape.rank))
               ? NULL
               : "a size that may change";
}

static void emit_expand(rml_net_emitter *e, const rml_node *node)
{
    const rml_shape *shape = rml_net_out_shape(e, 0);
    if (!rml_shape_known(shape)) {
        emit_by_run(e, node, RML_NET_BROADCAST_DYNAMIC, 2);
        return;
    }
    if (rml_shape_equal(rml_net_shape(e, 0), shape)) {
        rml_net_same(e, 0, 0);
        return;
    }
    rml_net_one(e, RML_NET_BROADCAST, rml_net_in(e, 0), rml_net_out(e, 0));
    rml_fields_ints(&e->m, 1, shape->dim, (size_t)shape->rank);
    rml_net_end(e);
}

static const char *lacks_tile(const rml_net_node *n)
{
    int64_t times[RML_MAX_RANK];
    return rml_input_list(n->graph, n->node, 1, times, RML_MAX_RANK) < 1
               ? "counts that are computed"
               : NULL;
}

static void emit_tile(rml_net_emitter *e, const rml_node *node)
{
    int64_t times[RML_MAX_RANK];
    const int count = rml_input_list(e->graph, node, 1, times, RML_MAX_RANK);
    rml_net_one(e, RML_NET_TILE, rml_net_in(e, 0), rml_net_out(e, 0));
    rml_fields_ints(&e->m, 1, times, (size_t)(count > 0 ? count : 0));
    rml_net_end(e);
}

static void emit_shape(rml_net_emitter *e, const rml_node *node)
{
    const char *x = rml_net_in(e, 0);
    (void)node;
    rml_net_plain(e, RML_NET_GET_SHAPE, &x, 1, rml_net_out(e, 0));
}

// ---- parts --------------------------------------------------------------------------------------

static void emit_concat(rml_net_emitter *e, const rml_node *node)
{
    const int rank = rml_net_out_shape(e, 0)->rank;
    const int axis =
        node->attr.concat.axis < 0 ? node->attr.concat.axis + rank : node->attr.concat.axis;
    const bool channels = rank == 4 && axis == 1;
    const char *out = rml_net_out(e, 0);
    const char **in = rml_arena_alloc(&e->w->graph.arena, (size_t)node->in_count + 1, sizeof *in);
    if (!in) {
        rml_net_fail(e, RML_ERR_NOMEM, "out of memory for the inputs of a layer");
        return;
    }
    for (int i = 0; i < node->in_count; i++)
        in[i] = rml_net_in(e, i);
    rml_net_layer(e, channels ? RML_NET_OLD_CONCAT : RML_NET_CONCAT, in, node->in_count, &out, 1);
    if (!channels)
        rml_net_int(e, 1, axis);
    rml_net_end(e);
}

static const char *lacks_slice(const rml_net_node *n)
{
    rml_cuts c;
    return rml_cuts_of(n->graph, n->node, &c) ? NULL : "bounds that are computed";
}

// Whole dimensions, and those whose end is as far as there is, are said by masks.
static void emit_slice(rml_net_emitter *e, const rml_node *node)
{
    const rml_shape *shape = rml_net_shape(e, 0);
    const size_t rank = (size_t)shape->rank;
    int64_t begin[RML_MAX_RANK] = {0}, end[RML_MAX_RANK] = {0}, step[RML_MAX_RANK];
    int64_t begin_open[RML_MAX_RANK], end_open[RML_MAX_RANK], no[RML_MAX_RANK] = {0};
    rml_cuts c;
    rml_cuts_of(e->graph, node, &c);
    for (size_t i = 0; i < rank; i++)
        begin_open[i] = end_open[i] = step[i] = 1;
    for (int i = 0; i < c.count; i++) {
        const int axis = (int)c.axis[i];
        const int64_t size = shape->dim[axis];
        const bool back = c.step[i] < 0;
        step[axis] = c.step[i];
        begin_open[axis] = back ? c.start[i] >= (size < 0 ? INT32_MAX : size - 1)
                                : c.start[i] == 0 || (size >= 0 && c.start[i] <= -size);
        end_open[axis] = back ? c.stop[i] < -(size < 0 ? (int64_t)INT32_MAX : size)
                              : c.stop[i] >= (size < 0 ? INT32_MAX : size);
        begin[axis] = begin_open[axis] ? 0 : c.start[i];
        end[axis] = end_open[axis] ? 0 : c.stop[i];
    }
    rml_net_one(e, RML_NET_SLICE, rml_net_in(e, 0), rml_net_out(e, 0));
    rml_fields_ints(&e->m, 1, begin, rank);
    rml_fields_ints(&e->m, 2, begin_open, rank);
    rml_fields_ints(&e->m, 3, end, rank);
    rml_fields_ints(&e->m, 4, end_open, rank);
    rml_fields_ints(&e->m, 5, step, rank);
    rml_fields_ints(&e->m, 6, no, rank);
    rml_net_end(e);
}

static const char *lacks_split(const rml_net_node *n)
{
    const rml_shape *x = &n->graph->values[n->node->in[0]].shape;
    const int axis = rml_axis_of(n->attr->split.axis, x->rank);
    return axis < 0 || x->dim[axis] < 0 ? "a size that may change" : NULL;
}

static void emit_split(rml_net_emitter *e, const rml_node *node)
{
    const char *in = rml_net_in(e, 0), *out[RML_MAX_OUTPUTS];
    int64_t sizes[RML_MAX_OUTPUTS];
    const int axis = rml_axis_of(node->attr.split.axis, rml_net_shape(e, 0)->rank);
    bool equal = true;
    for (int k = 0; k < node->out_count; k++) {
        out[k] = rml_net_out(e, k);
        sizes[k] = rml_net_out_shape(e, k)->dim[axis];
        equal = equal && sizes[k] == sizes[0];
    }
    rml_net_layer(e, RML_NET_SPLIT, &in, 1, out, node->out_count);
    rml_net_int(e, 1, axis);
    rml_fields_int(&e->m, 2, node->out_count);
    if (!equal)
        rml_fields_ints(&e->m, 3, sizes, (size_t)node->out_count);
    rml_net_end(e);
}

// ---- edges --------------------------------------------------------------------------------------

static const char *lacks_pad(const rml_net_node *n)
{
    int64_t pads[RML_MAX_RANK][2];
    double fill;
    const int rank = n->out.shape.rank;
    if (!rml_pads_of(n->graph, n->node, pads) ||
        (rml_input_given(n->node, 2) && !rml_input_number(n->graph, n->node, 2, &fill)))
        return "amounts that are computed";
    if (n->attr->pad.mode == RML_PAD_WRAP)
        return "padding that wraps around";
    for (int i = 0; i < rank; i++) {
        if (pads[i][0] < 0 || pads[i][1] < 0)
            return "padding that cuts off";
        if (n->attr->pad.mode != RML_PAD_CONSTANT && (pads[i][0] || pads[i][1]) && i < rank - 2)
            return "mirrored or repeated edges of other axes than the last two";
    }
    return NULL;
}

static void emit_pad(rml_net_emitter *e, const rml_node *node)
{
    int64_t pads[RML_MAX_RANK][2] = {{0}};
    double fill = 0;
    const size_t rank = (size_t)rml_net_shape(e, 0)->rank;
    rml_pads_of(e->graph, node, pads);
    rml_input_number(e->graph, node, 2, &fill);
    if (node->attr.pad.mode == RML_PAD_CONSTANT) {
        rml_net_one(e, RML_NET_CONSTANT_PAD, rml_net_in(e, 0), rml_net_out(e, 0));
        rml_net_float(e, 1, (float)fill);
        rml_fields_ints(&e->m, 2, pads[0], 2 * rank);
        rml_net_end(e);
        return;
    }
    int64_t edges[2][2] = {{0}};
    const size_t last = rank < 2 ? rank : 2;
    memcpy(edges[2 - last], pads[rank - last], last * sizeof *edges);
    if (rank > 2) {
        rml_net_pad_image(e, node->attr.pad.mode, edges, 0, rml_net_in(e, 0), rml_net_out(e, 0));
        return;
    }
    // A signal or a matrix as an image.
    static const int64_t front[2] = {0, 1};
    const char *image = rml_net_between(e), *padded = rml_net_between(e);
    rml_net_one(e, RML_NET_EXPAND_DIMS, rml_net_in(e, 0), image);
    rml_fields_ints(&e->m, 1, front, 3 - rank);
    rml_net_end(e);
    rml_net_pad_image(e, node->attr.pad.mode, edges, 0, image, padded);
    rml_net_one(e, RML_NET_SQUEEZE, padded, rml_net_out(e, 0));
    rml_fields_ints(&e->m, 1, front, 3 - rank);
    rml_net_end(e);
}

void rml_net_pad_image(rml_net_emitter *e, rml_pad_mode mode, int64_t pads[2][2], float fill,
                       const char *x, const char *out)
{
    rml_net_one(e, RML_NET_PADDING, x, out);
    if (mode == RML_PAD_CONSTANT) {
        rml_fields_begin(&e->m, 1);
        rml_net_float(e, 1, fill);
        rml_fields_end(&e->m);
    } else {
        rml_net_choose(e, mode == RML_PAD_REFLECT ? 2 : 3);
    }
    rml_fields_begin(&e->m, 10);
    for (int i = 0; i < 2; i++) {
        rml_fields_begin(&e->m, 10);
        rml_net_int(e, 1, pads[i][0]);
        rml_net_int(e, 2, pads[i][1]);
        rml_fields_end(&e->m);
    }
    rml_fields_end(&e->m);
    rml_net_end(e);
}

const rml_net_rule rml_net_shape_rules[] = {
    {RML_OP_RESHAPE, lacks_reshape, emit_reshape},
    {RML_OP_SQUEEZE, lacks_reshape, emit_reshape},
    {RML_OP_UNSQUEEZE, lacks_reshape, emit_reshape},
    {RML_OP_FLATTEN, lacks_reshape, emit_reshape},
    {RML_OP_TRANSPOSE, NULL, emit_transpose},
    {RML_OP_EXPAND, lacks_expand, emit_expand},
    {RML_OP_TILE, lacks_tile, emit_tile},
    {RML_OP_SHAPE, NULL, emit_shape},
    {RML_OP_CONCAT, NULL, emit_concat},
    {RML_OP_SLICE, lacks_slice, emit_slice},
    {RML_OP_SPLIT, lacks_split, emit_split},
    {RML_OP_PAD, lacks_pad, emit_pad},
    {RML_OP_COUNT, NULL, NULL},
};
