// Shapes and cuts of the iOS 13 world: any number of dimensions, axes from either end.
#include "loaders/coreml/nn_handler.h"

#include "tensor/tensor.h"

static rml_value_id sizes_of(rml_nn_call *call, rml_value_id x)
{
    return rml_nn_node(call, RML_OP_SHAPE, NULL, &x, 1);
}

static rml_value_id reshaped(rml_nn_call *call, rml_value_id x, rml_value_id sizes, bool zero_is_0)
{
    const rml_value_id in[] = {x, sizes};
    const rml_op_attr attr = {.reshape = {.keep_zero = zero_is_0}};
    return rml_nn_node(call, RML_OP_RESHAPE, &attr, in, 2);
}

// The numbers of a field, as (n) of i64.
static rml_value_id list_of(rml_nn_call *call, uint32_t number)
{
    int64_t list[RML_MAX_RANK];
    const int count = rml_nn_ints(call, number, list, RML_MAX_RANK);
    return rml_nn_ints_value(call, list, count);
}

// ---- reshape ------------------------------------------------------------------------------------

static void import_reshape(rml_nn_call *call)
{
    call->out[0] = reshaped(call, rml_nn_in(call, 0), list_of(call, 1), false);
}

static void import_reshape_like(rml_nn_call *call)
{
    const rml_value_id like = rml_nn_in(call, 1);
    call->out[0] = reshaped(call, rml_nn_in(call, 0), sizes_of(call, like), true);
}

static void import_reshape_dynamic(rml_nn_call *call)
{
    const rml_value_id sizes = rml_nn_indices(call, rml_nn_in(call, 1));
    call->out[0] = reshaped(call, rml_nn_in(call, 0), sizes, false);
}

static void import_flatten(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    const rml_op_attr attr = {.axis = {rml_nn_int(call, 1)}};
    call->out[0] = rml_nn_node(call, RML_OP_FLATTEN, &attr, &x, 1);
}

static void import_expand_dims(rml_nn_call *call)
{
    const rml_value_id in[] = {rml_nn_in(call, 0), list_of(call, 1)};
    call->out[0] = rml_nn_node(call, RML_OP_UNSQUEEZE, NULL, in, 2);
}

// What would have no dimension left is a vector of one.
static void import_squeeze(rml_nn_call *call)
{
    const rml_value_id in[] = {rml_nn_in(call, 0), list_of(call, 1)};
    const rml_value_id out =
        rml_nn_node(call, RML_OP_SQUEEZE, NULL, in, rml_nn_flag(call, 2) ? 1 : 2);
    call->out[0] = rml_nn_fact(call, out).shape.rank == 0
                       ? rml_nn_reshape(call, out, &(rml_shape){1, {1}})
                       : out;
}

static void import_transpose(rml_nn_call *call)
{
    int64_t axes[RML_MAX_RANK];
    int order[RML_MAX_RANK];
    const rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_nn_rank(call, x), count = rml_nn_ints(call, 1, axes, RML_MAX_RANK);
    if (count != rank)
        rml_nn_refuse(call, "it permutes %d axes of %d", count, rank);
    for (int i = 0; i < count && !call->refused; i++)
        order[i] = rml_nn_axis_of(call, axes[i], rank);
    if (!call->refused)
        call->out[0] = rml_graph_transpose(call->graph, x, order, rank, call->name);
}

// ---- several values -----------------------------------------------------------------------------

static rml_value_id inserted(rml_nn_call *call, rml_value_id x, int64_t axis)
{
    const rml_value_id in[] = {x, rml_nn_ints_value(call, &axis, 1)};
    return rml_nn_node(call, RML_OP_UNSQUEEZE, NULL, in, 2);
}

