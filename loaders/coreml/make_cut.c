// x[begin : end : stride] of all axes, by numbers of the file or of a run.
#include "loaders/coreml/make.h"

#include "tensor/tensor.h"

#include <stdint.h>

// Number `i` of a list, as (1) of i64.
static rml_value_id element(rml_coreml_maker *make, rml_value_id list, int i)
{
    const rml_value_id one = rml_graph_slice(make->graph, list, 0, i, i + 1, 1, make->name);
    return rml_coreml_cast(make, one, RML_I64);
}

static rml_value_id slice_by(rml_coreml_maker *make, rml_value_id x, int axis, rml_value_id from,
                             rml_value_id to, int64_t step)
{
    const int64_t at = axis;
    const rml_value_id in[] = {x, from, to, rml_coreml_ints(make, &at, 1),
                               rml_coreml_ints(make, &step, 1)};
    return rml_coreml_node(make, RML_OP_SLICE, NULL, in, 5);
}

rml_value_id rml_coreml_slice_axis(rml_coreml_maker *make, rml_value_id x, int axis,
                                   rml_value_id from, rml_value_id to)
{
    return slice_by(make, x, axis, from, to, 1);
}

// The element at the axis's begin; -1 is the last one.
static rml_value_id pick(rml_coreml_maker *make, const rml_coreml_cut *cut, rml_value_id x,
                         int axis)
{
    int64_t begin;
    if (rml_coreml_known(make, cut->begin, (size_t)axis, &begin))
        return rml_graph_slice(make->graph, x, axis, begin, begin == -1 ? INT64_MAX : begin + 1, 1,
                               make->name);
    const rml_value_id in[] = {x, element(make, cut->begin, axis)};
    return rml_coreml_node(make, RML_OP_GATHER, &(rml_op_attr){.axis = {.axis = axis}}, in, 2);
}

static rml_value_id cut_axis(rml_coreml_maker *make, const rml_coreml_cut *cut, rml_value_id x,
                             int axis)
{
    int64_t begin = 0, end = 0, step = 1;
    const bool begin_open = cut->begin_open[axis], end_open = cut->end_open[axis];
    if (make->refused)
        return RML_NO_VALUE;
    if (cut->squeeze[axis])
        return pick(make, cut, x, axis);
    if (cut->stride != RML_NO_VALUE && !rml_coreml_known(make, cut->stride, (size_t)axis, &step))
        rml_coreml_refuse(make, "its stride is not constant");
    if (begin_open && end_open && step == 1)
        return x;
    const bool begin_known = begin_open || rml_coreml_known(make, cut->begin, (size_t)axis, &begin);
    const bool end_known = end_open || rml_coreml_known(make, cut->end, (size_t)axis, &end);
    if (begin_open)
        begin = step < 0 ? INT64_MAX : 0;
    if (end_open)
        end = step < 0 ? INT64_MIN : INT64_MAX;
    if (make->refused)
        return RML_NO_VALUE;
    if (begin_known && end_known)
        return rml_graph_slice(make->graph, x, axis, begin, end, step, make->name);
    return slice_by(
        make, x, axis,
        begin_known ? rml_coreml_ints(make, &begin, 1) : element(make, cut->begin, axis),
        end_known ? rml_coreml_ints(make, &end, 1) : element(make, cut->end, axis), step);
}

rml_value_id rml_coreml_slice(rml_coreml_maker *make, rml_value_id x, const rml_coreml_cut *cut)
{
    const int rank = rml_coreml_rank(make, x);
    int64_t gone[RML_MAX_RANK];
    int count = 0;
    for (int i = 0; i < rank && !make->refused; i++) {
        x = cut_axis(make, cut, x, i);
        if (cut->squeeze[i])
            gone[count++] = i;
    }
    if (count == 0)
        return x;
    const rml_value_id in[] = {x, rml_coreml_ints(make, gone, count)};
    return rml_coreml_node(make, RML_OP_SQUEEZE, NULL, in, 2);
}

