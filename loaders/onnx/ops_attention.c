// Attention and what goes with it: rotary embeddings, linear attention, convolution of streams.
#include "loaders/onnx/handler.h"
#include "loaders/onnx/make.h"
#include "loaders/onnx/importer.h"

#include <math.h>

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, LENGTHS };

static bool take_attention(rml_onnx_call *call, rml_attention_attr *attr)
{
    static const char *const windows[2] = {"left_window_size", "right_window_size"};
    const int64_t mode = rml_onnx_int(call, "qk_matmul_output_mode", 0);
    const int rank = rml_onnx_fact(call, Q).shape.rank;
    *attr = (rml_attention_attr){.heads = rml_onnx_int(call, "q_num_heads", 0),
                                 .key_heads = rml_onnx_int(call, "kv_num_heads", 0),
                                 .scale = (float)rml_onnx_float(call, "scale", 0),
                                 .softcap = (float)rml_onnx_float(call, "softcap", 0),
                                 .causal = rml_onnx_int(call, "is_causal", 0) != 0,
                                 .wide = rml_onnx_dtype_of(call, "softmax_precision", RML_F32) ==
                                         RML_F64};
    for (int k = 0; k < 2; k++) {
        attr->side[k] = rml_onnx_int(call, windows[k], -1);
        attr->window[k] = attr->side[k] >= 0;
        if (attr->side[k] < -1)
            rml_onnx_refuse(call, "%s is %lld", windows[k], (long long)attr->side[k]);
    }
    if (mode < 0 || mode > 3)
        rml_onnx_refuse(call, "qk_matmul_output_mode is %lld", (long long)mode);
    if (rml_onnx_wants(call, 3))
        attr->scores = (rml_attention_scores)(RML_ATTENTION_SCALED + mode);
    if (rank >= 0 && rank != 3 && rank != 4)
        rml_onnx_misfit(call, "queries of %d dimensions", rank);
    if (rank == 3 && (attr->heads < 1 || attr->key_heads < 1 || attr->heads % attr->key_heads != 0))
        rml_onnx_misfit(call, "%lld heads share %lld heads of keys", (long long)attr->heads,
                        (long long)attr->key_heads);
    if ((rml_onnx_in(call, PAST_KEY) == RML_NO_VALUE) !=
        (rml_onnx_in(call, PAST_VALUE) == RML_NO_VALUE))
        rml_onnx_misfit(call, "past keys and past values go together");
    return !call->refused;
}

// Keys or values behind those of the past, heads first where somebody reads them so.
static rml_value_id with_past(rml_onnx_call *call, const rml_attention_attr *attr, int input,
                              int past, bool wanted)
{
    const int rank = rml_onnx_fact(call, Q).shape.rank;
    const bool flat = rank == 3 || (rank < 0 && attr->heads > 0);
    return rml_onnx_with_past(call, rml_onnx_in(call, input), flat ? attr->key_heads : 0,
                              rml_onnx_in(call, past), wanted);
}

// Numbers of any type are added; bools say what is seen.
static rml_value_id take_mask(rml_onnx_call *call)
{
    const rml_value_id mask = rml_onnx_in(call, MASK);
    const rml_dtype dtype = rml_onnx_fact(call, MASK).dtype;
    if (mask == RML_NO_VALUE || dtype == RML_BOOL || rml_dtype_is_float(dtype))
        return mask;
    return rml_onnx_cast(call, mask, rml_onnx_fact(call, Q).dtype == RML_F64 ? RML_F64 : RML_F32);
}

static void import_attention(rml_onnx_call *call)
{
    rml_op_attr attr = {0};
    if (!take_attention(call, &attr.attention))
        return;
    const rml_value_id k = with_past(call, &attr.attention, K, PAST_KEY, rml_onnx_wants(call, 1));
    const rml_value_id v = with_past(call, &attr.attention, V, PAST_VALUE, rml_onnx_wants(call, 2));
    const rml_value_id in[] = {
        rml_onnx_in(call, Q),      k, v, take_mask(call), rml_onnx_in(call, PAST_KEY),
        rml_onnx_in(call, LENGTHS)};
    const rml_value_id y = rml_onnx_make(call, RML_OP_ATTENTION, &attr, in, 6);
    call->out[0] = y;
    if (rml_onnx_wants(call, 1))
        call->out[1] = k;
    if (rml_onnx_wants(call, 2))
        call->out[2] = v;
    if (rml_onnx_wants(call, 3) && y != RML_NO_VALUE)
        call->out[3] = y + 1;
}

// ---- FlexAttention: graphs of the file change the scores and the weights ------------------------

// What the graph attribute `name` makes of `value`; the value itself where there is none.
static rml_value_id changed(rml_onnx_call *call, const char *name, rml_value_id value)
{
    const rml_onnx_graph *body =
        rml_onnx_has(call, name) ? rml_onnx_graph_attribute(call, name) : NULL;
    rml_value_id out;
    if (!body || value >= call->graph->value_count)
        return value;
    if (body->input_count != 1 || body->output_count != 1) {
        rml_onnx_refuse(call, "its graph \"%s\" has %zu inputs and %zu outputs", name,
                        body->input_count, body->output_count);
        return RML_NO_VALUE;
    }
    rml_onnx_set(call->importer, body->input[0], value);
    if (!rml_onnx_import_in_place(call, body, &out))
        return RML_NO_VALUE;
    return rml_onnx_cast(call, out, call->graph->values[value].dtype);
}