// All inputs along an axis; with a new dimension in its place, or behind it and joined with it, so
// that they alternate.
static rml_value_id joined(rml_nn_call *call, int axis, bool stack, bool alternate)
{
    const int count = (int)call->layer->input_count;
    rml_value_id *in = rml_nn_alloc(call, (size_t)count + 1, sizeof *in);
    if (!in || call->refused || count == 0)
        return RML_NO_VALUE;
    for (int i = 0; i < count; i++)
        in[i] = stack || alternate ? inserted(call, call->in[i], axis + alternate) : call->in[i];
    if (call->refused)
        return RML_NO_VALUE;
    const rml_value_id out = rml_graph_concat(call->graph, in, count, axis + alternate, call->name);
    rml_shape shape = rml_nn_fact(call, out).shape;
    if (!alternate || call->refused)
        return out;
    if (!rml_shape_known(&shape)) {
        rml_nn_refuse(call, "sizes that only the run tells");
        return RML_NO_VALUE;
    }
    shape.dim[axis] *= shape.dim[axis + 1];
    for (int i = axis + 1; i < shape.rank - 1; i++)
        shape.dim[i] = shape.dim[i + 1];
    shape.rank--;
    return rml_nn_reshape(call, out, &shape);
}

static void import_concat(rml_nn_call *call)
{
    const int axis =
        rml_nn_axis_of(call, rml_nn_int(call, 1), rml_nn_rank(call, rml_nn_in(call, 0)));
    call->out[0] = joined(call, axis, false, rml_nn_flag(call, 2));
}

static void import_stack(rml_nn_call *call)
{
    const int rank = rml_nn_rank(call, rml_nn_in(call, 0)) + 1;
    call->out[0] = joined(call, rml_nn_axis_of(call, rml_nn_int(call, 1), rank), true, false);
}

static void import_split(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    int64_t list[RML_MAX_OUTPUTS];
    const int given = rml_nn_ints(call, 3, list, RML_MAX_OUTPUTS);
    const int64_t count = given ? given : rml_nn_int(call, 2);
    const size_t outputs = call->layer->output_count;
    if (count < 1 || (size_t)count != outputs || outputs > RML_MAX_OUTPUTS)
        rml_nn_refuse(call, "%lld parts and %zu outputs, at most %d", (long long)count, outputs,
                      RML_MAX_OUTPUTS);
    int64_t *sizes = given ? rml_nn_alloc(call, (size_t)given, sizeof *sizes) : NULL;
    for (int i = 0; i < given && sizes; i++)
        sizes[i] = list[i];
    const rml_op_attr attr = {
        .split = {.axis = (int)rml_nn_int(call, 1), .count = (int)count, .sizes = sizes}};
    const rml_value_id first = rml_nn_node(call, RML_OP_SPLIT, &attr, &x, 1);
    for (size_t k = 0; k < outputs && first != RML_NO_VALUE; k++)
        call->out[k] = first + (rml_value_id)k;
}

// ---- repetition ---------------------------------------------------------------------------------

// As often as said for the last dimensions, or for all by the second input.
static void import_tile(rml_nn_call *call)
{
    int64_t list[RML_MAX_RANK], times[RML_MAX_RANK];
    const rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_nn_rank(call, x), count = rml_nn_ints(call, 1, list, RML_MAX_RANK);
    for (int i = 0; i < rank; i++)
        times[i] = i < rank - count ? 1 : list[i - rank + count];
    if (count > rank)
        rml_nn_refuse(call, "%d numbers for %d dimensions", count, rank);
    const rml_value_id in[] = {x, call->layer->input_count > 1
                                      ? rml_nn_indices(call, call->in[1])
                                      : rml_nn_ints_value(call, times, rank)};
    call->out[0] = rml_nn_node(call, RML_OP_TILE, NULL, in, 2);
}

static rml_value_id expanded(rml_nn_call *call, rml_value_id x, rml_value_id sizes)
{
    const rml_value_id in[] = {x, RML_NO_VALUE, sizes};
    return rml_nn_node(call, RML_OP_EXPAND, NULL, in, 3);
}

static void import_broadcast(rml_nn_call *call)
{
    enum { STATIC, LIKE, DYNAMIC };
    const rml_value_id x = rml_nn_in(call, 0);
    call->out[0] = expanded(call, x,
                            call->option == STATIC ? list_of(call, 1)
                            : call->option == LIKE ? sizes_of(call, rml_nn_in(call, 1))
                                                   : rml_nn_indices(call, rml_nn_in(call, 1)));
}

