// LSTM classifier of number sequences: LSTM layers, and a linear layer on the last step.
//   seq_input (N,T,I)      as they are, not normalised
//   my_output (N,classes)  logits
// `lstm-stream` carries the state from one call to the next:
//   h0, c0    (N,L*D,H)    the state in front of the first step, zeros where a sequence starts
//   hn, cn    (N,L*D,H)    the state behind the last one
// Source: torch.nn.LSTM (batch_first) and torch.nn.Linear, keys "lstm.*" and "fc.*".
//
// Traps: both bias vectors count; the linear layer reads the last step of both directions, which is
// the first one that the backward direction computes.
#include "models/blocks.h"
#include "models/networks.h"

#define MAX_STATES 64 // layers times directions

typedef struct network {
    rml_params *params;
    rml_graph *graph;
    int64_t layers, directions, inputs, hidden;
    const rml_op *lstm, *linear;
    rml_value_id h0, c0; // RML_NO_VALUE: zeros
    rml_value_id hn[MAX_STATES], cn[MAX_STATES];
    int states;
} network;

static void key_of(char key[RML_KEY_BYTES], const char *what, int64_t layer, bool reverse)
{
    rml_key(key, "lstm.%s_l%lld%s", what, (long long)layer, reverse ? "_reverse" : "");
}

static const rml_shape *stored(const rml_params *params, const char *what, int64_t layer,
                               bool reverse)
{
    char key[RML_KEY_BYTES];
    key_of(key, what, layer, reverse);
    return rml_params_stored(params, key);
}

// The published sizes where the weights do not tell others.
static network find(rml_params *params, const rml_op *lstm, const rml_op *linear)
{
    network at = {.params = params,
                  .lstm = lstm,
                  .linear = linear,
                  .graph = rml_params_graph(params),
                  .layers = 1,
                  .directions = stored(params, "weight_ih", 0, true) ? 2 : 1,
                  .inputs = 1,
                  .hidden = 50,
                  .h0 = RML_NO_VALUE,
                  .c0 = RML_NO_VALUE};
    const rml_shape *first = stored(params, "weight_ih", 0, false);
    if (first && first->rank == 2 && first->dim[0] >= 4 && first->dim[1] > 0) {
        at.hidden = first->dim[0] / 4;
        at.inputs = first->dim[1];
    }
    while ((at.layers + 1) * at.directions <= MAX_STATES &&
           stored(params, "weight_ih", at.layers, false))
        at.layers++;
    return at;
}

static rml_value_id weight(const network *at, const char *what, int64_t layer, bool reverse,
                           int64_t cols)
{
    const rml_shape shape = {2, {4 * at->hidden, cols}};
    char key[RML_KEY_BYTES];
    key_of(key, what, layer, reverse);
    return rml_params_get(at->params, key, &shape, 0, RML_INIT_WEIGHT);
}

// Both bias vectors; RML_NO_VALUE for layers made without.
static void biases(const network *at, int64_t layer, bool reverse, rml_value_id out[2])
{
    static const char *const names[2] = {"bias_ih", "bias_hh"};
    const rml_shape shape = {1, {4 * at->hidden}};
    const bool none = !rml_params_published(at->params) &&
                      !stored(at->params, names[0], layer, reverse) &&
                      !stored(at->params, names[1], layer, reverse);
    for (int i = 0; i < 2; i++) {
        char key[RML_KEY_BYTES];
        key_of(key, names[i], layer, reverse);
        out[i] = none ? RML_NO_VALUE : rml_params_get(at->params, key, &shape, 0, RML_INIT_ZERO);
    }
}

// State number `index` of all layers and directions, [N,1,H].
static rml_value_id state(const network *at, rml_value_id states, int index, const char *name)
{
    return states == RML_NO_VALUE
               ? states
               : rml_graph_slice(at->graph, states, 1, index, index + 1, 1, name);
}

