// What picks, writes and arranges elements by index. Indices are floats in these files.
#include "loaders/coreml/nn_handler.h"

#include "tensor/tensor.h"

static rml_value_id inserted(rml_nn_call *call, rml_value_id x, int64_t axis)
{
    const rml_value_id in[] = {x, rml_nn_ints_value(call, &axis, 1)};
    return rml_nn_node(call, RML_OP_UNSQUEEZE, NULL, in, 2);
}

static void import_gather(rml_nn_call *call)
{
    const rml_value_id in[] = {rml_nn_in(call, 0), rml_nn_indices(call, rml_nn_in(call, 1))};
    rml_op_attr attr = {.axis = {rml_nn_int(call, 1)}};
    if (call->option == RML_OP_GATHER_ND)
        attr = (rml_op_attr){.gather_nd = {0}};
    call->out[0] = rml_nn_node(call, (rml_op_id)call->option, &attr, in, 2);
}

// ---- scatter ------------------------------------------------------------------------------------

// How updates join; those that are subtracted or divided by are turned into ones that are not.
static rml_scatter_kind mode_of(rml_nn_call *call, uint32_t number, rml_value_id *updates)
{
    enum { UPDATE, ADD, SUB, MUL, DIV, MAX, MIN };
    static const rml_scatter_kind kinds[] = {RML_SCATTER_SET, RML_SCATTER_ADD, RML_SCATTER_ADD,
                                             RML_SCATTER_MUL, RML_SCATTER_MUL, RML_SCATTER_MAX,
                                             RML_SCATTER_MIN};
    const int64_t mode = rml_nn_int(call, number);
    if (mode < UPDATE || mode > MIN) {
        rml_nn_refuse(call, "mode %lld is not known", (long long)mode);
        return RML_SCATTER_SET;
    }
    if (mode == SUB)
        *updates = rml_nn_unary(call, RML_UNARY_NEG, *updates, 0, 0);
    if (mode == DIV)
        *updates = rml_nn_unary(call, RML_UNARY_RECIPROCAL, *updates, 0, 0);
    return kinds[mode];
}

static void import_scatter_along(rml_nn_call *call)
{
    rml_value_id in[] = {rml_nn_in(call, 0), rml_nn_indices(call, rml_nn_in(call, 1)),
                         rml_nn_in(call, 2)};
    const rml_op_attr attr = {
        .scatter = {.kind = mode_of(call, 2, &in[2]), .axis = rml_nn_int(call, 1)}};
    call->out[0] = rml_nn_node(call, RML_OP_SCATTER_ELEMENTS, &attr, in, 3);
}

static void import_scatter_nd(rml_nn_call *call)
{
    rml_value_id in[] = {rml_nn_in(call, 0), rml_nn_indices(call, rml_nn_in(call, 1)),
                         rml_nn_in(call, 2)};
    const rml_op_attr attr = {.scatter = {.kind = mode_of(call, 1, &in[2])}};
    call->out[0] = rml_nn_node(call, RML_OP_SCATTER_ND, &attr, in, 3);
}

// `count` dimensions from `from` on to the front, or back.
static rml_value_id moved(rml_nn_call *call, rml_value_id x, int from, int count, bool back)
{
    int order[RML_MAX_RANK];
    const int rank = rml_nn_rank(call, x);
    for (int i = 0; i < rank; i++) {
        const int to = i < count ? from + i : i < from + count ? i - count : i;
        if (back)
            order[to] = i;
        else
            order[i] = to;
    }
    return call->refused ? x : rml_graph_transpose(call->graph, x, order, rank, call->name);
}

// Whole slices along an axis, which is brought to the front.
static void import_scatter(rml_nn_call *call)
{
    rml_value_id in[] = {rml_nn_in(call, 0), rml_nn_indices(call, rml_nn_in(call, 1)),
                         rml_nn_in(call, 2)};
    const int axis = rml_nn_axis_of(call, rml_nn_int(call, 1), rml_nn_rank(call, in[0]));
    const int depth = rml_nn_rank(call, in[1]);
    const rml_op_attr attr = {.scatter = {.kind = mode_of(call, 2, &in[2])}};
    in[1] = inserted(call, in[1], -1);
    if (axis > 0) {
        in[0] = moved(call, in[0], axis, 1, false);
        in[2] = moved(call, in[2], axis, depth, false);
    }
    const rml_value_id out = rml_nn_node(call, RML_OP_SCATTER_ND, &attr, in, 3);
    call->out[0] = axis > 0 ? moved(call, out, axis, 1, true) : out;
}

