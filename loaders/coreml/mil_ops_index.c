// What picks and writes elements by index.
#include "loaders/coreml/mil_handler.h"

// Indices as the operators take them.
static rml_value_id indices_of(rml_mil_call *call)
{
    const rml_value_id indices = rml_mil_in(call, "indices");
    const rml_dtype dtype = rml_coreml_fact(&call->make, indices).dtype;
    rml_mil_flag(call, "validate_indices", false); // they always are
    return dtype == RML_I32 || dtype == RML_I64 ? indices
                                                : rml_coreml_cast(&call->make, indices, RML_I32);
}

// Of the dimensions from `from` on, the `second` ones behind the `first` ones change places with
// them.
static rml_value_id turned(rml_mil_call *call, rml_value_id x, int from, int first, int second,
                           int rank)
{
    int order[RML_MAX_RANK];
    for (int i = 0; i < rank; i++)
        order[i] = i < from || i >= from + first + second ? i
                   : i < from + second                    ? i + first
                                                          : i - second;
    return first > 0 && second > 0 && !call->make.refused
               ? rml_graph_transpose(call->make.graph, x, order, rank, call->make.name)
               : x;
}

static void import_gather(rml_mil_call *call)
{
    rml_value_id in[] = {rml_mil_in(call, "x"), indices_of(call)};
    const int axis = rml_coreml_axis_of(&call->make, rml_mil_int(call, "axis", 0),
                                        rml_coreml_rank(&call->make, in[0]));
    const int64_t batch = rml_mil_int(call, "batch_dims", 0);
    if (batch == 0) {
        const rml_op_attr attr = {.axis = {.axis = axis}};
        call->out[0] = rml_coreml_node(&call->make, RML_OP_GATHER, &attr, in, 2);
        return;
    }
    const int rank = rml_coreml_rank(&call->make, in[0]);
    const int depth = rml_coreml_rank(&call->make, in[1]) - (int)batch;
    if (batch < 0 || batch > axis || depth < 0 || rank - 1 + depth > RML_MAX_RANK)
        rml_coreml_refuse(&call->make, "batch_dims %lld with axis %d and indices of %d dimensions",
                          (long long)batch, axis, depth + (int)batch);
    if (call->make.refused)
        return;
    // The axis moves up to the batch, and what it passed goes back in front of the indices.
    const rml_op_attr attr = {.gather_nd = {batch}};
    const int64_t last = -1;
    const int passed = axis - (int)batch;
    in[0] = turned(call, in[0], (int)batch, passed, 1, rank);
    in[1] = rml_coreml_insert_dims(&call->make, in[1], &last, 1);
    const rml_value_id picked = rml_coreml_node(&call->make, RML_OP_GATHER_ND, &attr, in, 2);
    call->out[0] = turned(call, picked, (int)batch, depth, passed, rank - 1 + depth);
}

static void import_gather_along_axis(rml_mil_call *call)
{
    const rml_value_id in[] = {rml_mil_in(call, "x"), indices_of(call)};
    const rml_op_attr attr = {.axis = {.axis = rml_mil_int(call, "axis", 0)}};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_GATHER_ELEMENTS, &attr, in, 2);
}

static void import_gather_nd(rml_mil_call *call)
{
    const rml_value_id in[] = {rml_mil_in(call, "x"), indices_of(call)};
    const rml_op_attr attr = {.gather_nd = {rml_mil_int(call, "batch_dims", 0)}};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_GATHER_ND, &attr, in, 2);
}

// ---- scatter ------------------------------------------------------------------------------------

static rml_coreml_scatter_mode mode_of(rml_mil_call *call)
{
    static const rml_coreml_scatter_mode modes[] = {
        RML_COREML_ADD, RML_COREML_DIV, RML_COREML_MAX,   RML_COREML_MIN,
        RML_COREML_MUL, RML_COREML_SUB, RML_COREML_UPDATE};
    return modes[rml_mil_word(call, "mode", "add div max min mul sub update", 0)];
}

static void import_scatter(rml_mil_call *call)
{
    const rml_value_id data = rml_mil_in(call, "data"), indices = indices_of(call);
    const rml_value_id updates = rml_mil_in(call, "updates");
    call->out[0] = rml_coreml_scatter(&call->make, data, indices, updates,
                                      rml_mil_int(call, "axis", 0), mode_of(call));
}

static void import_scatter_along_axis(rml_mil_call *call)
{
    const rml_value_id data = rml_mil_in(call, "data"), indices = indices_of(call);
    const rml_value_id updates = rml_mil_in(call, "updates");
    call->out[0] = rml_coreml_scatter_along(&call->make, data, indices, updates,
                                            rml_mil_int(call, "axis", 0), mode_of(call));
}

static void import_scatter_nd(rml_mil_call *call)
{
    const rml_value_id data = rml_mil_in(call, "data"), indices = indices_of(call);
    const rml_value_id updates = rml_mil_in(call, "updates");
    call->out[0] = rml_coreml_scatter_nd(&call->make, data, indices, updates, mode_of(call));
}

// ---- others -------------------------------------------------------------------------------------

static void import_one_hot(rml_mil_call *call)
{
    const rml_value_id indices = indices_of(call);
    rml_value_id on = rml_mil_optional(call, "on_value"), off = rml_mil_optional(call, "off_value");
    rml_mil_required(call, "one_hot_vector_size");
    if (on == RML_NO_VALUE)
        on = rml_coreml_number(&call->make, 1, RML_I32);
    if (off == RML_NO_VALUE)
        off = rml_coreml_number_like(&call->make, on, 0);
    call->out[0] =
        rml_coreml_one_hot(&call->make, indices, rml_mil_int(call, "one_hot_vector_size", 1),
                           rml_mil_int(call, "axis", -1), on, off);
}

static void import_non_zero(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    call->out[0] = rml_coreml_cast(&call->make, rml_coreml_non_zero(&call->make, x), RML_I32);
}

static void import_band_part(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    call->out[0] = rml_coreml_band(&call->make, x, rml_mil_int(call, "lower", -1),
                                   rml_mil_int(call, "upper", -1));
}

static void import_sliding_windows(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    call->out[0] = rml_coreml_windows(&call->make, x, rml_mil_int(call, "axis", 0),
                                      rml_mil_int(call, "size", 1), rml_mil_int(call, "stride", 1));
}

static void import_reverse_sequence(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const rml_value_id lengths = rml_coreml_cast(&call->make, rml_mil_in(call, "lengths"), RML_I64);
    call->out[0] =
        rml_coreml_reverse_sequence(&call->make, x, lengths, rml_mil_int(call, "batch_axis", 0),
                                    rml_mil_int(call, "seq_axis", 0));
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