// All hidden states, the last one and the last cells to `out`.
static void direction(network *at, rml_value_id x, int64_t layer, bool reverse, rml_value_id out[3])
{
    const int64_t reads = layer ? at->hidden * at->directions : at->inputs;
    rml_lstm_weights weights = {weight(at, "weight_ih", layer, reverse, reads),
                                weight(at, "weight_hh", layer, reverse, at->hidden),
                                {RML_NO_VALUE, RML_NO_VALUE}};
    biases(at, layer, reverse, weights.bias);
    const rml_value_id h0 = state(at, at->h0, at->states, "h0");
    const rml_value_id c0 = state(at, at->c0, at->states, "c0");
    char name[RML_KEY_BYTES];
    key_of(name, "steps", layer, reverse);
    rml_graph_lstm(at->graph, at->lstm, &weights, x, h0, c0, reverse, out, name);
    at->hn[at->states] = out[1];
    at->cn[at->states++] = out[2];
}

// Both directions of the last step, [N,1,2H]. Backwards it is the first step that was computed.
static rml_value_id last_step(const network *at, rml_value_id forward, rml_value_id backward)
{
    const rml_value_id both[2] = {
        forward, rml_graph_slice(at->graph, backward, 1, -1, INT64_MAX, 1, "last")};
    return rml_graph_concat(at->graph, both, 2, 2, "last");
}

// [N,classes]
static rml_value_id build(network *at)
{
    rml_graph *graph = at->graph;
    rml_value_id x = rml_graph_input(graph, "seq_input", &(rml_shape){3, {-1, -1, at->inputs}});
    rml_value_id forward[3], backward[3];
    for (int64_t layer = 0; layer < at->layers; layer++) {
        const rml_value_id in = x;
        direction(at, in, layer, false, forward);
        x = forward[0]; // [N,T,H]
        if (at->directions == 1)
            continue;
        direction(at, in, layer, true, backward);
        const rml_value_id both[2] = {forward[0], backward[0]};
        x = rml_graph_concat(graph, both, 2, 2, "lstm"); // [N,T,2H]
    }
    x = at->directions == 1 ? forward[1] : last_step(at, forward[1], backward[0]);
    const int64_t reads = at->hidden * at->directions;
    x = rml_graph_reshape(graph, x, &(rml_shape){2, {-1, reads}}, "last"); // [N,D*H]
    const rml_value_id input =
        rml_params_get(at->params, "fc.weight", &(rml_shape){2, {3, reads}}, 1, RML_INIT_WEIGHT);
    if (input == RML_NO_VALUE)
        return input;
    const rml_shape classes = {1, {graph->values[input].shape.dim[0]}};
    const rml_value_id offset = rml_params_get(at->params, "fc.bias", &classes, 0, RML_INIT_ZERO);
    return rml_graph_linear_of(graph, at->linear, x, input, offset, "fc");
}

static void build_whole(network at)
{
    const rml_value_id logits = build(&at);
    rml_graph_output(at.graph, "my_output", logits);
}

static void build_stream(network at)
{
    const rml_shape states = {3, {-1, at.layers * at.directions, at.hidden}};
    at.h0 = rml_graph_input(at.graph, "h0", &states);
    at.c0 = rml_graph_input(at.graph, "c0", &states);
    const rml_value_id logits = build(&at);
    rml_graph_output(at.graph, "my_output", logits);
    rml_graph_output(at.graph, "hn", rml_graph_concat(at.graph, at.hn, at.states, 1, "hn"));
    rml_graph_output(at.graph, "cn", rml_graph_concat(at.graph, at.cn, at.states, 1, "cn"));
}

void rml_build_lstm(rml_params *params)
{
    build_whole(find(params, &rml_op_rnn, &rml_op_matmul));
}

void rml_build_lstm_stream(rml_params *params)
{
    build_stream(find(params, &rml_op_rnn, &rml_op_matmul));
}

static void build_alone(rml_params *params)
{
    build_whole(find(params, &rml_op_lstm, &rml_op_linear));
}

static void build_stream_alone(rml_params *params)
{
    build_stream(find(params, &rml_op_lstm, &rml_op_linear));
}

RML_NETWORK(lstm, "lstm", build_alone, rml_kit_sequences)
RML_NETWORK(lstm_stream, "lstm-stream", build_stream_alone, rml_kit_sequences)
