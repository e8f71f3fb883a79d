// Shapes and cuts of the iOS 13 world: any number of dimensions, axes from either end.
#include "loaders/coreml/nn_handler.h"

#include "tensor/tensor.h"

#include <math.h>

static rml_value_id reshaped(rml_nn_call *call, rml_value_id x, rml_value_id sizes, bool zero_is_0)
{
    const rml_value_id in[] = {x, sizes};
    const rml_op_attr attr = {.reshape = {.keep_zero = zero_is_0}};
    return rml_coreml_node(&call->make, RML_OP_RESHAPE, &attr, in, 2);
}

// The numbers of a field, as (n) of i64.
static rml_value_id list_of(rml_nn_call *call, uint32_t number)
{
    int64_t list[RML_MAX_RANK];
    const int count = rml_nn_ints(call, number, list, RML_MAX_RANK);
    return rml_coreml_ints(&call->make, list, count);
}

// ---- reshape ------------------------------------------------------------------------------------

static void import_reshape(rml_nn_call *call)
{
    call->out[0] = reshaped(call, rml_nn_in(call, 0), list_of(call, 1), false);
}

static void import_reshape_like(rml_nn_call *call)
{
    const rml_value_id like = rml_nn_in(call, 1);
    call->out[0] = reshaped(call, rml_nn_in(call, 0), rml_coreml_sizes(&call->make, like), true);
}

static void import_reshape_dynamic(rml_nn_call *call)
{
    const rml_value_id sizes = rml_nn_indices(call, rml_nn_in(call, 1));
    call->out[0] = reshaped(call, rml_nn_in(call, 0), sizes, false);
}

static void import_flatten(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    const rml_op_attr attr = {.axis = {.axis = rml_nn_int(call, 1)}};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_FLATTEN, &attr, &x, 1);
}

static void import_expand_dims(rml_nn_call *call)
{
    const rml_value_id in[] = {rml_nn_in(call, 0), list_of(call, 1)};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_UNSQUEEZE, NULL, in, 2);
}

// What would have no dimension left is a vector of one.
static void import_squeeze(rml_nn_call *call)
{
    const rml_value_id in[] = {rml_nn_in(call, 0), list_of(call, 1)};
    const rml_value_id out =
        rml_coreml_node(&call->make, RML_OP_SQUEEZE, NULL, in, rml_nn_flag(call, 2) ? 1 : 2);
    call->out[0] = rml_coreml_fact(&call->make, out).shape.rank == 0
                       ? rml_coreml_reshape(&call->make, out, &(rml_shape){1, {1}})
                       : out;
}

static void import_transpose(rml_nn_call *call)
{
    int64_t axes[RML_MAX_RANK];
    int order[RML_MAX_RANK];
    const rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_coreml_rank(&call->make, x),
              count = rml_nn_ints(call, 1, axes, RML_MAX_RANK);
    if (count != rank)
        rml_coreml_refuse(&call->make, "it permutes %d axes of %d", count, rank);
    for (int i = 0; i < count && !call->make.refused; i++)
        order[i] = rml_coreml_axis_of(&call->make, axes[i], rank);
    if (!call->make.refused)
        call->out[0] = rml_graph_transpose(call->make.graph, x, order, rank, call->make.name);
}

// ---- several values -----------------------------------------------------------------------------

static void import_concat(rml_nn_call *call)
{
    const int rank = rml_coreml_rank(&call->make, rml_nn_in(call, 0));
    const int axis = rml_coreml_axis_of(&call->make, rml_nn_int(call, 1), rank);
    call->out[0] = rml_coreml_concat(&call->make, call->in, (int)call->layer->input_count, axis,
                                     rml_nn_flag(call, 2));
}

static void import_stack(rml_nn_call *call)
{
    const int rank = rml_coreml_rank(&call->make, rml_nn_in(call, 0)) + 1;
    const int axis = rml_coreml_axis_of(&call->make, rml_nn_int(call, 1), rank);
    call->out[0] = rml_coreml_stack(&call->make, call->in, (int)call->layer->input_count, axis);
}

