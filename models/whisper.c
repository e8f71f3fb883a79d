// The encoder of Whisper: half a minute of speech to vectors for each 20 ms, of every layer.
//   input_features    (N,80,3000)              log-mel, see media/audio/log_mel.h
//   features          (N,1500,layers+1,width)  behind the positions and behind each layer
//   last_hidden_state (N,1500,width)           of the last layer, normalised
// Source: transformers, models/whisper/modeling_whisper.py, and openai/whisper, model.py, whose
// names of the same tensors differ. The decoder may be there and is left alone.
//
// Traps: keys have no bias; positions are stored, not computed, and their number is that of the
// frames; `features` are not normalised, what is called final_layer_norm stands in front of the
// feed-forward half.
#include "models/networks.h"
#include "models/transformer.h"
#include "tensor/format.h"

#include <string.h>

#define MAX_LAYERS 63 // of which one output is made, with the positions'
#define EPS 1e-5f

typedef struct names {
    const char *positions, *layer, *attention, *attention_norm, *norm, *in, *out, *last;
    rml_attention_names parts;
} names;

static const names published_names = {
    .positions = "encoder.embed_positions.weight",
    .layer = "encoder.layers",
    .attention = "self_attn",
    .attention_norm = "self_attn_layer_norm",
    .norm = "final_layer_norm",
    .in = "fc1",
    .out = "fc2",
    .last = "encoder.layer_norm",
    .parts = {"q_proj", "k_proj", "v_proj", "out_proj", false},
};

static const names original_names = {
    .positions = "encoder.positional_embedding",
    .layer = "encoder.blocks",
    .attention = "attn",
    .attention_norm = "attn_ln",
    .norm = "mlp_ln",
    .in = "mlp.0",
    .out = "mlp.2",
    .last = "encoder.ln_post",
    .parts = {"query", "key", "value", "out", false},
};

typedef struct network {
    rml_params *params;
    rml_graph *graph;
    const names *names;
    int64_t layers, heads, bands, width, inner, places; // the last four where none are stored
    rml_activation act;
} network;

static void key_of(const network *at, char key[RML_KEY_BYTES], int64_t layer, const char *name)
{
    rml_key(key, "%s.%lld.%s", at->names->layer, (long long)layer, name);
}

static network find(rml_params *params)
{
    static const char *const prefixes[] = {"model.", NULL};
    network at = {.params = params, .graph = rml_params_graph(params), .names = &published_names};
    char key[RML_KEY_BYTES];
    rml_params_scope(params, "encoder.conv1.weight", prefixes);
    rml_params_ignore(params, "decoder.");
    rml_params_ignore(params, "proj_out.");
    rml_config *config = rml_params_config(params);
    if (rml_params_stored(params, original_names.positions))
        at.names = &original_names;
    for (; at.layers < MAX_LAYERS; at.layers++) {
        key_of(&at, key, at.layers, at.names->in);
        const size_t length = strlen(key);
        rml_format(key + length, sizeof key - length, ".weight");
        if (!rml_params_stored(params, key))
            break;
    }
    if (rml_params_published(params))
        at.layers = rml_config_int(config, "encoder_layers", 4, 1, MAX_LAYERS);
    at.heads = rml_config_int(config, "encoder_attention_heads", 0, 1, 4096);
    at.bands = rml_config_int(config, "num_mel_bins", 80, 1, 1024);
    at.width = rml_config_int(config, "d_model", 384, 1, 65536);
    at.inner = rml_config_int(config, "encoder_ffn_dim", 1536, 1, 1 << 20);
    at.places = rml_config_int(config, "max_source_positions", 1500, 1, 1 << 20);
    at.act = rml_config_activation(config, "activation_function");
    return at;
}

static rml_value_id norm_at(network *at, rml_value_id x, int64_t layer, const char *name)
{
    char key[RML_KEY_BYTES];
    key_of(at, key, layer, name);
    return rml_layer_norm(at->params, x, key, EPS);
}

