// RNN, GRU and LSTM. The usual LSTM of f32 with constant weights runs on the fast operator behind
// `linear`; everything else on the general one.
#include "loaders/onnx/handler.h"
#include "loaders/onnx/make.h"

#include <math.h>
#include <string.h>

// ---- attributes ---------------------------------------------------------------------------------

typedef struct function_entry {
    const char *name;
    rml_rnn_function function;
    bool has_alpha, has_beta;
    float alpha, beta; // where the lists have no more
} function_entry;

static const function_entry *find_function(const char *name)
{
    static const function_entry functions[] = {
        {"tanh", RML_RNN_TANH, false, false, 0, 0},
        {"sigmoid", RML_RNN_SIGMOID, false, false, 0, 0},
        {"relu", RML_RNN_RELU, false, false, 0, 0},
        {"affine", RML_RNN_AFFINE, true, true, 1, 0},
        {"leakyrelu", RML_RNN_LEAKY_RELU, true, false, 0.01f, 0},
        {"thresholdedrelu", RML_RNN_THRESHOLDED_RELU, true, false, 1, 0},
        {"scaledtanh", RML_RNN_SCALED_TANH, true, true, 1, 1},
        {"hardsigmoid", RML_RNN_HARD_SIGMOID, true, true, 0.2f, 0.5f},
        {"elu", RML_RNN_ELU, true, false, 1, 0},
        {"softsign", RML_RNN_SOFTSIGN, false, false, 0, 0},
        {"softplus", RML_RNN_SOFTPLUS, false, false, 0, 0},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        size_t at = 0; // names are written in any case
        while (name[at] && (name[at] | 32) == functions[i].name[at])
            at++;
        if (!name[at] && !functions[i].name[at])
            return &functions[i];
    }
    return NULL;
}

// The lists of alphas and betas hold numbers for those functions only that take one.
static void take_activations(rml_onnx_call *call, rml_rnn_attr *rnn, int each)
{
    static const char *const usual[] = {
        [RML_RNN_PLAIN] = "tanh", [RML_RNN_GRU] = "sigmoid", [RML_RNN_LSTM] = "sigmoid"};
    size_t count, alphas, betas, alpha = 0, beta = 0;
    const rml_onnx_text *names = rml_onnx_texts(call, "activations", &count);
    const float *alpha_list = rml_onnx_floats(call, "activation_alpha", &alphas);
    const float *beta_list = rml_onnx_floats(call, "activation_beta", &betas);
    if (count && count != (size_t)(each * rnn->directions)) {
        rml_onnx_refuse(call, "%zu activations for %d directions", count, rnn->directions);
        return;
    }
    for (int d = 0; d < rnn->directions; d++)
        for (int k = 0; k < each; k++) {
            const char *name = count ? names[d * each + k].text : k ? "tanh" : usual[rnn->kind];
            const function_entry *found = find_function(name);
            if (!found) {
                rml_onnx_refuse(call, "activation \"%.40s\" is not known", name);
                return;
            }
            rml_rnn_activation *act = &rnn->act[3 * d + k];
            *act = (rml_rnn_activation){found->function, found->alpha, found->beta};
            if (found->has_alpha && alpha < alphas)
                act->alpha = alpha_list[alpha++];
            if (found->has_beta && beta < betas)
                act->beta = beta_list[beta++];
        }
}

static bool take_rnn(rml_onnx_call *call, rml_rnn_attr *rnn)
{
    const char *direction = rml_onnx_text_of(call, "direction", "forward");
    const double clip = rml_onnx_float(call, "clip", 0);
    *rnn = (rml_rnn_attr){.kind = (rml_rnn_kind)rml_onnx_option(call), .directions = 1};
    if (strcmp(direction, "bidirectional") == 0)
        rnn->directions = 2;
    else if (strcmp(direction, "reverse") == 0)
        rnn->reverse = true;
    else if (strcmp(direction, "forward") != 0)
        rml_onnx_refuse(call, "direction is \"%.40s\"", direction);
    rnn->batch_first = rml_onnx_int(call, "layout", 0) != 0;
    rnn->clip = clip > 0 ? (float)clip : INFINITY;
    if (rnn->kind == RML_RNN_LSTM)
        rnn->input_forget = rml_onnx_int(call, "input_forget", 0) != 0;
    if (rnn->kind == RML_RNN_GRU)
        rnn->linear_before_reset = rml_onnx_int(call, "linear_before_reset", 0) != 0;
    rml_onnx_ignore(call, "hidden_size");     // the weights tell
    rml_onnx_ignore(call, "output_sequence"); // before opset 7: whether Y is wanted
    take_activations(call, rnn, rnn->kind == RML_RNN_LSTM ? 3 : rnn->kind == RML_RNN_GRU ? 2 : 1);
    return !call->refused;
}