// ---- arrangements -------------------------------------------------------------------------------

// `on` where the index is the place, `off` elsewhere, and everywhere for an index that is no place.
static void import_one_hot(rml_nn_call *call)
{
    const int64_t size = rml_nn_int(call, 1);
    const rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_nn_rank(call, x);
    const int axis = rml_nn_axis_of(call, rml_nn_int(call, 2), rank + 1);
    float *places =
        size > 0 && size < INT32_MAX ? rml_nn_alloc(call, (size_t)size, sizeof *places) : NULL;
    rml_shape shape = {.rank = rank + 1 - axis, .dim = {size}};
    if (!places)
        rml_nn_refuse(call, "vectors of %lld", (long long)size);
    if (call->refused)
        return;
    for (int64_t i = 0; i < size; i++)
        places[i] = (float)i;
    for (int i = 1; i < shape.rank; i++)
        shape.dim[i] = 1;
    const rml_value_id same = rml_nn_binary(
        call, RML_BINARY_EQUAL, inserted(call, rml_nn_unary(call, RML_UNARY_ROUND, x, 0, 0), axis),
        rml_nn_floats(call, places, &shape));
    const rml_value_id in[] = {same, rml_nn_number(call, rml_nn_float(call, 3)),
                               rml_nn_number(call, rml_nn_float(call, 4))};
    call->out[0] = rml_nn_node(call, RML_OP_WHERE, NULL, in, 3);
}

static void import_reverse(rml_nn_call *call)
{
    int64_t flags[RML_MAX_RANK] = {0};
    rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_nn_rank(call, x);
    rml_nn_ints(call, 1, flags, RML_MAX_RANK);
    for (int i = 0; i < rank && !call->refused; i++)
        if (flags[i])
            x = rml_graph_slice(call->graph, x, i, INT64_MAX, INT64_MIN, -1, call->name);
    call->out[0] = x;
}

static void import_reverse_sequence(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_nn_rank(call, x);
    const rml_value_id in[] = {x, rml_nn_indices(call, rml_nn_in(call, 1))};
    const rml_op_attr attr = {
        .reverse = {.batch_axis = rml_nn_axis_of(call, rml_nn_int(call, 1), rank),
                    .time_axis = rml_nn_axis_of(call, rml_nn_int(call, 2), rank)}};
    call->out[0] = rml_nn_node(call, RML_OP_REVERSE_SEQUENCE, &attr, in, 2);
}

// An axis as two: windows, and places in them.
static void import_windows(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    const int axis = rml_nn_axis_of(call, rml_nn_int(call, 1), rml_nn_rank(call, x));
    const int64_t length = rml_nn_fact(call, x).shape.dim[axis];
    const int64_t size = rml_nn_int(call, 2), step = rml_nn_int(call, 3);
    size_t total = 0;
    int64_t *at = NULL;
    if (size < 1 || step < 1 || length < size)
        rml_nn_refuse(call, "windows of %lld by steps of %lld over %lld", (long long)size,
                      (long long)step, (long long)length);
    if (call->refused)
        return;
    const int64_t count = (length - size) / step + 1;
    if (rml_size_mul((size_t)count, (size_t)size, &total))
        at = rml_nn_alloc(call, total, sizeof *at);
    for (int64_t i = 0; at && i < count; i++)
        for (int64_t k = 0; k < size; k++)
            at[i * size + k] = i * step + k;
    if (!at)
        return;
    const rml_stored places = rml_stored_plain(at, RML_I64, &(rml_shape){2, {count, size}});
    const rml_value_id in[] = {x, rml_graph_typed_constant(call->graph, call->name, &places)};
    call->out[0] = rml_nn_node(call, RML_OP_GATHER, &(rml_op_attr){.axis = {axis}}, in, 2);
}

