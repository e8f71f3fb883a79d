// Attention as ONNX Runtime's optimiser writes it: of projections side by side, or with biases.
#include "loaders/onnx/make.h"

static rml_shape shape_of(const rml_onnx_call *call, rml_value_id value)
{
    return value == RML_NO_VALUE ? (rml_shape){.rank = RML_RANK_UNKNOWN}
                                 : call->graph->values[value].shape;
}

// Dimension `axis` of a value, i64 ().
static rml_value_id size_of(rml_onnx_call *call, rml_value_id x, int axis)
{
    const rml_value_id sizes = rml_onnx_make(call, RML_OP_SHAPE, NULL, &x, 1);
    return rml_onnx_rows(call, sizes, rml_onnx_scalar(call, RML_I64, axis));
}

// ---- masks --------------------------------------------------------------------------------------

// What is hidden, as numbers that are added to the scores (B,1,1 or L,S). `mask`: 1 for what is
// seen (B,S) or (B,L,S), or how many keys of each item are seen (B); `keys` has them along `axis`.
static rml_value_id mask_numbers(rml_onnx_call *call, rml_value_id mask, rml_value_id keys,
                                 int axis)
{
    const int rank = shape_of(call, mask).rank;
    const double hidden = rml_onnx_float(call, "mask_filter_value", -10000);
    rml_value_id seen;
    if (rank == 1) {
        const rml_value_id ends[] = {rml_onnx_scalar(call, RML_I64, 0), size_of(call, keys, axis),
                                     rml_onnx_scalar(call, RML_I64, 1)};
        const rml_value_id counts =
            rml_graph_reshape(call->graph, rml_onnx_cast(call, mask, RML_I64),
                              &(rml_shape){4, {-1, 1, 1, 1}}, call->name);
        seen = rml_onnx_binary(call, RML_BINARY_GREATER, counts,
                               rml_onnx_make(call, RML_OP_RANGE, NULL, ends, 3));
    } else if (rank == 2 || rank == 3) {
        seen = rml_onnx_binary(call, RML_BINARY_GREATER, rml_onnx_cast(call, mask, RML_I64),
                               rml_onnx_scalar(call, RML_I64, 0));
        seen = rml_onnx_insert_dim(call, seen, rank, 1);
        seen = rank == 2 ? rml_onnx_insert_dim(call, seen, 3, 1) : seen;
    } else {
        rml_onnx_refuse(call, "a mask of %d dimensions is not supported", rank);
        return RML_NO_VALUE;
    }
    return rml_onnx_choose(call, seen, rml_onnx_scalar(call, RML_F32, 0),
                           rml_onnx_scalar(call, RML_F32, hidden));
}

// The mask and what else is added to the scores; either may be left out.
static rml_value_id added(rml_onnx_call *call, int mask, int bias, rml_value_id keys, int axis)
{
    rml_value_id sum = rml_onnx_cast(call, rml_onnx_in(call, bias), RML_F32);
    if (rml_onnx_in(call, mask) == RML_NO_VALUE)
        return sum;
    const rml_value_id numbers = mask_numbers(call, rml_onnx_in(call, mask), keys, axis);
    return sum == RML_NO_VALUE || call->refused ? numbers : rml_onnx_add(call, sum, numbers);
}

// ---- attention of three values, all in f32 ------------------------------------------------------

typedef struct operands {
    rml_value_id q, k, v;              // (B,L,H*D), or (B,H,S,D) for keys and values
    rml_value_id past_key, past_value; // (B,H,P,D), or RML_NO_VALUE
    int64_t heads;
    bool keeps; // keys and values, with those of the past, are outputs
} operands;

static rml_value_id with_past(rml_onnx_call *call, const operands *in, rml_value_id x,
                              rml_value_id past)
{
    return rml_onnx_with_past(call, x, shape_of(call, x).rank == 3 ? in->heads : 0, past,
                              in->keeps);
}

