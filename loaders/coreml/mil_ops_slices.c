// Cuts along axes.
#include "loaders/coreml/mil_handler.h"

#include "tensor/tensor.h"

#include <stdint.h>

typedef struct cut {
    rml_value_id begin, end, stride; // vectors; RML_NO_VALUE: not given
    int64_t begin_open[RML_MAX_RANK], end_open[RML_MAX_RANK], squeeze[RML_MAX_RANK];
    int squeezes; // entries given
} cut;

// Number `i` of a vector of i32, as (1) of i64.
static rml_value_id element(rml_mil_call *call, rml_value_id list, int i)
{
    const rml_value_id one = rml_graph_slice(call->graph, list, 0, i, i + 1, 1, call->name);
    return rml_mil_cast(call, one, RML_I64);
}

// x[begin : end : step] of one axis, whose ends may be values of a run.
static rml_value_id sliced(rml_mil_call *call, rml_value_id x, int axis, rml_value_id begin,
                           rml_value_id end, int64_t step)
{
    const int64_t at = axis;
    const rml_value_id in[] = {x, begin, end, rml_mil_ints_value(call, &at, 1),
                               rml_mil_ints_value(call, &step, 1)};
    return rml_mil_node(call, RML_OP_SLICE, NULL, in, 5);
}

static rml_value_id cut_axis(rml_mil_call *call, const cut *c, rml_value_id x, int axis)
{
    int64_t begin = 0, end = 0, step = 1;
    const bool single = c->squeeze[axis];
    if (c->stride != RML_NO_VALUE && !rml_mil_known(call, c->stride, (size_t)axis, &step))
        rml_mil_refuse(call, "its stride is not constant");
    step = single ? 1 : step;
    const bool begin_open = c->begin_open[axis] && !single;
    const bool end_open = c->end_open[axis] && !single;
    if (begin_open)
        begin = step < 0 ? INT64_MAX : 0;
    if (end_open)
        end = step < 0 ? INT64_MIN : INT64_MAX;
    const bool begin_known = begin_open || rml_mil_known(call, c->begin, (size_t)axis, &begin);
    if (begin_open && end_open && step == 1)
        return x;
    if (single && begin_known)
        end = begin == -1 ? INT64_MAX : begin + 1;
    const bool end_known =
        end_open || (single ? begin_known : rml_mil_known(call, c->end, (size_t)axis, &end));
    if (call->refused)
        return RML_NO_VALUE;
    if (begin_known && end_known)
        return rml_graph_slice(call->graph, x, axis, begin, end, step, call->name);
    const rml_value_id first =
        begin_known ? rml_mil_ints_value(call, &begin, 1) : element(call, c->begin, axis);
    if (single) { // picked, so that -1 is the last one
        const rml_value_id in[] = {x, first};
        const rml_op_attr attr = {.axis = {axis}};
        return rml_mil_node(call, RML_OP_GATHER, &attr, in, 2);
    }
    const rml_value_id last =
        end_known ? rml_mil_ints_value(call, &end, 1) : element(call, c->end, axis);
    return sliced(call, x, axis, first, last, step);
}

static cut read_cut(rml_mil_call *call)
{
    cut c = {.begin = rml_mil_in(call, "begin"),
             .end = rml_mil_in(call, "end"),
             .stride = rml_mil_optional(call, "stride")};
    rml_mil_ints(call, "begin_mask", c.begin_open, RML_MAX_RANK);
    rml_mil_ints(call, "end_mask", c.end_open, RML_MAX_RANK);
    c.squeezes = rml_mil_ints(call, "squeeze_mask", c.squeeze, RML_MAX_RANK);
    return c;
}

static void import_slice_by_index(rml_mil_call *call)
{
    rml_value_id x = rml_mil_in(call, "x");
    const cut c = read_cut(call);
    const int rank = rml_mil_rank(call, x);
    int64_t gone[RML_MAX_RANK];
    int count = 0;
    for (int i = 0; i < rank && !call->refused; i++) {
        x = cut_axis(call, &c, x, i);
        if (c.squeeze[i])
            gone[count++] = i;
    }
    if (count > 0) {
        const rml_value_id in[] = {x, rml_mil_ints_value(call, gone, count)};
        x = rml_mil_node(call, RML_OP_SQUEEZE, NULL, in, 2);
    }
    call->out[0] = x;
}

