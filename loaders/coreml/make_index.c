// What picks, writes and arranges elements by index.
#include "loaders/coreml/make.h"

#include "tensor/dtype.h"
#include "tensor/size.h"
#include "tensor/tensor.h"

#include <stdint.h>

// ---- scatter ------------------------------------------------------------------------------------

// Updates that are subtracted or divided by are turned into ones that are not, but for whole
// numbers, which have no reciprocal.
static rml_scatter_kind kind_of(rml_coreml_maker *make, rml_coreml_scatter_mode mode,
                                rml_value_id *updates)
{
    static const rml_scatter_kind kinds[] = {
        [RML_COREML_UPDATE] = RML_SCATTER_SET, [RML_COREML_ADD] = RML_SCATTER_ADD,
        [RML_COREML_SUB] = RML_SCATTER_ADD,    [RML_COREML_MUL] = RML_SCATTER_MUL,
        [RML_COREML_DIV] = RML_SCATTER_MUL,    [RML_COREML_MAX] = RML_SCATTER_MAX,
        [RML_COREML_MIN] = RML_SCATTER_MIN,
    };
    if (mode == RML_COREML_SUB)
        *updates = rml_coreml_unary(make, RML_UNARY_NEG, *updates, 0, 0);
    if (mode == RML_COREML_DIV && !rml_dtype_is_float(rml_coreml_fact(make, *updates).dtype))
        return RML_SCATTER_DIV;
    if (mode == RML_COREML_DIV)
        *updates = rml_coreml_unary(make, RML_UNARY_RECIPROCAL, *updates, 0, 0);
    return kinds[mode];
}

rml_value_id rml_coreml_scatter_along(rml_coreml_maker *make, rml_value_id data,
                                      rml_value_id indices, rml_value_id updates, int64_t axis,
                                      rml_coreml_scatter_mode mode)
{
    const rml_scatter_kind kind = kind_of(make, mode, &updates);
    const rml_op_attr attr = {.scatter = {.kind = kind, .axis = axis}};
    const rml_value_id in[] = {data, indices, updates};
    return rml_coreml_node(make, RML_OP_SCATTER_ELEMENTS, &attr, in, 3);
}

rml_value_id rml_coreml_scatter_nd(rml_coreml_maker *make, rml_value_id data, rml_value_id indices,
                                   rml_value_id updates, rml_coreml_scatter_mode mode)
{
    const rml_scatter_kind kind = kind_of(make, mode, &updates);
    const rml_op_attr attr = {.scatter = {.kind = kind}};
    const rml_value_id in[] = {data, indices, updates};
    return rml_coreml_node(make, RML_OP_SCATTER_ND, &attr, in, 3);
}

// `count` dimensions from `from` on to the front, or back.
static rml_value_id moved(rml_coreml_maker *make, rml_value_id x, int from, int count, bool back)
{
    int order[RML_MAX_RANK];
    const int rank = rml_coreml_rank(make, x);
    if (from + count > rank)
        rml_coreml_refuse(make, "%d dimensions at axis %d of %d", count, from, rank);
    for (int i = 0; i < rank && !make->refused; i++) {
        const int to = i < count ? from + i : i < from + count ? i - count : i;
        if (back)
            order[to] = i;
        else
            order[i] = to;
    }
    return make->refused ? RML_NO_VALUE
                         : rml_graph_transpose(make->graph, x, order, rank, make->name);
}

// The axis is brought to the front, where indices count it off.
rml_value_id rml_coreml_scatter(rml_coreml_maker *make, rml_value_id data, rml_value_id indices,
                                rml_value_id updates, int64_t axis, rml_coreml_scatter_mode mode)
{
    const int at = rml_coreml_axis_of(make, axis, rml_coreml_rank(make, data));
    const int depth = rml_coreml_rank(make, indices);
    const int64_t last = -1;
    if (at > 0) {
        data = moved(make, data, at, 1, false);
        updates = moved(make, updates, at, depth, false);
    }
    indices = rml_coreml_insert_dims(make, indices, &last, 1);
    const rml_value_id out = rml_coreml_scatter_nd(make, data, indices, updates, mode);
    return at > 0 ? moved(make, out, at, 1, true) : out;
}

// ---- parts along an axis ------------------------------------------------------------------------

static rml_value_id where(rml_coreml_maker *make, rml_value_id is, rml_value_id yes,
                          rml_value_id no)
{
    const rml_value_id in[] = {is, yes, no};
    return rml_coreml_node(make, RML_OP_WHERE, NULL, in, 3);
}

