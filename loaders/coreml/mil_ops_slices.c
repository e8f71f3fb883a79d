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
        x = rml_coreml_slice_by_size(&call->make, x, i, element(call, begin, i),
                                     element(call, size, i));
    }
    call->out[0] = x;
}

// Places of x along an axis that `count` elements are written to, as (count) of i64; those below 0
// count from the end.
static rml_value_id places_of(rml_mil_call *call, const rml_coreml_cut *c, int axis, int64_t size,
                              int64_t count)
{
    int64_t begin = 0, step = 1, *list = rml_coreml_alloc(&call->make, (size_t)count, sizeof *list);
    if (c->stride != RML_NO_VALUE && !rml_coreml_known(&call->make, c->stride, (size_t)axis, &step))
        rml_coreml_refuse(&call->make, "its stride is not constant");
    const bool known =
        c->begin_open[axis] || rml_coreml_known(&call->make, c->begin, (size_t)axis, &begin);
    if (!list || call->make.refused)
        return RML_NO_VALUE;
    if (c->begin_open[axis])
        begin = step < 0 ? -1 : 0;
    else if (known && size >= 0 && step > 0 && begin < -size)
        begin = 0;
    else if (known && size >= 0 && step < 0 && begin >= size)
        begin = size - 1;
    for (int64_t i = 0; i < count; i++)
        list[i] = begin + i * step;
    const rml_stored places = rml_stored_plain(list, RML_I64, &(rml_shape){1, {count}});
    const rml_value_id constant =
        rml_graph_typed_constant(call->make.graph, call->make.name, &places);
    return known ? constant
                 : rml_coreml_binary(&call->make, RML_BINARY_ADD, constant,
                                     element(call, c->begin, axis));
}

// A part of x becomes `update`, whose shape is the part's. Only axes up to the last that is not
// taken as a whole are counted off: what lies behind is copied in one piece.
static rml_value_id replaced(rml_mil_call *call, const rml_coreml_cut *c, rml_value_id x,
                             rml_value_id update, int rank)
{
    const rml_shape whole = rml_coreml_fact(&call->make, x).shape;
    int64_t gone[RML_MAX_RANK];
    int gone_count = 0, used = 0;
    for (int i = 0; i < rank; i++)
        if (c->squeeze[i])
            gone[gone_count++] = i;
    if (gone_count > 0)
        update = rml_coreml_insert_dims(&call->make, update, gone, gone_count);
    const rml_shape part = rml_coreml_fact(&call->make, update).shape;
    if (part.rank != rank)
        rml_coreml_refuse(&call->make, "it writes %d dimensions to %d", part.rank, rank);
    for (int i = 0; i < rank && !call->make.refused; i++) {
        int64_t step = 1;
        if (c->stride != RML_NO_VALUE)
            rml_coreml_known(&call->make, c->stride, (size_t)i, &step);
        if (part.dim[i] < 0 || whole.dim[i] < 0 || part.dim[i] != whole.dim[i] || step != 1)
            used = i + 1;
    }
    rml_value_id places[RML_MAX_RANK] = {0};
    rml_shape grid = {.rank = used};
    for (int i = 0; i < used && !call->make.refused; i++) {
        grid.dim[i] = part.dim[i];
        if (part.dim[i] < 0 || (whole.dim[i] >= 0 && part.dim[i] > whole.dim[i]))
            rml_coreml_refuse(&call->make, "it writes %lld elements along axis %d, which has %lld",
                              (long long)part.dim[i], i, (long long)whole.dim[i]);
    }
    for (int i = 0; i < used && !call->make.refused; i++) {
        rml_shape along = {.rank = used};
        for (int k = 0; k < used; k++)
            along.dim[k] = k == i ? part.dim[i] : 1;
        places[i] = rml_coreml_reshape(&call->make,
                                       places_of(call, c, i, whole.dim[i], part.dim[i]), &along);
        places[i] =
            rml_graph_expand(call->make.graph, places[i], &grid, RML_NO_VALUE, call->make.name);
    }
    if (used == 0 || call->make.refused)
        return update;
    for (int i = 0; i < used; i++)
        if (grid.dim[i] == 0)
            return x;
    const rml_value_id indices = rml_coreml_stack(&call->make, places, used, used);
    return rml_coreml_scatter_nd(&call->make, x, indices, update, RML_COREML_UPDATE);
}

static void import_slice_update(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x"), update = rml_mil_in(call, "update");
    const rml_coreml_cut c = read_cut(call);
    call->out[0] = replaced(call, &c, x, update, rml_coreml_rank(&call->make, x));
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
