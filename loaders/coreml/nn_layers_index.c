// What picks, writes and arranges elements by index. Indices are floats in these files.
#include "loaders/coreml/nn_handler.h"

#include "tensor/tensor.h"

static void import_gather(rml_nn_call *call)
{
    const rml_value_id in[] = {rml_nn_in(call, 0), rml_nn_indices(call, rml_nn_in(call, 1))};
    rml_op_attr attr = {.axis = {.axis = rml_nn_int(call, 1)}};
    if (call->option == RML_OP_GATHER_ND)
        attr = (rml_op_attr){.gather_nd = {0}};
    call->out[0] = rml_coreml_node(&call->make, (rml_op_id)call->option, &attr, in, 2);
}

// ---- scatter ------------------------------------------------------------------------------------

static rml_coreml_scatter_mode mode_of(rml_nn_call *call, uint32_t number)
{
    static const rml_coreml_scatter_mode modes[] = {
        RML_COREML_UPDATE, RML_COREML_ADD, RML_COREML_SUB, RML_COREML_MUL,
        RML_COREML_DIV,    RML_COREML_MAX, RML_COREML_MIN};
    const int64_t mode = rml_nn_int(call, number);
    if (mode >= 0 && mode < (int64_t)(sizeof modes / sizeof *modes))
        return modes[mode];
    rml_coreml_refuse(&call->make, "mode %lld is not known", (long long)mode);
    return RML_COREML_UPDATE;
}

static void import_scatter(rml_nn_call *call)
{
    const rml_value_id indices = rml_nn_indices(call, rml_nn_in(call, 1));
    call->out[0] = rml_coreml_scatter(&call->make, rml_nn_in(call, 0), indices, rml_nn_in(call, 2),
                                      rml_nn_int(call, 1), mode_of(call, 2));
}

static void import_scatter_along(rml_nn_call *call)
{
    const rml_value_id indices = rml_nn_indices(call, rml_nn_in(call, 1));
    call->out[0] =
        rml_coreml_scatter_along(&call->make, rml_nn_in(call, 0), indices, rml_nn_in(call, 2),
                                 rml_nn_int(call, 1), mode_of(call, 2));
}

static void import_scatter_nd(rml_nn_call *call)
{
    const rml_value_id indices = rml_nn_indices(call, rml_nn_in(call, 1));
    call->out[0] = rml_coreml_scatter_nd(&call->make, rml_nn_in(call, 0), indices,
                                         rml_nn_in(call, 2), mode_of(call, 1));
}

// ---- arrangements -------------------------------------------------------------------------------

static void import_one_hot(rml_nn_call *call)
{
    const rml_value_id indices = rml_nn_indices(call, rml_nn_in(call, 0));
    const rml_value_id on = rml_coreml_number(&call->make, rml_nn_float(call, 3), RML_F32);
    const rml_value_id off = rml_coreml_number(&call->make, rml_nn_float(call, 4), RML_F32);
    call->out[0] =
        rml_coreml_one_hot(&call->make, indices, rml_nn_int(call, 1), rml_nn_int(call, 2), on, off);
}

static void import_reverse(rml_nn_call *call)
{
    int64_t given[RML_MAX_RANK] = {0};
    bool flags[RML_MAX_RANK];
    rml_nn_ints(call, 1, given, RML_MAX_RANK);
    for (int i = 0; i < RML_MAX_RANK; i++)
        flags[i] = given[i] != 0;
    call->out[0] = rml_coreml_reverse(&call->make, rml_nn_in(call, 0), flags);
}

static void import_reverse_sequence(rml_nn_call *call)
{
    const rml_value_id lengths = rml_nn_indices(call, rml_nn_in(call, 1));
    call->out[0] = rml_coreml_reverse_sequence(&call->make, rml_nn_in(call, 0), lengths,
                                               rml_nn_int(call, 1), rml_nn_int(call, 2));
}