static rml_value_id attend(rml_onnx_call *call, operands *in, int mask, int bias)
{
    const rml_op_attr attr = {
        .attention = {.heads = in->heads,
                      .key_heads = in->heads,
                      .scale = (float)rml_onnx_float(call, "scale", 0),
                      .causal = rml_onnx_int(call, "unidirectional", 0) != 0}};
    rml_onnx_ignore(call, "mask_filter_value"); // where there is no mask
    in->k = with_past(call, in, in->k, in->past_key);
    in->v = with_past(call, in, in->v, in->past_value);
    const rml_value_id numbers =
        added(call, mask, bias, in->k, shape_of(call, in->k).rank == 4 ? 2 : 1);
    const rml_value_id all[] = {in->q, in->k, in->v, numbers, in->past_key};
    return call->refused ? RML_NO_VALUE : rml_onnx_make(call, RML_OP_ATTENTION, &attr, all, 5);
}

// ---- MultiHeadAttention -------------------------------------------------------------------------

// Input `index` with its part of the bias, which has those of queries, keys and values in a row.
static rml_value_id biased(rml_onnx_call *call, int index)
{
    enum { BIAS = 3 };
    const int64_t last = INT64_MAX, first = 0;
    const rml_value_id x = rml_onnx_cast(call, rml_onnx_in(call, index), RML_F32);
    const rml_value_id bias = rml_onnx_cast(call, rml_onnx_in(call, BIAS), RML_F32);
    if (bias == RML_NO_VALUE || call->refused)
        return x;
    const rml_value_id width = rml_graph_reshape(
        call->graph, size_of(call, rml_onnx_in(call, 0), 2), &(rml_shape){1, {1}}, call->name);
    const rml_value_id begin =
        rml_onnx_multiply(call, width, rml_onnx_scalar(call, RML_I64, index));
    const rml_value_id in[] = {bias, begin,
                               index == 2 ? rml_onnx_ints_value(call, &last, 1)
                                          : rml_onnx_add(call, begin, width),
                               rml_onnx_ints_value(call, &first, 1)};
    return rml_onnx_add(call, x, rml_onnx_make(call, RML_OP_SLICE, &(rml_op_attr){0}, in, 4));
}

static bool check_heads(rml_onnx_call *call)
{
    enum { BIAS = 3, PAST_LENGTH = 8 };
    const rml_shape q = rml_onnx_fact(call, 0).shape, k = rml_onnx_fact(call, 1).shape;
    const rml_shape v = rml_onnx_fact(call, 2).shape;
    if (q.rank != 3 || rml_onnx_in(call, 1) == RML_NO_VALUE ||
        rml_onnx_in(call, 2) == RML_NO_VALUE || k.rank != v.rank || (k.rank != 3 && k.rank != 4))
        rml_onnx_refuse(call, "queries, keys and values side by side are not supported, nor those "
                              "whose number of dimensions is not known");
    if (rml_onnx_in(call, BIAS) != RML_NO_VALUE &&
        (k.rank != 3 || rml_onnx_fact(call, BIAS).shape.rank != 1))
        rml_onnx_refuse(call, "its bias does not fit");
    if (rml_onnx_in(call, PAST_LENGTH) != RML_NO_VALUE || rml_onnx_wants(call, 3))
        rml_onnx_refuse(call, "buffers of keys and the output of scores are not supported");
    return !call->refused;
}

static void import_multi_head(rml_onnx_call *call)
{
    enum { MASK = 4, ADDED, PAST_KEY, PAST_VALUE };
    const rml_dtype dtype = rml_onnx_fact(call, 0).dtype;
    if (!check_heads(call))
        return;
    operands in = {.q = biased(call, 0),
                   .k = biased(call, 1),
                   .v = biased(call, 2),
                   .past_key = rml_onnx_cast(call, rml_onnx_in(call, PAST_KEY), RML_F32),
                   .past_value = rml_onnx_cast(call, rml_onnx_in(call, PAST_VALUE), RML_F32),
                   .heads = rml_onnx_int(call, "num_heads", 0),
                   .keeps = rml_onnx_wants(call, 1) || rml_onnx_wants(call, 2)};
    if (in.heads < 1 || (in.past_key == RML_NO_VALUE) != (in.past_value == RML_NO_VALUE))
        rml_onnx_refuse(call, "%lld heads, or past keys without past values", (long long)in.heads);
    if (call->refused)
        return;
    const rml_value_id y = attend(call, &in, MASK, ADDED);
    const rml_value_id out[] = {y, in.k, in.v};
    for (int i = 0; i < 3 && i < call->out_count && !call->refused; i++)
        if (rml_onnx_wants(call, i))
            call->out[i] = rml_onnx_cast(call, out[i], dtype);
}

// ---- Attention ----------------------------------------------------------------------------------

