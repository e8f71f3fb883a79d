// RNN, GRU and LSTM.
#include "writers/onnx/emit.h"

#include <math.h>

#define CELLS_STAY_BELOW 50 // Core ML's own clip of cells, which trained networks do not reach

static const char *lacks_rnn(const rml_to_onnx_ask *ask)
{
    const rml_rnn_attr *rnn = &ask->node->attr.rnn;
    if (rnn->batch_first)
        return "its steps come first";
    if (rnn->torch_gates)
        return "its gates are in another order";
    if (rnn->cell_clip > 0 && rnn->cell_clip < CELLS_STAY_BELOW)
        return "its cells are clipped";
    const rml_shape *states = &ask->graph->values[ask->node->in[2]].shape;
    return states->rank == 3 && states->dim[2] > 0 ? NULL : "how wide it is is not known";
}

typedef struct function_entry {
    const char *name;
    bool has_alpha, has_beta;
} function_entry;

static const function_entry functions[] = {
    [RML_RNN_TANH] = {"Tanh", false, false},
    [RML_RNN_SIGMOID] = {"Sigmoid", false, false},
    [RML_RNN_RELU] = {"Relu", false, false},
    [RML_RNN_AFFINE] = {"Affine", true, true},
    [RML_RNN_LEAKY_RELU] = {"LeakyRelu", true, false},
    [RML_RNN_THRESHOLDED_RELU] = {"ThresholdedRelu", true, false},
    [RML_RNN_SCALED_TANH] = {"ScaledTanh", true, true},
    [RML_RNN_HARD_SIGMOID] = {"HardSigmoid", true, true},
    [RML_RNN_ELU] = {"Elu", true, false},
    [RML_RNN_SOFTSIGN] = {"Softsign", false, false},
    [RML_RNN_SOFTPLUS] = {"Softplus", false, false},
};

// The lists of alphas and betas hold numbers for those functions only that take one.
static void write_activations(rml_to_onnx *w, const rml_rnn_attr *rnn, int each)
{
    const char *name[6];
    float alpha[6], beta[6];
    size_t count = 0, alphas = 0, betas = 0;
    for (int d = 0; d < rnn->directions; d++)
        for (int k = 0; k < each; k++) {
            const rml_rnn_activation *act = &rnn->act[3 * d + k];
            const function_entry *function = &functions[act->function];
            name[count++] = function->name;
            if (function->has_alpha)
                alpha[alphas++] = act->alpha;
            if (function->has_beta)
                beta[betas++] = act->beta;
        }
    rml_to_onnx_text_list(w, "activations", name, count);
    if (alphas)
        rml_to_onnx_float_list(w, "activation_alpha", alpha, alphas);
    if (betas)
        rml_to_onnx_float_list(w, "activation_beta", beta, betas);
}

static void write_rnn(rml_to_onnx *w, const rml_node *node)
{
    static const char *const names[] = {"RNN", "GRU", "LSTM"};
    static const int functions_each[] = {1, 2, 3};
    const rml_rnn_attr *rnn = &node->attr.rnn;
    rml_to_onnx_open(w, node, names[rnn->kind]);
    rml_to_onnx_int(w, "hidden_size", w->graph->values[node->in[2]].shape.dim[2]);
    rml_to_onnx_text(w, "direction",
                     rnn->directions == 2 ? "bidirectional"
                     : rnn->reverse       ? "reverse"
                                          : "forward");
    write_activations(w, rnn, functions_each[rnn->kind]);
    if (rnn->clip < INFINITY)
        rml_to_onnx_float(w, "clip", (double)rnn->clip);
    if (rnn->input_forget)
        rml_to_onnx_int(w, "input_forget", 1);
    if (rnn->kind == RML_RNN_GRU)
        rml_to_onnx_int(w, "linear_before_reset", rnn->linear_before_reset);
    rml_to_onnx_close(w, node);
}

const rml_to_onnx_entry rml_to_onnx_recurrent[] = {
    {.op = RML_OP_RNN, .lacks = lacks_rnn, .write = write_rnn},
    {0},
};