// ---- the fast LSTM ------------------------------------------------------------------------------

enum { X, W, R, BIAS, LENGTHS, H0, C0, PEEPHOLES };

static const rml_stored *f32_weight(const rml_onnx_call *call, int input, int rank)
{
    const rml_stored *stored = rml_onnx_stored(call, rml_onnx_in(call, input));
    return stored && stored->dtype == RML_F32 && stored->shape.rank == rank ? stored : NULL;
}

static bool is_usual(const rml_onnx_call *call, const rml_rnn_attr *rnn)
{
    const rml_stored *w = f32_weight(call, W, 3), *r = f32_weight(call, R, 3);
    bool usual = rnn->kind == RML_RNN_LSTM && !rnn->input_forget && isinf(rnn->clip) && w && r;
    for (int d = 0; d < rnn->directions && usual; d++)
        usual = rnn->act[3 * d].function == RML_RNN_SIGMOID &&
                rnn->act[3 * d + 1].function == RML_RNN_TANH &&
                rnn->act[3 * d + 2].function == RML_RNN_TANH;
    if (!usual || rml_onnx_in(call, LENGTHS) != RML_NO_VALUE ||
        rml_onnx_in(call, PEEPHOLES) != RML_NO_VALUE)
        return false;
    if (rml_onnx_in(call, BIAS) != RML_NO_VALUE && !f32_weight(call, BIAS, 2))
        return false;
    // Weights that do not fit are for the general operator to name.
    const int64_t hidden = r->shape.dim[2];
    const rml_stored *bias = f32_weight(call, BIAS, 2);
    return hidden > 0 && hidden < INT32_MAX && w->shape.dim[2] > 0 &&
           w->shape.dim[0] == rnn->directions && r->shape.dim[0] == rnn->directions &&
           w->shape.dim[1] == 4 * hidden && r->shape.dim[1] == 4 * hidden &&
           (!bias || (bias->shape.dim[0] == rnn->directions && bias->shape.dim[1] == 8 * hidden));
}

// One direction of a weight [D,4*H,K], its gates from the order of ONNX (i o f c) to ours (i f c
// o).
static rml_value_id direction_weight(rml_onnx_call *call, int input, int direction)
{
    static const int order[4] = {0, 2, 3, 1};
    const rml_stored *from = f32_weight(call, input, 3);
    const int64_t rows = from->shape.dim[1], cols = from->shape.dim[2], hidden = rows / 4;
    float *data = rml_arena_alloc(&call->graph->arena, (size_t)rows * (size_t)cols, sizeof *data);
    if (!data)
        return rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for a weight");
    for (int gate = 0; gate < 4; gate++) {
        rml_stored part = {.dtype = RML_F32,
                           .shape = {2, {hidden, cols}},
                           .stride = {from->stride[1], from->stride[2]},
                           .data = from->data};
        part.data +=
            (size_t)(direction * from->stride[0] + order[gate] * hidden * from->stride[1]) *
            sizeof(float);
        rml_stored_read_all(&part, data + gate * hidden * cols);
    }
    const rml_constant constant = {.stored = rml_stored_f32(data, &(rml_shape){2, {rows, cols}})};
    return rml_graph_constant(call->graph, call->graph->values[rml_onnx_in(call, input)].name,
                              &constant);
}

// Both biases of a direction, added.
static rml_value_id direction_bias(rml_onnx_call *call, int direction)
{
    static const int order[4] = {0, 2, 3, 1};
    const rml_stored *from = f32_weight(call, BIAS, 2);
    if (!from)
        return RML_NO_VALUE;
    const int64_t rows = from->shape.dim[1] / 2, hidden = rows / 4;
    float *data = rml_arena_alloc(&call->graph->arena, (size_t)rows * 3, sizeof *data);
    if (!data)
        return rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for a bias");
    const rml_stored both = {.dtype = RML_F32,
                             .shape = {1, {2 * rows}},
                             .stride = {from->stride[1]},
                             .data = from->data +
                                     (size_t)(direction * from->stride[0]) * sizeof(float)};
    float *read = data + rows;
    rml_stored_read_all(&both, read);
    for (int gate = 0; gate < 4; gate++)
        for (int64_t u = 0; u < hidden; u++) {
            const int64_t at = order[gate] * hidden + u;
            data[gate * hidden + u] = read[at] + read[rows + at];
        }
    const rml_constant constant = {.stored = rml_stored_f32(data, &(rml_shape){1, {rows}})};
    return rml_graph_constant(call->graph, call->graph->values[rml_onnx_in(call, BIAS)].name,
                              &constant);
}