// A size of -1 goes to the end.
static void import_slice_by_size(rml_mil_call *call)
{
    rml_value_id x = rml_mil_in(call, "x");
    const rml_value_id begin = rml_mil_in(call, "begin"), size = rml_mil_in(call, "size");
    const int rank = rml_mil_rank(call, x);
    for (int i = 0; i < rank && !call->refused; i++) {
        int64_t first = 0, count = 0;
        const bool first_known = rml_mil_known(call, begin, (size_t)i, &first);
        const bool count_known = rml_mil_known(call, size, (size_t)i, &count);
        if (first_known && count_known) {
            const int64_t end =
                count < 0 || (first < 0 && first + count >= 0) ? INT64_MAX : first + count;
            x = rml_graph_slice(call->graph, x, i, first, end, 1, call->name);
            continue;
        }
        const rml_value_id from = element(call, begin, i);
        rml_value_id to = rml_mil_ints_value(call, &(int64_t){INT64_MAX}, 1);
        if (!count_known || count >= 0)
            to = rml_mil_binary(call, RML_BINARY_ADD, from, element(call, size, i));
        x = sliced(call, x, i, from, to, 1);
    }
    call->out[0] = x;
}

// `update` in the place of a part of x: axis by axis what comes before, the part, what comes
// behind.
static rml_value_id replaced(rml_mil_call *call, const cut *c, rml_value_id x, rml_value_id update,
                             int axis, int rank)
{
    int64_t begin = 0, end = 0, step = 1;
    const int64_t size = rml_mil_fact(call, x).shape.dim[axis];
    if (axis == rank || call->refused)
        return update;
    if (c->stride != RML_NO_VALUE)
        rml_mil_known(call, c->stride, (size_t)axis, &step);
    if (c->begin_open[axis])
        begin = 0;
    else if (!rml_mil_known(call, c->begin, (size_t)axis, &begin))
        rml_mil_refuse(call, "its begin is not constant");
    if (c->end_open[axis])
        end = size;
    else if (!rml_mil_known(call, c->end, (size_t)axis, &end))
        rml_mil_refuse(call, "its end is not constant");
    begin += begin < 0 ? size : 0;
    end += end < 0 ? size : 0;
    if (size < 0 || step != 1 || c->squeeze[axis] || begin < 0 || end > size || begin > end)
        rml_mil_refuse(call, "it writes %lld to %lld of %lld, by steps of %lld", (long long)begin,
                       (long long)end, (long long)size, (long long)step);
    if (call->refused)
        return RML_NO_VALUE;
    rml_value_id parts[3];
    int used = 0;
    rml_graph *graph = call->graph;
    if (begin > 0)
        parts[used++] = rml_graph_slice(graph, x, axis, 0, begin, 1, call->name);
    const rml_value_id inner = rml_graph_slice(graph, x, axis, begin, end, 1, call->name);
    parts[used++] = replaced(call, c, inner, update, axis + 1, rank);
    if (end < size)
        parts[used++] = rml_graph_slice(graph, x, axis, end, size, 1, call->name);
    return used == 1 ? parts[0] : rml_graph_concat(graph, parts, used, axis, call->name);
}

static void import_slice_update(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x"), update = rml_mil_in(call, "update");
    const cut c = read_cut(call);
    call->out[0] = replaced(call, &c, x, update, 0, rml_mil_rank(call, x));
}

static void import_crop(rml_mil_call *call)
{
    rml_value_id x = rml_mil_in(call, "x");
    int64_t edge[2][2] = {{0}};
    const int rank = rml_mil_rank(call, x);
    if (rml_mil_ints(call, "crop_height", edge[0], 2) != 2 ||
        rml_mil_ints(call, "crop_width", edge[1], 2) != 2 || rank < 2)
        rml_mil_refuse(call, "it has no two numbers for height and for width");
    for (int i = 0; i < 2 && !call->refused; i++)
        x = rml_graph_slice(call->graph, x, rank - 2 + i, edge[i][0],
                            edge[i][1] > 0 ? -edge[i][1] : INT64_MAX, 1, call->name);
    call->out[0] = x;
}

static void import_reverse(rml_mil_call *call)
{
    rml_value_id x = rml_mil_in(call, "x");
    int axes[RML_MAX_RANK];
    const int rank = rml_mil_rank(call, x);
    int count = rml_mil_axes(call, "axes", axes, RML_MAX_RANK);
    for (int i = 0; count < 0 && i < rank; i++)
        axes[i] = i;
    count = count < 0 ? rank : count;
    for (int i = 0; i < count && !call->refused; i++)
        x = rml_graph_slice(call->graph, x, rml_mil_axis_of(call, axes[i], rank), INT64_MAX,
                            INT64_MIN, -1, call->name);
    call->out[0] = x;
}

const rml_mil_entry rml_mil_slices[] = {
    {"slice_by_index", import_slice_by_index, 0},
    {"slice_by_size", import_slice_by_size, 0},
    {"slice_update", import_slice_update, 0},
    {"crop", import_crop, 0},
    {"reverse", import_reverse, 0},
    {0},
};