static void import_flex(rml_onnx_call *call)
{
    const rml_shape q_shape = rml_onnx_fact(call, Q).shape, k_shape = rml_onnx_fact(call, K).shape;
    const rml_dtype dtype = rml_onnx_fact(call, Q).dtype;
    const rml_dtype type =
        rml_onnx_dtype_of(call, "softmax_precision", dtype == RML_F64 ? RML_F64 : RML_F32);
    const rml_dtype work = type == RML_F64 || dtype == RML_F64 ? RML_F64 : RML_F32;
    if (q_shape.rank != 4 || k_shape.rank != 4 || q_shape.dim[1] < 0 || k_shape.dim[1] < 1 ||
        q_shape.dim[1] % k_shape.dim[1] != 0 || q_shape.dim[3] < 0) {
        rml_onnx_refuse(call, "how many heads there are and how large they are is not told");
        return;
    }
    const int64_t groups = k_shape.dim[1], group = q_shape.dim[1] / groups;
    const double scale =
        rml_onnx_float(call, "scale", 1 / sqrt((double)(q_shape.dim[3] ? q_shape.dim[3] : 1)));
    rml_value_id in[3];
    for (int i = Q; i <= V; i++)
        in[i] = rml_onnx_cast(call, rml_onnx_in(call, i), work);
    // Heads that share keys: queries [B,G,H/G,L,D], keys [B,G,1,S,D].
    if (group != 1) {
        in[Q] = rml_onnx_split_dim(call, in[Q], 4, 1, groups);
        in[K] = rml_onnx_insert_dim(call, in[K], 4, 2);
        in[V] = rml_onnx_insert_dim(call, in[V], 4, 2);
    }
    rml_value_id x = rml_graph_matmul(call->graph, in[Q], in[K], false, true, call->name);
    x = rml_onnx_multiply(call, x, rml_onnx_scalar(call, work, scale));
    if (group != 1)
        x = rml_onnx_join_dims(call, x, 5, 1);
    x = changed(call, "score_mod", rml_onnx_cast(call, x, type));
    x = rml_graph_softmax(call->graph, x, 3, call->name);
    x = rml_onnx_cast(call, changed(call, "prob_mod", x), work);
    if (group != 1)
        x = rml_onnx_split_dim(call, x, 4, 1, groups);
    x = rml_graph_matmul(call->graph, x, in[V], false, false, call->name);
    if (group != 1)
        x = rml_onnx_join_dims(call, x, 5, 1);
    call->out[0] = rml_onnx_cast(call, x, dtype);
}

// ---- the others ---------------------------------------------------------------------------------

static void import_rotary(rml_onnx_call *call)
{
    const int rank = rml_onnx_fact(call, 0).shape.rank;
    rml_op_attr attr = {.rotary = {.heads = rml_onnx_int(call, "num_heads", 0),
                                   .rotated = rml_onnx_int(call, "rotary_embedding_dim", 0),
                                   .interleaved = rml_onnx_int(call, "interleaved", 0) != 0}};
    if (rank == 4)
        attr.rotary.heads = 0;
    if (attr.rotary.heads < 0 || attr.rotary.rotated < 0 || (rank == 3 && !attr.rotary.heads)) {
        rml_onnx_misfit(call, "%lld heads of %lld rotated elements", (long long)attr.rotary.heads,
                        (long long)attr.rotary.rotated);
        return;
    }
    rml_onnx_translate(call, RML_OP_ROTARY, &attr, 4);
}

static void import_linear_attention(rml_onnx_call *call)
{
    const rml_op_attr attr = {
        .linear_attention = {
            .rule = (rml_fading_rule)rml_onnx_word(
                call, "update_rule", "linear gated delta gated_delta", RML_FADING_GATED_DELTA),
            .heads = rml_onnx_int(call, "q_num_heads", 0),
            .key_heads = rml_onnx_int(call, "kv_num_heads", 0),
            .scale = rml_onnx_float(call, "scale", 0)}};
    rml_onnx_ignore(call, "chunk_size"); // how others would cut the work
    rml_onnx_translate(call, RML_OP_LINEAR_ATTENTION, &attr, 6);
}

static const rml_onnx_field causal_conv[] = {
    RML_FIELD(WORD_FLAG, "activation", causal_conv.silu, .words = "none silu swish"), {0}};

const rml_onnx_entry rml_onnx_attention[] = {
    {.op_type = "Attention", .import = import_attention, .since = 23},
    {.op_type = "ai.onnx.preview.FlexAttention", .import = import_flex, .since = 1},
    {.op_type = "RotaryEmbedding", .import = import_rotary, .since = 23},
    {.op_type = "LinearAttention", .import = import_linear_attention, .since = 27},
    {.op_type = "CausalConvWithState",
     .op = RML_OP_CAUSAL_CONV,
     .fields = causal_conv,
     .since = 27},
    {.op_type = NULL},
};
