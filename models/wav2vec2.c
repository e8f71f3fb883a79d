// Wav2Vec2: speech to one vector for each 20 ms.
//   input_values      (N,samples)       16 kHz, zero mean and unit variance over the whole clip
//   last_hidden_state (N,frames,hidden)  frames = (samples - 400) / 320 + 1
// The same in parts, and networks.h has those of the encoder (pipelines/lipsync/latent_voice.h runs
// them):
//   wav2vec2-norm      input_values of the whole clip -> norm (N,2,512)
//   wav2vec2-features  input_values of a part, norm -> features (N,frames,512)
//   wav2vec2-encoder   features of the whole clip -> last_hidden_state
// Source: transformers, models/wav2vec2/modeling_wav2vec2.py. Keys may stand behind "wav2vec2.".
//
// Two layouts: "group" (base) normalises the first convolution's channels over the whole clip and
// nothing behind the others; "layer" (large-lv60, xlsr) normalises each place behind all seven. The
// transformer normalises behind each half layer, or, with do_stable_layer_norm, in front of it.
//
// Traps: the norm of the first convolution runs over the clip, so a clip cannot be cut up without
// the norm of the whole; the positional convolution has an even kernel and loses its last frame;
// its weight is given as direction and length for each tap; the published CTC models have more
// tensors than are needed.
#include "models/networks.h"
#include "models/transformer.h"
#include "models/wav2vec2.h"

#define MAX_LAYERS 256
#define CONV_EPS 1e-5f // of the norms behind convolutions; the config's is that of the others

// ---- what the weights and the config tell -------------------------------------------------------

static const rml_shape *stored(const rml_params *params, const char *format, int64_t number)
{
    char key[RML_KEY_BYTES];
    rml_key(key, format, (long long)number);
    return rml_params_stored(params, key);
}

// A number for each convolution.
static void read_list(rml_wav2vec2 *at, const char *key, const int64_t published[7], int64_t *out)
{
    rml_config *config = rml_params_config(at->params);
    const size_t given = rml_config_ints(config, key, 1, 65536, out, RML_WAV2VEC2_MAX_CONVS);
    for (int i = 0; i < at->convs && given != (size_t)at->convs; i++)
        out[i] = published[i < 7 ? i : 6];
    if (given && given != (size_t)at->convs)
        rml_config_fail(config, RML_ERR_SHAPE, "%s has %zu numbers for %d convolutions", key, given,
                        at->convs);
}

// Sizes where no weights tell them; those of base where the config says nothing either.
static void read_sizes(rml_wav2vec2 *at)
{
    static const int64_t widths[7] = {512, 512, 512, 512, 512, 512, 512};
    static const int64_t taps[7] = {10, 3, 3, 3, 3, 2, 2};
    rml_config *config = rml_params_config(at->params);
    int64_t given[RML_WAV2VEC2_MAX_CONVS];
    if (rml_params_published(at->params)) {
        at->convs =
            (int)rml_config_ints(config, "conv_dim", 1, 65536, given, RML_WAV2VEC2_MAX_CONVS);
        at->layers = rml_config_int(config, "num_hidden_layers", 12, 1, MAX_LAYERS);
    }
    at->convs = at->convs ? at->convs : 7;
    read_list(at, "conv_dim", widths, at->width);
    read_list(at, "conv_kernel", taps, at->taps);
    at->hidden = rml_config_int(config, "hidden_size", 768, 1, 65536);
    at->inner = rml_config_int(config, "intermediate_size", 3072, 1, 1 << 20);
    at->near = rml_config_int(config, "num_conv_pos_embeddings", 128, 1, 4096);
    at->groups = rml_config_int(config, "num_conv_pos_embedding_groups", 16, 1, 65536);
}

