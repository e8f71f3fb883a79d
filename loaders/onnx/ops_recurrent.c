// RNN, GRU and LSTM.
#include "loaders/onnx/make.h"

#include <math.h>

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
    const rml_text *names = rml_onnx_texts(call, "activations", &count);
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
    const int direction = rml_onnx_word(call, "direction", "forward reverse bidirectional", 0);
    const double clip = rml_onnx_float(call, "clip", 0);
    *rnn = (rml_rnn_attr){.kind = (rml_rnn_kind)rml_onnx_option(call)};
    rnn->directions = direction == 2 ? 2 : 1;
    rnn->reverse = direction == 1;
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

enum { LENGTHS = 4, MOST = 8 }; // inputs

static void import_rnn(rml_onnx_call *call)
{
    rml_op_attr attr = {0};
    rml_value_id in[MOST];
    if (!take_rnn(call, &attr.rnn))
        return;
    const int count = attr.rnn.kind == RML_RNN_LSTM ? MOST : 6;
    for (int i = 0; i < count; i++)
        in[i] = rml_onnx_in(call, i);
    if (in[LENGTHS] != RML_NO_VALUE)
        in[LENGTHS] = rml_onnx_cast(call, in[LENGTHS], RML_I32);
    rml_onnx_emit(call, RML_OP_RNN, &attr, in, count);
}

const rml_onnx_entry rml_onnx_recurrent[] = {
    {.op_type = "RNN", .import = import_rnn, .since = 1, .option = RML_RNN_PLAIN},
    {.op_type = "GRU", .import = import_rnn, .since = 1, .option = RML_RNN_GRU},
    {.op_type = "LSTM", .import = import_rnn, .since = 1, .option = RML_RNN_LSTM},
    {.op_type = NULL},
};