static void import_windows(rml_nn_call *call)
{
    call->out[0] = rml_coreml_windows(&call->make, rml_nn_in(call, 0), rml_nn_int(call, 1),
                                      rml_nn_int(call, 2), rml_nn_int(call, 3));
}

static void import_non_zero(rml_nn_call *call)
{
    const rml_value_id places = rml_coreml_non_zero(&call->make, rml_nn_in(call, 0));
    call->out[0] = rml_coreml_cast(&call->make, places, RML_F32);
}

// ---- triangles and edges ------------------------------------------------------------------------

static void import_triangle(rml_nn_call *call)
{
    call->out[0] = rml_coreml_triangle(&call->make, rml_nn_in(call, 0), call->option != 0,
                                       rml_nn_int(call, 1));
}

static void import_band(rml_nn_call *call)
{
    call->out[0] =
        rml_coreml_band(&call->make, rml_nn_in(call, 0), rml_nn_int(call, 1), rml_nn_int(call, 2));
}

// Pairs as the operator takes them: all begins, then all ends.
static rml_value_id computed_pads(rml_nn_call *call, rml_value_id x, rml_value_id list, int rank,
                                  bool to_size)
{
    static const int turned[] = {1, 0};
    rml_coreml_maker *make = &call->make;
    rml_value_id pairs = rml_coreml_reshape(make, list, &(rml_shape){2, {rank, 2}});
    if (to_size) { // what is missing; nothing where 0 is asked for
        const rml_value_id sizes =
            rml_coreml_reshape(make, rml_coreml_sizes(make, x), &(rml_shape){2, {rank, 1}});
        pairs = rml_coreml_binary(make, RML_BINARY_MAX,
                                  rml_coreml_binary(make, RML_BINARY_SUB, pairs, sizes),
                                  rml_coreml_number(make, 0, RML_I64));
    }
    return make->refused
               ? RML_NO_VALUE
               : rml_coreml_reshape(make,
                                    rml_graph_transpose(make->graph, pairs, turned, 2, make->name),
                                    &(rml_shape){1, {2 * rank}});
}

// Pairs from the first axis on: what is added, or, of the one that is not 0, what the size becomes.
static rml_value_id given_pads(rml_nn_call *call, rml_value_id x, int rank, bool to_size)
{
    int64_t pairs[2 * RML_MAX_RANK] = {0}, list[2 * RML_MAX_RANK] = {0};
    const int count = rml_nn_ints(call, 2, pairs, 2 * RML_MAX_RANK);
    const rml_shape shape = rml_coreml_fact(&call->make, x).shape;
    if (count % 2 || count / 2 > rank)
        rml_coreml_refuse(&call->make, "%d numbers for %d dimensions", count, rank);
    for (int i = 0; i < count && !call->make.refused; i++) {
        const int64_t size = shape.dim[i / 2];
        int64_t amount = pairs[i];
        if (to_size && amount && size < 0)
            return computed_pads(call, x, rml_coreml_ints(&call->make, pairs, 2 * rank), rank,
                                 true);
        if (to_size && amount)
            amount = amount > size ? amount - size : 0;
        list[(i % 2) * rank + i / 2] = amount;
    }
    return rml_coreml_ints(&call->make, list, 2 * rank);
}

static void import_pad(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_coreml_rank(&call->make, x);
    const bool to_size = rml_nn_flag(call, 3);
    const bool is_input = call->layer->input_count > 1;
    const rml_value_id list = is_input ? rml_nn_indices(call, call->in[1]) : RML_NO_VALUE;
    const rml_value_id in[] = {x,
                               is_input ? computed_pads(call, x, list, rank, to_size)
                                        : given_pads(call, x, rank, to_size),
                               rml_coreml_number(&call->make, rml_nn_float(call, 1), RML_F32)};
    call->out[0] =
        rml_coreml_node(&call->make, RML_OP_PAD, &(rml_op_attr){.pad = {RML_PAD_CONSTANT}}, in, 3);
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