static void read_config(rml_wav2vec2 *at)
{
    rml_config *config = rml_params_config(at->params);
    static const char *const norms[] = {"group", "layer", NULL};
    static const int64_t published[7] = {5, 2, 2, 2, 2, 2, 2};
    read_list(at, "conv_stride", published, at->stride);
    if (rml_config_choice(config, "feat_extract_norm", norms, at->layer_layout) !=
        (at->layer_layout ? 1 : 0)) {
        if (rml_params_published(at->params))
            at->layer_layout = !at->layer_layout;
        else
            rml_config_fail(config, RML_ERR_SHAPE,
                            "feat_extract_norm is not \"%s\", as the weights have it",
                            norms[at->layer_layout]);
    }
    at->stable = rml_config_bool(config, "do_stable_layer_norm", at->layer_layout);
    at->heads = rml_config_int(config, "num_attention_heads", 0, 1, 4096);
    at->eps = (float)rml_config_number(config, "layer_norm_eps", 1e-5);
    at->conv_act = rml_config_activation(config, "feat_extract_activation");
    at->act = rml_config_activation(config, "hidden_act");
    if (rml_config_bool(config, "add_adapter", false))
        rml_config_fail(config, RML_ERR_UNSUPPORTED,
                        "the adapter behind the encoder, which add_adapter asks for, is not there");
    if (rml_config_int(config, "adapter_attn_dim", 0, 0, INT32_MAX))
        rml_config_fail(config, RML_ERR_UNSUPPORTED,
                        "adapter_attn_dim asks for adapters of languages, which are not there");
}

rml_wav2vec2 rml_wav2vec2_find(rml_params *params)
{
    static const char *const prefixes[] = {"wav2vec2.", NULL};
    // of training, and of the heads that classify, transcribe and compare
    static const char *const others[] = {"masked_spec_embed", "lm_head.",  "quantizer.",
                                         "project_",          "projector", "classifier."};
    rml_wav2vec2 at = {.params = params, .graph = rml_params_graph(params)};
    rml_params_scope(params, "encoder.layer_norm.weight", prefixes);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        rml_params_ignore(params, others[i]);
    at.layer_layout = stored(params, "feature_extractor.conv_layers.%lld.layer_norm.weight", 1);
    while (at.convs < RML_WAV2VEC2_MAX_CONVS &&
           stored(params, "feature_extractor.conv_layers.%lld.conv.weight", at.convs))
        at.convs++;
    while (at.layers < MAX_LAYERS &&
           stored(params, "encoder.layers.%lld.layer_norm.weight", at.layers))
        at.layers++;
    read_sizes(&at);
    read_config(&at);
    return at;
}

// ---- the convolutions ---------------------------------------------------------------------------

typedef struct first_conv {
    rml_value_id weight, gamma, beta;
} first_conv;

// Of the group layout, weight [C,1,K]. A bias has no effect: the norm takes it out again.
static first_conv first_parameters(rml_wav2vec2 *at)
{
    const rml_shape shape = {3, {at->width[0], 1, at->taps[0]}};
    first_conv first = {RML_NO_VALUE, RML_NO_VALUE, RML_NO_VALUE};
    first.weight = rml_params_get(at->params, "feature_extractor.conv_layers.0.conv.weight", &shape,
                                  5u, RML_INIT_WEIGHT);
    if (first.weight == RML_NO_VALUE)
        return first;
    const int64_t channels = at->graph->values[first.weight].shape.dim[0];
    const char *prefix = "feature_extractor.conv_layers.0.layer_norm";
    first.gamma = rml_vector(at->params, prefix, "weight", channels, RML_INIT_ONE);
    first.beta = rml_vector(at->params, prefix, "bias", channels, RML_INIT_ZERO);
    if (stored(at->params, "feature_extractor.conv_layers.%lld.conv.bias", 0))
        rml_vector(at->params, "feature_extractor.conv_layers.0.conv", "bias", channels,
                   RML_INIT_ZERO);
    return first;
}

static rml_value_id wave_norm(rml_wav2vec2 *at, rml_value_id wave, const first_conv *first)
{
    return rml_graph_wave_norm(at->graph, wave, first->weight, first->gamma, first->beta,
                               at->stride[0], CONV_EPS,
                               "feature_extractor.conv_layers.0.layer_norm");
}