// Columns of the projections: queries, keys and values side by side.
static bool read_sizes(rml_onnx_call *call, int64_t end[3])
{
    size_t count;
    const int64_t *given = rml_onnx_ints(call, "qkv_hidden_sizes", &count);
    const rml_shape weight = rml_onnx_fact(call, 1).shape;
    const int64_t columns = weight.rank == 2 ? weight.dim[1] : -1;
    bool fits = columns > 0 && (count == 3 || (count == 0 && columns % 3 == 0));
    for (int i = 0; i < 3 && fits; i++) {
        const int64_t size = count ? given[i] : columns / 3, before = i ? end[i - 1] : 0;
        fits = size > 0 && size <= columns - before;
        end[i] = fits ? before + size : 0;
    }
    if (!fits || end[2] != columns)
        rml_onnx_refuse(call, "its weight is no three projections side by side");
    return !call->refused;
}

// Half `index` of the past (2,B,H,P,D).
static rml_value_id past_half(rml_onnx_call *call, int input, int index)
{
    const rml_value_id past = rml_onnx_cast(call, rml_onnx_in(call, input), RML_F32);
    return past == RML_NO_VALUE ? past
                                : rml_onnx_rows(call, past, rml_onnx_scalar(call, RML_I64, index));
}

// Where the inputs are that both forms have.
typedef struct attention_inputs {
    int mask, past, added; // NONE: this form has none
} attention_inputs;

enum { INPUT, WEIGHT, BIAS, NONE = 99 };

// Attention of the three projections `x`, without their bias.
static void attend_projected(rml_onnx_call *call, rml_value_id x, const attention_inputs *at,
                             const int64_t end[3], rml_dtype dtype)
{
    if (rml_onnx_in(call, BIAS) != RML_NO_VALUE)
        x = rml_onnx_add(call, x, rml_onnx_cast(call, rml_onnx_in(call, BIAS), RML_F32));
    operands in = {.q = rml_graph_slice(call->graph, x, 2, 0, end[0], 1, call->name),
                   .k = rml_graph_slice(call->graph, x, 2, end[0], end[1], 1, call->name),
                   .v = rml_graph_slice(call->graph, x, 2, end[1], end[2], 1, call->name),
                   .past_key = past_half(call, at->past, 0),
                   .past_value = past_half(call, at->past, 1),
                   .heads = rml_onnx_int(call, "num_heads", 0),
                   .keeps = rml_onnx_wants(call, 1)};
    if (in.heads < 1)
        rml_onnx_refuse(call, "%lld heads", (long long)in.heads);
    if (call->refused)
        return;
    call->out[0] = rml_onnx_cast(call, attend(call, &in, at->mask, at->added), dtype);
    if (!in.keeps || call->refused)
        return;
    const rml_value_id both[] = {rml_onnx_insert_dim(call, in.k, 4, 0),
                                 rml_onnx_insert_dim(call, in.v, 4, 0)};
    call->out[1] =
        rml_onnx_cast(call, rml_graph_concat(call->graph, both, 2, 0, call->name), dtype);
}

static bool check_attention(rml_onnx_call *call, int64_t end[3])
{
    if (rml_onnx_int(call, "do_rotary", 0) != 0 ||
        rml_onnx_int(call, "past_present_share_buffer", 0) != 0)
        rml_onnx_refuse(call, "rotation in it and buffers of keys are not supported");
    rml_onnx_ignore(call, "rotary_embedding_dim");
    return !call->refused && read_sizes(call, end);
}

static void import_attention(rml_onnx_call *call)
{
    enum { PAST_LENGTH = 6 };
    static const attention_inputs at = {.mask = 3, .past = 4, .added = 5};
    int64_t end[3];
    if (rml_onnx_in(call, PAST_LENGTH) != RML_NO_VALUE)
        rml_onnx_refuse(call, "buffers of keys are not supported");
    if (!check_attention(call, end))
        return;
    const rml_value_id x = rml_graph_matmul(
        call->graph, rml_onnx_cast(call, rml_onnx_in(call, INPUT), RML_F32),
        rml_onnx_cast(call, rml_onnx_in(call, WEIGHT), RML_F32), false, false, call->name);
    attend_projected(call, x, &at, end, rml_onnx_fact(call, INPUT).dtype);
}