// A begin below 0 counts from the end, which a sum of both must not reach as 0.
rml_value_id rml_coreml_slice_by_size(rml_coreml_maker *make, rml_value_id x, int axis,
                                      rml_value_id begin, rml_value_id size)
{
    const rml_value_id zero = rml_coreml_number(make, 0, RML_I64);
    const rml_value_id open = rml_coreml_ints(make, &(int64_t){INT64_MAX}, 1);
    const rml_value_id sizes = rml_coreml_sizes(make, x);
    if (make->refused)
        return RML_NO_VALUE;
    const rml_value_id all = rml_graph_slice(make->graph, sizes, 0, axis, axis + 1, 1, make->name);
    const rml_value_id behind = rml_coreml_binary(
        make, RML_BINARY_MAX, rml_coreml_binary(make, RML_BINARY_ADD, begin, all), zero);
    const rml_value_id from =
        where(make, rml_coreml_binary(make, RML_BINARY_LESS, begin, zero), behind, begin);
    const rml_value_id to = where(make, rml_coreml_binary(make, RML_BINARY_LESS, size, zero), open,
                                  rml_coreml_binary(make, RML_BINARY_ADD, from, size));
    return rml_coreml_slice_axis(make, x, axis, from, to);
}

// The operator has both axes in front.
rml_value_id rml_coreml_reverse_sequence(rml_coreml_maker *make, rml_value_id x,
                                         rml_value_id lengths, int64_t batch_axis,
                                         int64_t time_axis)
{
    const int rank = rml_coreml_rank(make, x);
    const int batch = rml_coreml_axis_of(make, batch_axis, rank);
    const int time = rml_coreml_axis_of(make, time_axis, rank);
    const bool in_front = batch + time == 1;
    int order[RML_MAX_RANK] = {batch, time}, back[RML_MAX_RANK] = {0}, count = 2;
    if (batch == time)
        rml_coreml_refuse(make, "axis %d is that of the batch and that of the sequence", time);
    for (int i = 0; i < rank; i++)
        if (i != batch && i != time)
            order[count++] = i;
    for (int i = 0; i < rank && !make->refused; i++)
        back[order[i]] = i;
    if (make->refused)
        return RML_NO_VALUE;
    const rml_op_attr attr = {
        .reverse = {.batch_axis = in_front ? batch : 0, .time_axis = in_front ? time : 1}};
    const rml_value_id in[] = {
        in_front ? x : rml_graph_transpose(make->graph, x, order, rank, make->name), lengths};
    x = rml_coreml_node(make, RML_OP_REVERSE_SEQUENCE, &attr, in, 2);
    return in_front ? x : rml_graph_transpose(make->graph, x, back, rank, make->name);
}

// ---- arrangements -------------------------------------------------------------------------------

rml_value_id rml_coreml_one_hot(rml_coreml_maker *make, rml_value_id indices, int64_t size,
                                int64_t axis, rml_value_id on, rml_value_id off)
{
    const int rank = rml_coreml_rank(make, indices);
    const int64_t at = rml_coreml_axis_of(make, axis, rank + 1);
    rml_shape shape = {.rank = rank + 1 - (int)at, .dim = {size}};
    if (size < 0 || size > INT32_MAX)
        rml_coreml_refuse(make, "vectors of %lld", (long long)size);
    if (make->refused)
        return RML_NO_VALUE;
    for (int i = 1; i < shape.rank; i++)
        shape.dim[i] = 1;
    const rml_value_id limits[] = {rml_coreml_number(make, 0, RML_I64),
                                   rml_coreml_number(make, (double)size, RML_I64),
                                   rml_coreml_number(make, 1, RML_I64)};
    const rml_value_id places =
        rml_coreml_reshape(make, rml_coreml_node(make, RML_OP_RANGE, NULL, limits, 3), &shape);
    const rml_value_id wide =
        rml_coreml_cast(make, rml_coreml_insert_dims(make, indices, &at, 1), RML_I64);
    const rml_value_id in[] = {rml_coreml_binary(make, RML_BINARY_EQUAL, wide, places), on, off};
    return rml_coreml_node(make, RML_OP_WHERE, NULL, in, 3);
}