// A direction of an initial state: [D,N,H] or [N,D,H] to [N,H].
static rml_value_id direction_state(rml_onnx_call *call, const rml_rnn_attr *rnn, int input,
                                    int direction)
{
    const rml_value_id state = rml_onnx_in(call, input);
    const rml_shape plain = {2, {-1, f32_weight(call, R, 3)->shape.dim[2]}};
    if (state == RML_NO_VALUE)
        return state;
    const rml_value_id part = rml_graph_slice(call->graph, state, rnn->batch_first ? 1 : 0,
                                              direction, direction + 1, 1, call->name);
    return rml_graph_reshape(call->graph, part, &plain, call->name);
}

static void import_usual(rml_onnx_call *call, const rml_rnn_attr *rnn)
{
    rml_value_id parts[3][2];
    for (int d = 0; d < rnn->directions; d++) {
        const rml_lstm_attr attr = {.time_axis = rnn->batch_first ? 1 : 0,
                                    .reverse = rnn->reverse || d == 1};
        const rml_value_id gates =
            rml_graph_linear(call->graph, rml_onnx_in(call, X), direction_weight(call, W, d),
                             direction_bias(call, d), call->name);
        rml_value_id out[3];
        rml_graph_lstm(call->graph, gates, direction_weight(call, R, d),
                       direction_state(call, rnn, H0, d), direction_state(call, rnn, C0, d), &attr,
                       out, call->name);
        for (int k = 0; k < 3; k++)
            if (rml_onnx_wants(call, k))
                parts[k][d] = rml_onnx_insert_dim(call, out[k], k ? 2 : 3,
                                                  rnn->batch_first ? (k ? 1 : 2) : (k ? 0 : 1));
    }
    for (int k = 0; k < 3; k++)
        if (rml_onnx_wants(call, k))
            call->out[k] =
                rnn->directions == 1
                    ? parts[k][0]
                    : rml_graph_concat(call->graph, parts[k], 2,
                                       rnn->batch_first ? (k ? 1 : 2) : (k ? 0 : 1), call->name);
}

// The input's share of all gates at once, where it is for `linear`: with a constant weight of f32.
static rml_value_id mixed_input(rml_onnx_call *call, const rml_rnn_attr *rnn)
{
    const rml_stored *w = f32_weight(call, W, 3);
    if (!w || rml_onnx_fact(call, X).dtype != RML_F32 || w->shape.dim[0] != rnn->directions ||
        w->shape.dim[1] < 1 || w->shape.dim[2] < 1 ||
        w->stride[0] != w->shape.dim[1] * w->stride[1])
        return RML_NO_VALUE;
    rml_constant constant = {.stored = *w};
    constant.stored.shape = (rml_shape){2, {w->shape.dim[0] * w->shape.dim[1], w->shape.dim[2]}};
    constant.stored.stride[0] = w->stride[1];
    constant.stored.stride[1] = w->stride[2];
    const char *name = call->graph->values[rml_onnx_in(call, W)].name;
    const rml_value_id weight = rml_graph_constant(call->graph, name, &constant);
    return rml_graph_linear(call->graph, rml_onnx_in(call, X), weight, RML_NO_VALUE, call->name);
}

// ---- all others ---------------------------------------------------------------------------------

static void import_rnn(rml_onnx_call *call)
{
    rml_op_attr attr = {0};
    rml_value_id in[8];
    if (!take_rnn(call, &attr.rnn))
        return;
    if (is_usual(call, &attr.rnn) && rml_onnx_fact(call, X).dtype == RML_F32) {
        import_usual(call, &attr.rnn);
        return;
    }
    const int count = attr.rnn.kind == RML_RNN_LSTM ? 8 : 6;
    for (int i = 0; i < count; i++)
        in[i] = rml_onnx_in(call, i);
    const rml_value_id mixed = mixed_input(call, &attr.rnn);
    attr.rnn.mixed = mixed != RML_NO_VALUE;
    if (attr.rnn.mixed) {
        in[X] = mixed;
        in[W] = RML_NO_VALUE;
    }
    in[LENGTHS] =
        in[LENGTHS] == RML_NO_VALUE ? RML_NO_VALUE : rml_onnx_cast(call, in[LENGTHS], RML_I32);
    const rml_value_id first =
        rml_graph_node(call->graph, RML_OP_RNN, &attr, in, count, call->name);
    for (int k = 0; k < call->out_count && first != RML_NO_VALUE; k++)
        if (k < (attr.rnn.kind == RML_RNN_LSTM ? 3 : 2))
            call->out[k] = first + (rml_value_id)k;
}

const rml_onnx_entry rml_onnx_recurrent[] = {
    {.op_type = "RNN", .import = import_rnn, .since = 1, .option = RML_RNN_PLAIN},
    {.op_type = "GRU", .import = import_rnn, .since = 1, .option = RML_RNN_GRU},
    {.op_type = "LSTM", .import = import_rnn, .since = 1, .option = RML_RNN_LSTM},
    {.op_type = NULL},
};