// The same of codes, whose products are summed in integers.
static void import_quantized_attention(rml_onnx_call *call)
{
    enum { INPUT_SCALE = 3, WEIGHT_SCALE, MASK, INPUT_ZERO, WEIGHT_ZERO, PAST };
    static const attention_inputs at = {.mask = MASK, .past = PAST, .added = NONE};
    int64_t end[3];
    if (!check_attention(call, end))
        return;
    const rml_value_id in[] = {rml_onnx_in(call, INPUT), rml_onnx_in(call, WEIGHT),
                               rml_onnx_in(call, INPUT_ZERO), rml_onnx_in(call, WEIGHT_ZERO)};
    const rml_value_id scale =
        rml_onnx_multiply(call, rml_onnx_in(call, INPUT_SCALE), rml_onnx_in(call, WEIGHT_SCALE));
    const rml_value_id sums =
        rml_onnx_cast(call, rml_onnx_make(call, RML_OP_INTEGER_MATMUL, NULL, in, 4), RML_F32);
    attend_projected(call, rml_onnx_multiply(call, sums, scale), &at, end, RML_F32);
}

// ---- RotaryEmbedding ----------------------------------------------------------------------------

// Places (B,L): given, or those from one number on.
static rml_value_id places(rml_onnx_call *call, int rank)
{
    const rml_value_id x = rml_onnx_in(call, 0), given = rml_onnx_list(call, 1, NULL);
    if (rml_onnx_fact(call, 1).shape.rank != 1)
        return given;
    const rml_value_id first = rml_graph_reshape(call->graph, given, &(rml_shape){0}, call->name);
    const rml_value_id length = size_of(call, x, rank - 2), batch = size_of(call, x, 0);
    const rml_value_id ends[] = {first, rml_onnx_add(call, first, length),
                                 rml_onnx_scalar(call, RML_I64, 1)};
    const rml_shape row = {1, {1}};
    const rml_value_id sizes[] = {rml_graph_reshape(call->graph, batch, &row, call->name),
                                  rml_graph_reshape(call->graph, length, &row, call->name)};
    const rml_value_id in[] = {rml_onnx_make(call, RML_OP_RANGE, NULL, ends, 3), RML_NO_VALUE,
                               rml_graph_concat(call->graph, sizes, 2, 0, call->name)};
    return rml_onnx_make(call, RML_OP_EXPAND, &(rml_op_attr){0}, in, 3);
}

static void import_rotary(rml_onnx_call *call)
{
    const rml_shape x = rml_onnx_fact(call, 0).shape, table = rml_onnx_fact(call, 2).shape;
    rml_op_attr attr = {.rotary = {.heads = rml_onnx_int(call, "num_heads", 0),
                                   .rotated = rml_onnx_int(call, "rotary_embedding_dim", 0),
                                   .interleaved = rml_onnx_int(call, "interleaved", 0) != 0}};
    if (rml_onnx_int(call, "is_packed_batching", 0) != 0 || rml_onnx_float(call, "scale", 1) != 1)
        rml_onnx_refuse(call, "packed batches and scales are not supported");
    if (x.rank == 4)
        attr.rotary.heads = 0;
    else if (x.rank == 3 && attr.rotary.heads == 0 && table.rank == 2 && table.dim[1] > 0 &&
             x.dim[2] > 0)
        attr.rotary.heads = x.dim[2] / 2 / table.dim[1];
    if ((x.rank != 3 && x.rank != 4) || (x.rank == 3 && attr.rotary.heads < 1) ||
        attr.rotary.rotated < 0)
        rml_onnx_refuse(call, "%lld heads of %d dimensions", (long long)attr.rotary.heads, x.rank);
    if (call->refused)
        return;
    const rml_value_id in[] = {rml_onnx_in(call, 0), rml_onnx_in(call, 2), rml_onnx_in(call, 3),
                               places(call, x.rank)};
    rml_onnx_emit(call, RML_OP_ROTARY, &attr, in, 4);
}

const rml_onnx_entry rml_onnx_transformers[] = {
    {.op_type = "com.microsoft.Attention", .import = import_attention},
    {.op_type = "com.microsoft.QAttention", .import = import_quantized_attention},
    {.op_type = "com.microsoft.MultiHeadAttention", .import = import_multi_head},
    {.op_type = "com.microsoft.RotaryEmbedding", .import = import_rotary},
    {.op_type = NULL},
};