static void import_fill(rml_nn_call *call)
{
    enum { STATIC, LIKE, DYNAMIC };
    const rml_value_id value = rml_nn_number(call, rml_nn_float(call, 1));
    call->out[0] = expanded(call, value,
                            call->option == STATIC ? list_of(call, 2)
                            : call->option == LIKE ? sizes_of(call, rml_nn_in(call, 0))
                                                   : rml_nn_indices(call, rml_nn_in(call, 0)));
}

// A number: an input, or a field.
static rml_value_id number_of(rml_nn_call *call, int input, uint32_t number)
{
    return (size_t)input < call->layer->input_count
               ? rml_nn_reshape(call, call->in[input], &(rml_shape){0})
               : rml_nn_number(call, rml_nn_float(call, number));
}

static void import_range(rml_nn_call *call)
{
    const int from = call->option; // the first input that is a number, or none
    const rml_value_id in[] = {number_of(call, from + 1, 2), number_of(call, from, 1),
                               number_of(call, from + 2, 3)};
    call->out[0] = rml_nn_node(call, RML_OP_RANGE, NULL, in, 3);
}

static void import_get_shape(rml_nn_call *call)
{
    call->out[0] = rml_nn_cast(call, sizes_of(call, rml_nn_in(call, 0)), RML_F32);
}

// ---- cuts ---------------------------------------------------------------------------------------

typedef struct cut {
    int64_t begin[RML_MAX_RANK], end[RML_MAX_RANK], stride[RML_MAX_RANK];
    int64_t begin_open[RML_MAX_RANK], end_open[RML_MAX_RANK], squeeze[RML_MAX_RANK];
    int strides;
} cut;

static rml_value_id one_of(rml_nn_call *call, rml_value_id list, int i)
{
    return rml_graph_slice(call->graph, list, 0, i, i + 1, 1, call->name);
}

// x[begin : end : stride] of an axis; `begins` and `ends` are values of a run, or RML_NO_VALUE.
static rml_value_id cut_axis(rml_nn_call *call, const cut *c, rml_value_id x, int axis,
                             rml_value_id begins, rml_value_id ends)
{
    const bool single = c->squeeze[axis];
    const int64_t step = single || !c->strides ? 1 : c->stride[axis];
    const bool begin_open = c->begin_open[axis] && !single, end_open = c->end_open[axis] && !single;
    int64_t begin = begin_open ? (step < 0 ? INT64_MAX : 0) : c->begin[axis];
    int64_t end = end_open ? (step < 0 ? INT64_MIN : INT64_MAX) : c->end[axis];
    if (call->refused)
        return RML_NO_VALUE;
    if (single && begins != RML_NO_VALUE) {
        const rml_value_id in[] = {x, one_of(call, begins, axis)};
        return rml_nn_node(call, RML_OP_GATHER, &(rml_op_attr){.axis = {axis}}, in, 2);
    }
    if (single)
        end = begin == -1 ? INT64_MAX : begin + 1;
    if ((begin_open || begins == RML_NO_VALUE) && (end_open || single || ends == RML_NO_VALUE))
        return rml_graph_slice(call->graph, x, axis, begin, end, step, call->name);
    const int64_t at = axis;
    const rml_value_id in[] = {x,
                               begin_open || begins == RML_NO_VALUE
                                   ? rml_nn_ints_value(call, &begin, 1)
                                   : one_of(call, begins, axis),
                               end_open || ends == RML_NO_VALUE ? rml_nn_ints_value(call, &end, 1)
                                                                : one_of(call, ends, axis),
                               rml_nn_ints_value(call, &at, 1), rml_nn_ints_value(call, &step, 1)};
    return rml_nn_node(call, RML_OP_SLICE, NULL, in, 5);
}

static void cut_all(rml_nn_call *call, const cut *c, rml_value_id begins, rml_value_id ends)
{
    rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_nn_rank(call, x);
    int64_t gone[RML_MAX_RANK];
    int count = 0;
    for (int i = 0; i < rank && !call->refused; i++) {
        x = cut_axis(call, c, x, i, begins, ends);
        if (c->squeeze[i])
            gone[count++] = i;
    }
    if (count == rank) // a vector of one stays
        count--;
    const rml_value_id in[] = {x, rml_nn_ints_value(call, gone, count > 0 ? count : 0)};
    call->out[0] = count > 0 ? rml_nn_node(call, RML_OP_SQUEEZE, NULL, in, 2) : x;
}