static void import_non_zero(rml_nn_call *call)
{
    static const int swap[] = {1, 0};
    const rml_value_id x = rml_nn_in(call, 0);
    const rml_value_id found = rml_nn_node(call, RML_OP_NONZERO, NULL, &x, 1);
    if (!call->refused)
        call->out[0] = rml_nn_cast(
            call, rml_graph_transpose(call->graph, found, swap, 2, call->name), RML_F32);
}

// ---- triangles and edges ------------------------------------------------------------------------

static rml_value_id triangle(rml_nn_call *call, rml_value_id x, bool upper, int64_t diagonal)
{
    const rml_value_id in[] = {
        x, rml_nn_reshape(call, rml_nn_ints_value(call, &diagonal, 1), &(rml_shape){0})};
    return rml_nn_node(call, RML_OP_TRILU, &(rml_op_attr){.trilu = {upper}}, in, 2);
}

static void import_triangle(rml_nn_call *call)
{
    call->out[0] = triangle(call, rml_nn_in(call, 0), call->option != 0, rml_nn_int(call, 1));
}

static void import_band(rml_nn_call *call)
{
    const int64_t lower = rml_nn_int(call, 1), upper = rml_nn_int(call, 2);
    rml_value_id x = rml_nn_in(call, 0);
    if (lower >= 0)
        x = triangle(call, x, true, -lower);
    call->out[0] = upper >= 0 ? triangle(call, x, false, upper) : x;
}

// Pairs from the first axis on: what is added, or, of the one that is not 0, what the size becomes.
static void import_pad(rml_nn_call *call)
{
    int64_t pairs[2 * RML_MAX_RANK] = {0}, list[2 * RML_MAX_RANK] = {0};
    const rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_nn_rank(call, x), count = rml_nn_ints(call, 2, pairs, 2 * RML_MAX_RANK);
    const rml_shape shape = rml_nn_fact(call, x).shape;
    const bool to_size = rml_nn_flag(call, 3);
    if (call->layer->input_count > 1)
        rml_nn_refuse(call, "amounts that are an input are not supported");
    if (count % 2 || count / 2 > rank)
        rml_nn_refuse(call, "%d numbers for %d dimensions", count, rank);
    for (int i = 0; i < count && !call->refused; i++) {
        const int64_t size = shape.dim[i / 2];
        int64_t amount = pairs[i];
        if (to_size && amount && size < 0)
            rml_nn_refuse(call, "a size that only the run tells");
        if (to_size && amount)
            amount = amount > size ? amount - size : 0;
        list[(i % 2) * rank + i / 2] = amount;
    }
    const rml_value_id in[] = {x, rml_nn_ints_value(call, list, 2 * rank),
                               rml_nn_number(call, rml_nn_float(call, 1))};
    call->out[0] = rml_nn_node(call, RML_OP_PAD, &(rml_op_attr){.pad = {RML_PAD_CONSTANT}}, in, 3);
}

const rml_nn_entry rml_nn_index[] = {
    {930, "gather", import_gather, RML_OP_GATHER},
    {940, "gatherND", import_gather, RML_OP_GATHER_ND},
    {952, "gatherAlongAxis", import_gather, RML_OP_GATHER_ELEMENTS},
    {935, "scatter", import_scatter, 0},
    {945, "scatterND", import_scatter_nd, 0},
    {954, "scatterAlongAxis", import_scatter_along, 0},
    {1450, "oneHot", import_one_hot, 0},
    {960, "reverse", import_reverse, 0},
    {965, "reverseSeq", import_reverse_sequence, 0},
    {1005, "slidingWindows", import_windows, 0},
    {1313, "whereNonZero", import_non_zero, 0},
    {1320, "lowerTriangular", import_triangle, 0},
    {1325, "upperTriangular", import_triangle, 1},
    {1315, "matrixBandPart", import_band, 0},
    {1155, "constantPad", import_pad, 0},
    {0},
};