static void import_split(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    int64_t list[RML_MAX_OUTPUTS];
    const int given = rml_nn_ints(call, 3, list, RML_MAX_OUTPUTS);
    const int64_t count = given ? given : rml_nn_int(call, 2);
    const size_t outputs = call->layer->output_count;
    if (count < 1 || (size_t)count != outputs || outputs > RML_MAX_OUTPUTS)
        rml_coreml_refuse(&call->make, "%lld parts and %zu outputs, at most %d", (long long)count,
                          outputs, RML_MAX_OUTPUTS);
    int64_t *sizes = given ? rml_coreml_alloc(&call->make, (size_t)given, sizeof *sizes) : NULL;
    for (int i = 0; i < given && sizes; i++)
        sizes[i] = list[i];
    const rml_op_attr attr = {
        .split = {.axis = (int)rml_nn_int(call, 1), .count = (int)count, .sizes = sizes}};
    const rml_value_id first = rml_coreml_node(&call->make, RML_OP_SPLIT, &attr, &x, 1);
    for (size_t k = 0; k < outputs && first != RML_NO_VALUE; k++)
        call->out[k] = first + (rml_value_id)k;
}

// ---- repetition ---------------------------------------------------------------------------------

// Numbers of the second input for the last dimensions, with 1 in front for the others.
static rml_value_id computed_times(rml_nn_call *call, int rank)
{
    const rml_value_id given = rml_nn_indices(call, rml_nn_in(call, 1));
    const rml_shape shape = rml_coreml_fact(&call->make, given).shape;
    int64_t ones[RML_MAX_RANK];
    for (int i = 0; i < RML_MAX_RANK; i++)
        ones[i] = 1;
    if (call->make.refused || shape.rank != 1 || shape.dim[0] < 0 || shape.dim[0] >= rank)
        return given;
    const rml_value_id parts[] = {rml_coreml_ints(&call->make, ones, rank - (int)shape.dim[0]),
                                  given};
    return rml_graph_concat(call->make.graph, parts, 2, 0, call->make.name);
}

// As often as said for the last dimensions.
static void import_tile(rml_nn_call *call)
{
    int64_t list[RML_MAX_RANK], times[RML_MAX_RANK];
    const rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_coreml_rank(&call->make, x),
              count = rml_nn_ints(call, 1, list, RML_MAX_RANK);
    for (int i = 0; i < rank; i++)
        times[i] = i < rank - count ? 1 : list[i - rank + count];
    if (count > rank)
        rml_coreml_refuse(&call->make, "%d numbers for %d dimensions", count, rank);
    const rml_value_id in[] = {x, call->layer->input_count > 1
                                      ? computed_times(call, rank)
                                      : rml_coreml_ints(&call->make, times, rank)};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_TILE, NULL, in, 2);
}

static rml_value_id expanded(rml_nn_call *call, rml_value_id x, rml_value_id sizes)
{
    const rml_value_id in[] = {x, RML_NO_VALUE, sizes};
    return rml_coreml_node(&call->make, RML_OP_EXPAND, NULL, in, 3);
}

static void import_broadcast(rml_nn_call *call)
{
    enum { STATIC, LIKE, DYNAMIC };
    const rml_value_id x = rml_nn_in(call, 0);
    call->out[0] =
        expanded(call, x,
                 call->option == STATIC ? list_of(call, 1)
                 : call->option == LIKE ? rml_coreml_sizes(&call->make, rml_nn_in(call, 1))
                                        : rml_nn_indices(call, rml_nn_in(call, 1)));
}

static void import_fill(rml_nn_call *call)
{
    enum { STATIC, LIKE, DYNAMIC };
    const rml_value_id value = rml_coreml_number(&call->make, rml_nn_float(call, 1), RML_F32);
    call->out[0] =
        expanded(call, value,
                 call->option == STATIC ? list_of(call, 2)
                 : call->option == LIKE ? rml_coreml_sizes(&call->make, rml_nn_in(call, 0))
                                        : rml_nn_indices(call, rml_nn_in(call, 0)));
}

// A number: an input, or a field.
static rml_value_id number_of(rml_nn_call *call, int input, uint32_t number)
{
    return (size_t)input < call->layer->input_count
               ? rml_coreml_reshape(&call->make, call->in[input], &(rml_shape){0})
               : rml_coreml_number(&call->make, rml_nn_float(call, number), RML_F32);
}

static void import_range(rml_nn_call *call)
{
    const int from = call->option; // the first input that is a number, or none
    const rml_value_id in[] = {number_of(call, from + 1, 2), number_of(call, from, 1),
                               number_of(call, from + 2, 3)};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_RANGE, NULL, in, 3);
}