// ---- all lists from a run -----------------------------------------------------------------------

static rml_value_id where(rml_coreml_maker *make, rml_value_id test, rml_value_id a, rml_value_id b)
{
    const rml_value_id in[] = {test, a, b};
    return rml_coreml_node(make, RML_OP_WHERE, NULL, in, 3);
}

static rml_value_id is_set(rml_coreml_maker *make, rml_value_id mask)
{
    return rml_coreml_cast(make, mask, RML_BOOL);
}

// What is left of the sizes of x (rank) without the axes that are squeezed, a 1 where none is.
static rml_value_id sizes_left(rml_coreml_maker *make, rml_value_id x, rml_value_id squeeze)
{
    const int64_t axis = 1;
    const rml_value_id one = rml_coreml_ints(make, &axis, 1);
    const rml_value_id zero = rml_coreml_number(make, 0, RML_I64);
    const rml_value_id stay = rml_coreml_binary(make, RML_BINARY_EQUAL, squeeze, zero);
    const rml_value_id which = rml_coreml_non_zero(make, stay); // (n,1)
    const rml_value_id flat[] = {which, one};
    const rml_value_id from[] = {rml_coreml_sizes(make, x),
                                 rml_coreml_node(make, RML_OP_SQUEEZE, NULL, flat, 2)};
    const rml_value_id left = rml_coreml_node(make, RML_OP_GATHER, NULL, from, 2);
    const rml_value_id parts[] = {left, one};
    const rml_value_id more = rml_coreml_concat(make, parts, 2, 0, false);
    const rml_value_id count =
        rml_coreml_binary(make, RML_BINARY_MAX, rml_coreml_sizes(make, left), one);
    return rml_coreml_slice_axis(make, more, 0, rml_coreml_ints(make, &(int64_t){0}, 1), count);
}

rml_value_id rml_coreml_slice_by_run(rml_coreml_maker *make, rml_value_id x,
                                     const rml_value_id lists[RML_COREML_CUT_LISTS])
{
    const rml_value_id zero = rml_coreml_number(make, 0, RML_I64);
    const rml_value_id one = rml_coreml_number(make, 1, RML_I64);
    const rml_value_id most = rml_coreml_number(make, INT32_MAX, RML_I64);
    const rml_value_id least = rml_coreml_number(make, INT32_MIN, RML_I64);
    const rml_value_id begin = lists[0], end = lists[1], stride = lists[2];
    const rml_value_id picked = is_set(make, lists[5]);
    const rml_value_id back = rml_coreml_binary(make, RML_BINARY_LESS, stride, zero);
    const rml_value_id last =
        rml_coreml_binary(make, RML_BINARY_EQUAL, begin, rml_coreml_number(make, -1, RML_I64));
    const rml_value_id next = rml_coreml_binary(make, RML_BINARY_ADD, begin, one);
    const rml_value_id from =
        where(make, is_set(make, lists[3]), where(make, back, most, zero), begin);
    const rml_value_id to =
        where(make, is_set(make, lists[4]), where(make, back, least, most), end);
    const rml_value_id in[] = {x, where(make, picked, begin, from),
                               where(make, picked, where(make, last, most, next), to), RML_NO_VALUE,
                               where(make, picked, one, stride)};
    const rml_value_id cut = rml_coreml_node(make, RML_OP_SLICE, NULL, in, 5);
    const rml_fact squeeze = rml_coreml_fact(make, lists[5]);
    bool squeezes = !squeeze.data;
    for (int i = 0; squeeze.data && i < rml_coreml_rank(make, x); i++)
        squeezes = squeezes || ((const int64_t *)squeeze.data)[i] != 0;
    if (make->refused || !squeezes)
        return make->refused ? RML_NO_VALUE : cut;
    const rml_value_id shaped[] = {cut, sizes_left(make, cut, lists[5])};
    return rml_coreml_node(make, RML_OP_RESHAPE, &(rml_op_attr){.reshape = {.keep_zero = true}},
                           shaped, 2);
}
