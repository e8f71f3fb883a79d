// Cuts along axes.
#include "loaders/coreml/mil_handler.h"

#include "tensor/tensor.h"

#include <stdint.h>

static rml_coreml_cut read_cut(rml_mil_call *call)
{
    rml_coreml_cut c = {.begin = rml_mil_in(call, "begin"),
                        .end = rml_mil_in(call, "end"),
                        .stride = rml_mil_optional(call, "stride")};
    rml_mil_ints(call, "begin_mask", c.begin_open, RML_MAX_RANK);
    rml_mil_ints(call, "end_mask", c.end_open, RML_MAX_RANK);
    rml_mil_ints(call, "squeeze_mask", c.squeeze, RML_MAX_RANK);
    return c;
}

static void import_slice_by_index(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const rml_coreml_cut c = read_cut(call);
    call->out[0] = rml_coreml_slice(&call->make, x, &c);
}

// Number `i` of a vector, as (1) of i64.
static rml_value_id element(rml_mil_call *call, rml_value_id list, int i)
{
    const rml_value_id one =
        rml_graph_slice(call->make.graph, list, 0, i, i + 1, 1, call->make.name);
    return rml_coreml_cast(&call->make, one, RML_I64);
}

// A size of -1 goes to the end.
static void import_slice_by_size(rml_mil_call *call)
{
    rml_value_id x = rml_mil_in(call, "x");
    const rml_value_id begin = rml_mil_in(call, "begin"), size = rml_mil_in(call, "size");
    const int rank = rml_coreml_rank(&call->make, x);
    for (int i = 0; i < rank && !call->make.refused; i++) {
        int64_t first = 0, count = 0;
        const bool first_known = rml_coreml_known(&call->make, begin, (size_t)i, &first);
        const bool count_known = rml_coreml_known(&call->make, size, (size_t)i, &count);
        const bool to_end = count_known && count < 0;
        if (first_known && count_known) {
            const int64_t end =
                to_end || (first < 0 && first + count >= 0) ? INT64_MAX : first + count;
            x = rml_graph_slice(call->make.graph, x, i, first, end, 1, call->make.name);
            continue;
        }
        const rml_value_id from = element(call, begin, i);
        const rml_value_id to =
            to_end ? rml_coreml_ints(&call->make, &(int64_t){INT64_MAX}, 1)
                   : rml_coreml_binary(&call->make, RML_BINARY_ADD, from, element(call, size, i));
        x = rml_coreml_slice_axis(&call->make, x, i, from, to);
    }
    call->out[0] = x;
}

// `update` in the place of a part of x: axis by axis what comes before, the part, what comes
// behind.
static rml_value_id replaced(rml_mil_call *call, const rml_coreml_cut *c, rml_value_id x,
                             rml_value_id update, int axis, int rank)
{
    int64_t begin = 0, end = 0, step = 1;
    const int64_t size = rml_coreml_fact(&call->make, x).shape.dim[axis];
    if (axis == rank || call->make.refused)
        return update;
    if (c->stride != RML_NO_VALUE)
        rml_coreml_known(&call->make, c->stride, (size_t)axis, &step);
    if (c->begin_open[axis])
        begin = 0;
    else if (!rml_coreml_known(&call->make, c->begin, (size_t)axis, &begin))
        rml_coreml_refuse(&call->make, "its begin is not constant");
    if (c->end_open[axis])
        end = size;
    else if (!rml_coreml_known(&call->make, c->end, (size_t)axis, &end))
        rml_coreml_refuse(&call->make, "its end is not constant");
    begin += begin < 0 ? size : 0;
    end += end < 0 ? size : 0;
    if (size < 0 || step != 1 || c->squeeze[axis] || begin < 0 || end > size || begin > end)
        rml_coreml_refuse(&call->make, "it writes %lld to %lld of %lld, by steps of %lld",
                          (long long)begin, (long long)end, (long long)size, (long long)step);
    if (call->make.refused)
        return RML_NO_VALUE;
    rml_value_id parts[3];
    int used = 0;
    rml_graph *graph = call->make.graph;
    if (begin > 0)
        parts[used++] = rml_graph_slice(graph, x, axis, 0, begin, 1, call->make.name);
    const rml_value_id inner = rml_graph_slice(graph, x, axis, begin, end, 1, call->make.name);
    parts[used++] = replaced(call, c, inner, update, axis + 1, rank);
    if (end < size)
        parts[used++] = rml_graph_slice(graph, x, axis, end, size, 1, call->make.name);
    return used == 1 ? parts[0] : rml_graph_concat(graph, parts, used, axis, call->make.name);
}

static void import_slice_update(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x"), update = rml_mil_in(call, "update");
    const rml_coreml_cut c = read_cut(call);
    call->out[0] = replaced(call, &c, x, update, 0, rml_coreml_rank(&call->make, x));
}

static void import_crop(rml_mil_call *call)
{
    rml_value_id x = rml_mil_in(call, "x");
    int64_t edge[2][2] = {{0}};
    const int rank = rml_coreml_rank(&call->make, x);
    if (rml_mil_ints(call, "crop_height", edge[0], 2) != 2 ||
        rml_mil_ints(call, "crop_width", edge[1], 2) != 2 || rank < 2)
        rml_coreml_refuse(&call->make, "it has no two numbers for height and for width");
    for (int i = 0; i < 2 && !call->make.refused; i++)
        x = rml_graph_slice(call->make.graph, x, rank - 2 + i, edge[i][0],
                            edge[i][1] > 0 ? -edge[i][1] : INT64_MAX, 1, call->make.name);
    call->out[0] = x;
}

static void import_reverse(rml_mil_call *call)
{
    bool flags[RML_MAX_RANK] = {false};
    int axes[RML_MAX_RANK];
    const rml_value_id x = rml_mil_in(call, "x");
    const int rank = rml_coreml_rank(&call->make, x);
    const int count = rml_mil_axes(call, "axes", axes, RML_MAX_RANK);
    for (int i = 0; i < (count < 0 ? rank : count); i++)
        flags[count < 0 ? i : rml_coreml_axis_of(&call->make, axes[i], rank)] = true;
    call->out[0] = rml_coreml_reverse(&call->make, x, flags);
}

const rml_mil_entry rml_mil_slices[] = {
    {"slice_by_index", import_slice_by_index, 0},
    {"slice_by_size", import_slice_by_size, 0},
    {"slice_update", import_slice_update, 0},
    {"crop", import_crop, 0},
    {"reverse", import_reverse, 0},
    {0},
};