static void import_get_shape(rml_nn_call *call)
{
    call->out[0] =
        rml_coreml_cast(&call->make, rml_coreml_sizes(&call->make, rml_nn_in(call, 0)), RML_F32);
}

// ---- cuts ---------------------------------------------------------------------------------------

// Whether a list that is an input is known before a run; its whole numbers then.
static bool known_list(rml_nn_call *call, size_t input, int64_t *list)
{
    if (input >= call->layer->input_count)
        return true;
    const rml_value *value = &call->make.graph->values[call->in[input]];
    float data[RML_MAX_RANK];
    size_t count;
    if (value->kind != RML_VALUE_CONSTANT || value->dtype != RML_F32 ||
        !rml_shape_count(&value->shape, &count) || count > RML_MAX_RANK)
        return false;
    rml_constant_copy(value->constant, RML_F32, data);
    for (size_t i = 0; i < count; i++)
        list[i] = data[i] >= -0x1p31f && data[i] < 0x1p31f ? (int64_t)roundf(data[i]) : 0;
    return true;
}

// The cut by lists of numbers that are inputs from the fourth on, or else constants.
static rml_value_id slice_by_run(rml_nn_call *call, const rml_coreml_cut *c)
{
    const size_t given = call->layer->input_count;
    const int rank = rml_coreml_rank(&call->make, rml_nn_in(call, 0));
    const int64_t *masks[] = {c->begin_open, c->end_open, c->squeeze};
    rml_value_id lists[RML_COREML_CUT_LISTS] = {c->begin, c->end,
                                                rml_nn_indices(call, call->in[3])};
    for (size_t k = 0; k < 3; k++)
        lists[3 + k] = k + 4 < given ? rml_nn_indices(call, call->in[k + 4])
                                     : rml_coreml_ints(&call->make, masks[k], rank);
    return rml_coreml_slice_by_run(&call->make, call->in[0], lists);
}

// Flags of fields 2, 4 and 6, and strides, or of the inputs from the fourth on; a vector of one
// stays.
static void slice(rml_nn_call *call, rml_value_id begin, rml_value_id end)
{
    rml_coreml_cut c = {.begin = begin, .end = end, .stride = RML_NO_VALUE};
    int64_t stride[RML_MAX_RANK] = {0};
    int strides = rml_nn_ints(call, 5, stride, RML_MAX_RANK);
    rml_nn_ints(call, 2, c.begin_open, RML_MAX_RANK);
    rml_nn_ints(call, 4, c.end_open, RML_MAX_RANK);
    rml_nn_ints(call, 6, c.squeeze, RML_MAX_RANK);
    int64_t *const lists[] = {stride, c.begin_open, c.end_open, c.squeeze};
    bool known = true;
    for (size_t k = 0; k < 4; k++)
        known = known_list(call, 3 + k, lists[k]) && known;
    if (!known) {
        call->out[0] = slice_by_run(call, &c);
        return;
    }
    if (call->layer->input_count > 3)
        strides = rml_coreml_rank(&call->make, call->in[0]);
    if (strides > 0)
        c.stride = rml_coreml_ints(&call->make, stride, strides);
    const rml_value_id out = rml_coreml_slice(&call->make, rml_nn_in(call, 0), &c);
    call->out[0] = rml_coreml_fact(&call->make, out).shape.rank == 0
                       ? rml_coreml_reshape(&call->make, out, &(rml_shape){1, {1}})
                       : out;
}

static void import_slice_static(rml_nn_call *call)
{
    slice(call, list_of(call, 1), list_of(call, 3));
}

static void import_slice_dynamic(rml_nn_call *call)
{
    const rml_value_id begin = rml_nn_indices(call, rml_nn_in(call, 1));
    slice(call, begin,
          call->layer->input_count > 2 ? rml_nn_indices(call, call->in[2]) : list_of(call, 3));
}

// `size` elements of an axis, from where the second input says.
static void import_slice_by_size(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    const int64_t size = rml_nn_int(call, 2);
    const int axis =
        rml_coreml_axis_of(&call->make, rml_nn_int(call, 3), rml_coreml_rank(&call->make, x));
    const rml_value_id begin = rml_coreml_reshape(
        &call->make, rml_nn_indices(call, rml_nn_in(call, 1)), &(rml_shape){1, {1}});
    call->out[0] = rml_coreml_slice_by_size(&call->make, x, axis, begin,
                                            rml_coreml_ints(&call->make, &size, 1));
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