static void import_slice_static(rml_nn_call *call)
{
    cut c = {.strides = 0};
    rml_nn_ints(call, 1, c.begin, RML_MAX_RANK);
    rml_nn_ints(call, 2, c.begin_open, RML_MAX_RANK);
    rml_nn_ints(call, 3, c.end, RML_MAX_RANK);
    rml_nn_ints(call, 4, c.end_open, RML_MAX_RANK);
    c.strides = rml_nn_ints(call, 5, c.stride, RML_MAX_RANK);
    rml_nn_ints(call, 6, c.squeeze, RML_MAX_RANK);
    cut_all(call, &c, RML_NO_VALUE, RML_NO_VALUE);
}

static void import_slice_dynamic(rml_nn_call *call)
{
    cut c = {.strides = 0};
    rml_nn_ints(call, 2, c.begin_open, RML_MAX_RANK);
    rml_nn_ints(call, 3, c.end, RML_MAX_RANK);
    rml_nn_ints(call, 4, c.end_open, RML_MAX_RANK);
    c.strides = rml_nn_ints(call, 5, c.stride, RML_MAX_RANK);
    rml_nn_ints(call, 6, c.squeeze, RML_MAX_RANK);
    if (call->layer->input_count > 3)
        rml_nn_refuse(call, "strides and masks that are inputs are not supported");
    const rml_value_id begins = rml_nn_indices(call, rml_nn_in(call, 1));
    const rml_value_id ends =
        call->layer->input_count > 2 ? rml_nn_indices(call, call->in[2]) : RML_NO_VALUE;
    cut_all(call, &c, begins, ends);
}

// `size` elements of an axis, from where the second input says.
static void import_slice_by_size(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    const int64_t size = rml_nn_int(call, 2);
    const int64_t axis = rml_nn_axis_of(call, rml_nn_int(call, 3), rml_nn_rank(call, x));
    const rml_value_id begin =
        rml_nn_reshape(call, rml_nn_indices(call, rml_nn_in(call, 1)), &(rml_shape){1, {1}});
    const rml_value_id in[] = {
        x, begin, rml_nn_binary(call, RML_BINARY_ADD, begin, rml_nn_ints_value(call, &size, 1)),
        rml_nn_ints_value(call, &axis, 1)};
    call->out[0] = rml_nn_node(call, RML_OP_SLICE, NULL, in, 4);
}

const rml_nn_entry rml_nn_nd_shapes[] = {
    {1140, "reshapeStatic", import_reshape, 0},
    {1150, "rankPreservingReshape", import_reshape, 0},
    {1135, "reshapeLike", import_reshape_like, 0},
    {1145, "reshapeDynamic", import_reshape_dynamic, 0},
    {1130, "flattenTo2D", import_flatten, 0},
    {1125, "expandDims", import_expand_dims, 0},
    {1120, "squeeze", import_squeeze, 0},
    {985, "transpose", import_transpose, 0},
    {980, "concatND", import_concat, 0},
    {925, "stack", import_stack, 0},
    {975, "splitND", import_split, 0},
    {920, "tile", import_tile, 0},
    {1105, "broadcastToStatic", import_broadcast, 0},
    {1100, "broadcastToLike", import_broadcast, 1},
    {1110, "broadcastToDynamic", import_broadcast, 2},
    {1085, "fillStatic", import_fill, 0},
    {1080, "fillLike", import_fill, 1},
    {1090, "fillDynamic", import_fill, 2},
    {635, "rangeStatic", import_range, 1000},
    {640, "rangeDynamic", import_range, 0},
    {1065, "getShape", import_get_shape, 0},
    {995, "sliceStatic", import_slice_static, 0},
    {1000, "sliceDynamic", import_slice_dynamic, 0},
    {1470, "sliceBySize", import_slice_by_size, 0},
    {0},
};
