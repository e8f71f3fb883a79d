// What picks and writes elements by index.
#include "loaders/coreml/mil_handler.h"

#include "tensor/tensor.h"

// Indices as the operators take them.
static rml_value_id indices_of(rml_mil_call *call)
{
    const rml_value_id indices = rml_mil_in(call, "indices");
    const rml_dtype dtype = rml_mil_fact(call, indices).dtype;
    rml_mil_flag(call, "validate_indices", false); // they always are
    return dtype == RML_I32 || dtype == RML_I64 ? indices : rml_mil_cast(call, indices, RML_I32);
}

static void import_gather(rml_mil_call *call)
{
    rml_value_id in[] = {rml_mil_in(call, "x"), indices_of(call)};
    const int axis = rml_mil_axis_of(call, rml_mil_int(call, "axis", 0), rml_mil_rank(call, in[0]));
    const int64_t batch = rml_mil_int(call, "batch_dims", 0);
    if (batch == 0) {
        const rml_op_attr attr = {.axis = {axis}};
        call->out[0] = rml_mil_node(call, RML_OP_GATHER, &attr, in, 2);
        return;
    }
    if (batch != axis)
        rml_mil_refuse(call, "batch_dims %lld and axis %d, they must be equal", (long long)batch,
                       axis);
    const rml_op_attr attr = {.gather_nd = {batch}};
    const int64_t last = -1;
    in[1] = rml_mil_insert_dims(call, in[1], &last, 1);
    call->out[0] = rml_mil_node(call, RML_OP_GATHER_ND, &attr, in, 2);
}

static void import_gather_along_axis(rml_mil_call *call)
{
    const rml_value_id in[] = {rml_mil_in(call, "x"), indices_of(call)};
    const rml_op_attr attr = {.axis = {rml_mil_int(call, "axis", 0)}};
    call->out[0] = rml_mil_node(call, RML_OP_GATHER_ELEMENTS, &attr, in, 2);
}

static void import_gather_nd(rml_mil_call *call)
{
    const rml_value_id in[] = {rml_mil_in(call, "x"), indices_of(call)};
    const rml_op_attr attr = {.gather_nd = {rml_mil_int(call, "batch_dims", 0)}};
    call->out[0] = rml_mil_node(call, RML_OP_GATHER_ND, &attr, in, 2);
}

// ---- scatter ------------------------------------------------------------------------------------

// How updates join; those that are subtracted or divided by are turned into ones that are not.
static rml_scatter_kind mode_of(rml_mil_call *call, rml_value_id *updates)
{
    static const rml_scatter_kind kinds[] = {RML_SCATTER_ADD, RML_SCATTER_MUL, RML_SCATTER_MAX,
                                             RML_SCATTER_MIN, RML_SCATTER_MUL, RML_SCATTER_ADD,
                                             RML_SCATTER_SET};
    enum { DIV = 1, SUB = 5 };
    const int mode = rml_mil_word(call, "mode", "add div max min mul sub update", 0);
    if (mode == DIV)
        *updates = rml_mil_unary(call, RML_UNARY_RECIPROCAL, *updates, 0, 0);
    if (mode == SUB)
        *updates = rml_mil_unary(call, RML_UNARY_NEG, *updates, 0, 0);
    return kinds[mode];
}

static void import_scatter_along_axis(rml_mil_call *call)
{
    rml_value_id in[] = {rml_mil_in(call, "data"), indices_of(call), rml_mil_in(call, "updates")};
    const rml_op_attr attr = {
        .scatter = {.kind = mode_of(call, &in[2]), .axis = rml_mil_int(call, "axis", 0)}};
    call->out[0] = rml_mil_node(call, RML_OP_SCATTER_ELEMENTS, &attr, in, 3);
}

static void import_scatter_nd(rml_mil_call *call)
{
    rml_value_id in[] = {rml_mil_in(call, "data"), indices_of(call), rml_mil_in(call, "updates")};
    const rml_op_attr attr = {.scatter = {.kind = mode_of(call, &in[2])}};
    call->out[0] = rml_mil_node(call, RML_OP_SCATTER_ND, &attr, in, 3);
}

// Moves `count` dimensions from `from` to `to`.
static rml_value_id moved(rml_mil_call *call, rml_value_id x, int from, int count, int to)
{
    const int rank = rml_mil_rank(call, x);
    int order[RML_MAX_RANK], used = 0, rest = 0;
    for (int i = 0; i < rank; i++) {
        if (i >= to && i < to + count) {
            order[i] = from + i - to;
            continue;
        }
        while (rest >= from && rest < from + count)
            rest++;
        order[i] = rest++;
        used++;
    }
    if (call->refused || used + count != rank)
        return x;
    return rml_graph_transpose(call->graph, x, order, rank, call->name);
}

// Whole slices along an axis: the axis is brought to the front, where indices count it off.
static void import_scatter(rml_mil_call *call)
{
    rml_value_id in[] = {rml_mil_in(call, "data"), indices_of(call), rml_mil_in(call, "updates")};
    const int axis = rml_mil_axis_of(call, rml_mil_int(call, "axis", 0), rml_mil_rank(call, in[0]));
    const int depth = rml_mil_rank(call, in[1]);
    const int64_t last = -1;
    const rml_op_attr attr = {.scatter = {.kind = mode_of(call, &in[2])}};
    if (call->refused)
        return;
    in[1] = rml_mil_insert_dims(call, in[1], &last, 1);
    if (axis > 0) {
        in[0] = moved(call, in[0], axis, 1, 0);
        in[2] = moved(call, in[2], axis, depth, 0);
    }
    const rml_value_id out = rml_mil_node(call, RML_OP_SCATTER_ND, &attr, in, 3);
    call->out[0] = axis > 0 ? moved(call, out, 0, 1, axis) : out;
}