// One convolution with its norm, if it has one, and its activation. [N,C,1,T] -> [N,C',1,T']
static rml_value_id conv_layer(rml_wav2vec2 *at, rml_value_id x, int layer)
{
    rml_conv_attr attr = rml_conv_square(1, 1, 0);
    attr.window.kernel[1] = at->taps[layer];
    attr.window.stride[1] = at->stride[layer];
    const char *const bias_key = "feature_extractor.conv_layers.%lld.conv.bias";
    const bool bias = rml_params_published(at->params)
                          ? at->layer_layout
                          : stored(at->params, bias_key, layer) != NULL;
    char key[RML_KEY_BYTES];
    rml_key(key, "feature_extractor.conv_layers.%d.conv", layer);
    x = rml_conv1d(at->params, x, key, &attr, at->width[layer], bias);
    if (at->layer_layout) {
        rml_key(key, "feature_extractor.conv_layers.%d.layer_norm", layer);
        const int64_t channels = rml_channels(at->params, x);
        const rml_value_id gamma = rml_vector(at->params, key, "weight", channels, RML_INIT_ONE);
        const rml_value_id beta = rml_vector(at->params, key, "bias", channels, RML_INIT_ZERO);
        x = rml_graph_channel_norm(at->graph, x, gamma, beta,
                                   &(rml_layer_norm_attr){.eps = CONV_EPS}, key);
    }
    return rml_graph_unary(at->graph, x, at->conv_act, key);
}

// [N,S] -> [N,T,C]; `norm` is that of the group layout, RML_NO_VALUE with the other one.
static rml_value_id features(rml_wav2vec2 *at, rml_value_id wave, const first_conv *first,
                             rml_value_id norm)
{
    rml_value_id x;
    if (at->layer_layout) {
        x = rml_graph_reshape(at->graph, wave, &(rml_shape){4, {0, 1, 1, -1}}, "wave");
        x = conv_layer(at, x, 0);
    } else {
        const char *name = "feature_extractor.conv_layers.0.conv";
        x = rml_graph_wave_conv(at->graph, wave, first->weight, norm, at->stride[0], name);
        x = rml_graph_unary(at->graph, x, at->conv_act, name); // [N,512,1,T]
    }
    for (int layer = 1; layer < at->convs; layer++)
        x = conv_layer(at, x, layer);
    return rml_from_row(at->params, x, "features");
}

// ---- the networks -------------------------------------------------------------------------------

static const rml_shape wave_shape = {2, {-1, -1}};

// All of it, or the convolutions of a piece with the norm of the whole.
static void build(rml_params *params, bool all)
{
    rml_wav2vec2 at = rml_wav2vec2_find(params);
    const rml_value_id wave = rml_graph_input(at.graph, "input_values", &wave_shape);
    first_conv first = {0};
    rml_value_id norm = RML_NO_VALUE;
    if (!at.layer_layout) {
        first = first_parameters(&at);
        const rml_shape shape = {3, {-1, 2, rml_dim(params, first.weight, 0)}};
        norm = all ? wave_norm(&at, wave, &first) : rml_graph_input(at.graph, "norm", &shape);
    }
    const rml_value_id x = features(&at, wave, &first, norm);
    if (all)
        rml_graph_output(at.graph, "last_hidden_state", rml_wav2vec2_encode(&at, x));
    else
        rml_graph_output(at.graph, "features", x);
}

void rml_build_wav2vec2(rml_params *params)
{
    build(params, true);
}

void rml_build_wav2vec2_norm(rml_params *params)
{
    rml_wav2vec2 at = rml_wav2vec2_find(params);
    rml_params_ignore(params, "feature_");
    rml_params_ignore(params, "encoder.");
    if (at.layer_layout) {
        rml_graph_fail(at.graph, RML_ERR_UNSUPPORTED,
                       "weights of the \"layer\" layout normalise each place by itself");
        return;
    }
    const first_conv first = first_parameters(&at);
    const rml_value_id wave = rml_graph_input(at.graph, "input_values", &wave_shape);
    rml_graph_output(at.graph, "norm", wave_norm(&at, wave, &first));
}

void rml_build_wav2vec2_features(rml_params *params)
{
    rml_params_ignore(params, "feature_projection.");
    rml_params_ignore(params, "encoder.");
    build(params, false);
}

RML_NETWORK(wav2vec2, "wav2vec2", rml_build_wav2vec2, rml_kit_whole)
RML_NETWORK(wav2vec2_norm, "wav2vec2-norm", rml_build_wav2vec2_norm, rml_kit_whole)
RML_NETWORK(wav2vec2_features, "wav2vec2-features", rml_build_wav2vec2_features, rml_kit_whole)