rml_value_id rml_coreml_non_zero(rml_coreml_maker *make, rml_value_id x)
{
    static const int swap[] = {1, 0};
    const rml_value_id found = rml_coreml_node(make, RML_OP_NONZERO, NULL, &x, 1);
    return make->refused ? RML_NO_VALUE
                         : rml_graph_transpose(make->graph, found, swap, 2, make->name);
}

rml_value_id rml_coreml_triangle(rml_coreml_maker *make, rml_value_id x, bool upper,
                                 int64_t diagonal)
{
    const rml_value_id in[] = {x, rml_coreml_number(make, (double)diagonal, RML_I64)};
    return rml_coreml_node(make, RML_OP_TRILU, &(rml_op_attr){.trilu = {upper}}, in, 2);
}

rml_value_id rml_coreml_band(rml_coreml_maker *make, rml_value_id x, int64_t lower, int64_t upper)
{
    if (lower >= 0)
        x = rml_coreml_triangle(make, x, true, -lower);
    return upper >= 0 ? rml_coreml_triangle(make, x, false, upper) : x;
}

// Places of windows along an axis whose length a run tells: (windows, size).
static rml_value_id computed_windows(rml_coreml_maker *make, rml_value_id x, int axis, int64_t size,
                                     int64_t step)
{
    const int64_t last = 1;
    const rml_value_id zero = rml_coreml_number(make, 0, RML_I64);
    const rml_value_id one = rml_coreml_number(make, 1, RML_I64);
    const rml_value_id width = rml_coreml_number(make, (double)size, RML_I64);
    const rml_value_id of[] = {rml_coreml_sizes(make, x), rml_coreml_number(make, axis, RML_I64)};
    rml_value_id stop = rml_coreml_node(make, RML_OP_GATHER, NULL, of, 2);
    stop = rml_coreml_binary(make, RML_BINARY_SUB, stop, width);
    stop = rml_coreml_binary(make, RML_BINARY_ADD, stop, one);
    const rml_value_id begins[] = {zero, stop, rml_coreml_number(make, (double)step, RML_I64)};
    const rml_value_id inside[] = {zero, width, one};
    const rml_value_id begin = rml_coreml_node(make, RML_OP_RANGE, NULL, begins, 3);
    return rml_coreml_binary(make, RML_BINARY_ADD, rml_coreml_insert_dims(make, begin, &last, 1),
                             rml_coreml_node(make, RML_OP_RANGE, NULL, inside, 3));
}

rml_value_id rml_coreml_windows(rml_coreml_maker *make, rml_value_id x, int64_t axis, int64_t size,
                                int64_t step)
{
    const int at = rml_coreml_axis_of(make, axis, rml_coreml_rank(make, x));
    const int64_t length = rml_coreml_fact(make, x).shape.dim[at];
    size_t total;
    if (size < 1 || step < 1 || (length >= 0 && length < size))
        rml_coreml_refuse(make, "windows of %lld by steps of %lld over %lld", (long long)size,
                          (long long)step, (long long)length);
    if (make->refused)
        return RML_NO_VALUE;
    if (length < 0) {
        const rml_value_id in[] = {x, computed_windows(make, x, at, size, step)};
        return rml_coreml_node(make, RML_OP_GATHER, &(rml_op_attr){.axis = {.axis = at}}, in, 2);
    }
    const int64_t count = (length - size) / step + 1;
    int64_t *from = NULL;
    if (rml_size_mul((size_t)count, (size_t)size, &total))
        from = rml_coreml_alloc(make, total, sizeof *from);
    else
        rml_coreml_refuse(make, "%lld windows of %lld", (long long)count, (long long)size);
    for (int64_t i = 0; from && i < count; i++)
        for (int64_t k = 0; k < size; k++)
            from[i * size + k] = i * step + k;
    if (!from)
        return RML_NO_VALUE;
    const rml_stored places = rml_stored_plain(from, RML_I64, &(rml_shape){2, {count, size}});
    const rml_value_id in[] = {x, rml_graph_typed_constant(make->graph, make->name, &places)};
    return rml_coreml_node(make, RML_OP_GATHER, &(rml_op_attr){.axis = {.axis = at}}, in, 2);
}

rml_value_id rml_coreml_reverse(rml_coreml_maker *make, rml_value_id x, const bool *flags)
{
    const int rank = rml_coreml_rank(make, x);
    for (int i = 0; i < rank && !make->refused; i++)
        if (flags[i])
            x = rml_graph_slice(make->graph, x, i, INT64_MAX, INT64_MIN, -1, make->name);
    return x;
}