// [N,T,C] -> [N,T,C]
static rml_value_id encoder_layer(network *at, rml_value_id x, int64_t layer)
{
    const int64_t width = rml_width(at->params, x);
    const int64_t heads = at->heads ? at->heads : width % 64 ? 1 : width / 64;
    char key[RML_KEY_BYTES];
    key_of(at, key, layer, at->names->attention);
    rml_value_id y = norm_at(at, x, layer, at->names->attention_norm);
    y = rml_self_attention(at->params, y, key, &at->names->parts, heads);
    x = rml_graph_binary(at->graph, RML_BINARY_ADD, x, y, key);
    y = norm_at(at, x, layer, at->names->norm);
    key_of(at, key, layer, at->names->in);
    y = rml_linear(at->params, y, key, at->inner, false, true);
    y = rml_graph_unary(at->graph, y, at->act, key);
    key_of(at, key, layer, at->names->out);
    y = rml_linear(at->params, y, key, width, true, true);
    return rml_graph_binary(at->graph, RML_BINARY_ADD, x, y, key);
}

// Mel columns to [N,T,C], two columns to a place.
static rml_value_id convolutions(network *at, int64_t places)
{
    const rml_shape *first = rml_params_stored(at->params, "encoder.conv1.weight");
    const int64_t bands = first && first->rank == 3 ? first->dim[1] : at->bands;
    rml_conv_attr attr = rml_conv_square(3, 1, 1);
    attr.window.kernel[0] = 1;
    attr.window.before[0] = attr.window.after[0] = 0;
    rml_value_id x =
        rml_graph_input(at->graph, "input_features", &(rml_shape){3, {-1, bands, 2 * places}});
    x = rml_graph_reshape(at->graph, x, &(rml_shape){4, {0, bands, 1, -1}}, "mel");
    x = rml_conv1d(at->params, x, "encoder.conv1", &attr, at->width, true);
    x = rml_graph_unary(at->graph, x, at->act, "encoder.conv1"); // [N,C,1,2T]
    attr.window.stride[1] = 2;
    x = rml_conv1d(at->params, x, "encoder.conv2", &attr, at->width, true);
    x = rml_graph_unary(at->graph, x, at->act, "encoder.conv2"); // [N,C,1,T]
    return rml_from_row(at->params, x, "encoder.conv2");
}

void rml_build_whisper_encoder(rml_params *params)
{
    network at = find(params);
    const rml_value_id positions = rml_params_get(
        params, at.names->positions, &(rml_shape){2, {at.places, at.width}}, 3u, RML_INIT_WEIGHT);
    if (positions == RML_NO_VALUE)
        return;
    const int64_t places = at.graph->values[positions].shape.dim[0];
    rml_value_id x = convolutions(&at, places);
    const int64_t width = rml_width(params, x);
    const rml_shape one = {4, {0, 0, 1, -1}};
    rml_value_id stack[MAX_LAYERS + 1];
    if (at.heads && width % at.heads != 0)
        rml_config_fail(rml_params_config(params), RML_ERR_SHAPE,
                        "encoder_attention_heads is %lld, which does not divide the width %lld",
                        (long long)at.heads, (long long)width);
    x = rml_graph_binary(at.graph, RML_BINARY_ADD, x, positions, "positions");
    stack[0] = rml_graph_reshape(at.graph, x, &one, "features");
    for (int64_t layer = 0; layer < at.layers; layer++) {
        x = encoder_layer(&at, x, layer);
        stack[layer + 1] = rml_graph_reshape(at.graph, x, &one, "features");
    }
    rml_graph_output(at.graph, "features",
                     rml_graph_concat(at.graph, stack, (int)at.layers + 1, 2, "features"));
    rml_graph_output(at.graph, "last_hidden_state", rml_layer_norm(params, x, at.names->last, EPS));
}

RML_NETWORK(whisper_encoder, "whisper-encoder", rml_build_whisper_encoder, rml_kit_whole)