// ---- others -------------------------------------------------------------------------------------

// Ones where the index is the place, and no wrapping around: compared with 0, 1, 2...
static void import_one_hot(rml_mil_call *call)
{
    const rml_value_id indices = indices_of(call);
    const int rank = rml_mil_rank(call, indices);
    const int64_t size = rml_mil_int(call, "one_hot_vector_size", 1);
    const int64_t given = rml_mil_int(call, "axis", -1);
    const int64_t axis = rml_mil_axis_of(call, given, rank + 1);
    rml_value_id on = rml_mil_optional(call, "on_value"), off = rml_mil_optional(call, "off_value");
    rml_mil_required(call, "one_hot_vector_size");
    if (size < 0 || size > INT32_MAX)
        rml_mil_refuse(call, "vectors of %lld", (long long)size);
    if (call->refused)
        return;
    on = on == RML_NO_VALUE ? rml_mil_scalar(call, 1, RML_I32) : on;
    off = off == RML_NO_VALUE ? rml_mil_number_like(call, on, 0) : off;
    const rml_value_id limits[] = {rml_mil_scalar(call, 0, RML_I32),
                                   rml_mil_scalar(call, (double)size, RML_I32),
                                   rml_mil_scalar(call, 1, RML_I32)};
    rml_shape shape = {.rank = rank + 1 - (int)axis, .dim = {size}};
    for (int i = 1; i < shape.rank; i++)
        shape.dim[i] = 1;
    const rml_value_id places = rml_graph_reshape(
        call->graph, rml_mil_node(call, RML_OP_RANGE, NULL, limits, 3), &shape, call->name);
    const rml_value_id wide =
        rml_mil_cast(call, rml_mil_insert_dims(call, indices, &axis, 1), RML_I32);
    const rml_value_id in[] = {rml_mil_binary(call, RML_BINARY_EQUAL, wide, places), on, off};
    call->out[0] = rml_mil_node(call, RML_OP_WHERE, NULL, in, 3);
}

static void import_non_zero(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    static const int swap[] = {1, 0};
    const rml_value_id found = rml_mil_node(call, RML_OP_NONZERO, NULL, &x, 1);
    if (!call->refused)
        call->out[0] = rml_mil_cast(
            call, rml_graph_transpose(call->graph, found, swap, 2, call->name), RML_I32);
}

// `lower` diagonals below the main one stay, and `upper` above; all for -1.
static void import_band_part(rml_mil_call *call)
{
    rml_value_id x = rml_mil_in(call, "x");
    const int64_t lower = rml_mil_int(call, "lower", -1), upper = rml_mil_int(call, "upper", -1);
    for (int side = 0; side < 2; side++) {
        if ((side ? upper : lower) < 0)
            continue;
        const rml_op_attr attr = {.trilu = {.upper = side == 0}};
        const rml_value_id in[] = {
            x, rml_mil_scalar(call, side ? (double)upper : -(double)lower, RML_I64)};
        x = rml_mil_node(call, RML_OP_TRILU, &attr, in, 2);
    }
    call->out[0] = x;
}

// Windows of a dimension, as two dimensions.
static void import_sliding_windows(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const int axis = rml_mil_axis_of(call, rml_mil_int(call, "axis", 0), rml_mil_rank(call, x));
    const int64_t length = rml_mil_fact(call, x).shape.dim[axis];
    const int64_t size = rml_mil_int(call, "size", 1), stride = rml_mil_int(call, "stride", 1);
    if (size < 1 || stride < 1 || length < size)
        rml_mil_refuse(call, "windows of %lld by steps of %lld over %lld", (long long)size,
                       (long long)stride, (long long)length);
    if (call->refused)
        return;
    const int64_t count = (length - size) / stride + 1;
    size_t total;
    int64_t *at = NULL;
    if (rml_size_mul((size_t)count, (size_t)size, &total))
        at = rml_mil_alloc(call, total, sizeof *at);
    for (int64_t i = 0; at && i < count; i++)
        for (int64_t k = 0; k < size; k++)
            at[i * size + k] = i * stride + k;
    if (!at)
        return;
    const rml_stored places = rml_stored_plain(at, RML_I64, &(rml_shape){2, {count, size}});
    const rml_value_id in[] = {x, rml_graph_typed_constant(call->graph, call->name, &places)};
    const rml_op_attr attr = {.axis = {axis}};
    call->out[0] = rml_mil_node(call, RML_OP_GATHER, &attr, in, 2);
}

static void import_reverse_sequence(rml_mil_call *call)
{
    rml_value_id in[] = {rml_mil_in(call, "x"), rml_mil_in(call, "lengths")};
    const rml_op_attr attr = {.reverse = {.batch_axis = rml_mil_int(call, "batch_axis", 0),
                                          .time_axis = rml_mil_int(call, "seq_axis", 0)}};
    call->out[0] = rml_mil_node(call, RML_OP_REVERSE_SEQUENCE, &attr, in, 2);
}

const rml_mil_entry rml_mil_index[] = {
    {"gather", import_gather, 0},
    {"gather_along_axis", import_gather_along_axis, 0},
    {"gather_nd", import_gather_nd, 0},
    {"scatter", import_scatter, 0},
    {"scatter_along_axis", import_scatter_along_axis, 0},
    {"scatter_nd", import_scatter_nd, 0},
    {"one_hot", import_one_hot, 0},
    {"non_zero", import_non_zero, 0},
    {"band_part", import_band_part, 0},
    {"sliding_windows", import_sliding_windows, 0},
    {"reverse_sequence", import_reverse_sequence, 0},
    {0},
};
