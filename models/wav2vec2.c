// Wav2Vec2: speech to one vector for each 20 ms.
//   input_values      (N,samples)       16 kHz, zero mean and unit variance over the whole clip
//   last_hidden_state (N,frames,hidden)  frames = (samples - 400) / 320 + 1
// The same in parts, for clips of any length (pipelines/lipsync/voice.h):
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

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_LAYERS 256
#define MAX_CONVS 32
#define CONV_EPS 1e-5f // of the norms behind convolutions; the config's is that of the others

typedef struct network {
    rml_params *params;
    rml_graph *graph;
    int convs;
    int64_t stride[MAX_CONVS];
    int64_t width[MAX_CONVS], taps[MAX_CONVS], hidden, inner, near, groups; // where none are stored
    bool layer_layout, stable;
    int64_t layers, heads; // heads 0: of 64 numbers
    float eps;
    rml_activation conv_act, act;
} network;

static const char *const positional = "encoder.pos_conv_embed.conv";

// ---- what the weights and the config tell -------------------------------------------------------

static const rml_shape *stored(const rml_params *params, const char *format, int64_t number)
{
    char key[RML_KEY_BYTES];
    rml_key(key, format, (long long)number);
    return rml_params_stored(params, key);
}

// A number for each convolution.
static void read_list(network *at, const char *key, const int64_t published[7], int64_t *out)
{
    rml_config *config = rml_params_config(at->params);
    const size_t given = rml_config_ints(config, key, 1, 65536, out, MAX_CONVS);
    for (int i = 0; i < at->convs && given != (size_t)at->convs; i++)
        out[i] = published[i < 7 ? i : 6];
    if (given && given != (size_t)at->convs)
        rml_config_fail(config, RML_ERR_SHAPE, "%s has %zu numbers for %d convolutions", key, given,
                        at->convs);
}

// Sizes where no weights tell them; those of base where the config says nothing either.
static void read_sizes(network *at)
{
    static const int64_t widths[7] = {512, 512, 512, 512, 512, 512, 512};
    static const int64_t taps[7] = {10, 3, 3, 3, 3, 2, 2};
    rml_config *config = rml_params_config(at->params);
    int64_t given[MAX_CONVS];
    if (rml_params_published(at->params)) {
        at->convs = (int)rml_config_ints(config, "conv_dim", 1, 65536, given, MAX_CONVS);
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

static void read_config(network *at)
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

static network find(rml_params *params)
{
    static const char *const prefixes[] = {"wav2vec2.", NULL};
    // of training, and of the heads that classify, transcribe and compare
    static const char *const others[] = {"masked_spec_embed", "lm_head.",  "quantizer.",
                                         "project_",          "projector", "classifier."};
    network at = {.params = params, .graph = rml_params_graph(params)};
    rml_params_scope(params, "encoder.layer_norm.weight", prefixes);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        rml_params_ignore(params, others[i]);
    at.layer_layout = stored(params, "feature_extractor.conv_layers.%lld.layer_norm.weight", 1);
    while (at.convs < MAX_CONVS &&
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
static first_conv first_parameters(network *at)
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

static rml_value_id wave_norm(network *at, rml_value_id wave, const first_conv *first)
{
    return rml_graph_wave_norm(at->graph, wave, first->weight, first->gamma, first->beta,
                               at->stride[0], CONV_EPS,
                               "feature_extractor.conv_layers.0.layer_norm");
}

// One convolution with its norm, if it has one, and its activation. [N,C,1,T] -> [N,C',1,T']
static rml_value_id conv_layer(network *at, rml_value_id x, int layer)
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
static rml_value_id features(network *at, rml_value_id wave, const first_conv *first,
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

// ---- the transformer ----------------------------------------------------------------------------

// g[k] / |v[:,:,k]|: times v it is the weight. NULL when memory is out.
static const double *tap_factors(network *at, rml_value_id g, rml_value_id v)
{
    rml_arena *arena = &at->graph->arena;
    const rml_stored *length = &at->graph->values[g].constant->stored;
    const rml_stored *direction = &at->graph->values[v].constant->stored;
    const int64_t taps = direction->shape.dim[2], rows = direction->shape.dim[1];
    double *factor = rml_arena_alloc(arena, (size_t)taps, sizeof *factor); // zero
    float *row = rml_alloc(arena->allocator, (size_t)(rows * taps) * sizeof *row);
    if (!factor || !row) {
        rml_free(arena->allocator, row);
        rml_graph_fail(at->graph, RML_ERR_NOMEM, "out of memory while building the graph");
        return NULL;
    }
    for (int64_t o = 0; o < direction->shape.dim[0]; o++) {
        rml_stored_read(direction, 0, o, 1, row);
        for (int64_t i = 0; i < rows * taps; i++)
            factor[i % taps] += (double)row[i] * (double)row[i];
    }
    rml_stored_read_all(length, row); // [1,1,K]
    for (int64_t k = 0; k < taps; k++)
        factor[k] = (double)row[k] / sqrt(factor[k]);
    rml_free(arena->allocator, row);
    return factor;
}

// Weight [C,C/groups,1,K] of the positional convolution, in any of the three ways it is stored.
static rml_value_id positional_weight(network *at, int64_t channels)
{
    static const char *const forms[2][2] = {
        {"parametrizations.weight.original0", "parametrizations.weight.original1"},
        {"weight_g", "weight_v"}};
    const rml_shape shape = {3, {channels, channels / at->groups, at->near}};
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.weight", positional);
    if (rml_params_stored(at->params, key))
        return rml_row_weight(at->params,
                              rml_params_get(at->params, key, &shape, 6u, RML_INIT_WEIGHT), NULL);
    rml_key(key, "%s.%s", positional, forms[1][1]);
    const char *const *form = forms[rml_params_stored(at->params, key) ? 1 : 0];
    rml_key(key, "%s.%s", positional, form[1]);
    const rml_value_id v = rml_params_get(at->params, key, &shape, 6u, RML_INIT_WEIGHT);
    const int64_t taps = v == RML_NO_VALUE ? 1 : at->graph->values[v].shape.dim[2];
    rml_key(key, "%s.%s", positional, form[0]);
    const rml_value_id g =
        rml_params_get(at->params, key, &(rml_shape){3, {1, 1, taps}}, 0, RML_INIT_ONE);
    if (g == RML_NO_VALUE || rml_params_published(at->params))
        return rml_row_weight(at->params, v, NULL);
    const double *factor = tap_factors(at, g, v);
    return factor ? rml_row_weight(at->params, v, factor) : RML_NO_VALUE;
}

// [N,T,C] -> [N,T,C]
static rml_value_id positional_conv(network *at, rml_value_id x)
{
    const int64_t channels = rml_width(at->params, x);
    const rml_value_id weight = positional_weight(at, channels);
    if (weight == RML_NO_VALUE)
        return weight;
    const rml_shape *shape = &at->graph->values[weight].shape;
    const int64_t taps = shape->dim[3];
    // An even kernel gives a frame too many, which is cut off: one frame less of padding instead.
    rml_conv_attr attr = rml_conv_square(1, 1, 0);
    attr.window.kernel[1] = taps;
    attr.window.before[1] = taps / 2;
    attr.window.after[1] = taps / 2 - (taps % 2 == 0);
    attr.groups = shape->dim[1] > 0 ? channels / shape->dim[1] : 1;
    const rml_value_id bias = rml_vector(at->params, positional, "bias", channels, RML_INIT_ZERO);
    x = rml_to_row(at->params, x, positional);
    x = rml_graph_conv(at->graph, x, weight, bias, &attr, positional);
    x = rml_graph_unary(at->graph, x, at->conv_act, positional);
    return rml_from_row(at->params, x, positional);
}

static rml_value_id add(network *at, rml_value_id a, rml_value_id b, const char *name)
{
    return rml_graph_binary(at->graph, RML_BINARY_ADD, a, b, name);
}

static rml_value_id norm_at(network *at, rml_value_id x, int64_t layer, const char *name)
{
    char key[RML_KEY_BYTES];
    rml_key(key, "encoder.layers.%lld.%s", (long long)layer, name);
    return rml_layer_norm(at->params, x, key, at->eps);
}

static rml_value_id feed_forward(network *at, rml_value_id x, int64_t layer)
{
    const int64_t width = rml_width(at->params, x);
    char key[RML_KEY_BYTES];
    rml_key(key, "encoder.layers.%lld.feed_forward.intermediate_dense", (long long)layer);
    x = rml_linear(at->params, x, key, at->inner, false, true);
    x = rml_graph_unary(at->graph, x, at->act, key);
    rml_key(key, "encoder.layers.%lld.feed_forward.output_dense", (long long)layer);
    return rml_linear(at->params, x, key, width, true, true);
}

// [N,T,C] -> [N,T,C]
static rml_value_id encoder_layer(network *at, rml_value_id x, int64_t layer)
{
    static const rml_attention_names names = {"q_proj", "k_proj", "v_proj", "out_proj", true};
    const int64_t width = rml_width(at->params, x);
    const int64_t heads = at->heads ? at->heads : width % 64 ? 1 : width / 64;
    char key[RML_KEY_BYTES];
    rml_key(key, "encoder.layers.%lld.attention", (long long)layer);
    rml_value_id in = at->stable ? norm_at(at, x, layer, "layer_norm") : x;
    x = add(at, x, rml_self_attention(at->params, in, key, &names, heads), key);
    if (!at->stable)
        x = norm_at(at, x, layer, "layer_norm");
    in = at->stable ? norm_at(at, x, layer, "final_layer_norm") : x;
    x = add(at, x, feed_forward(at, in, layer), key);
    return at->stable ? x : norm_at(at, x, layer, "final_layer_norm");
}

// [N,T,512] -> [N,T,hidden]
static rml_value_id encode(network *at, rml_value_id x)
{
    x = rml_layer_norm(at->params, x, "feature_projection.layer_norm", at->eps);
    x = rml_linear(at->params, x, "feature_projection.projection", at->hidden, false, true);
    x = add(at, x, positional_conv(at, x), "encoder.pos_conv_embed");
    if (at->heads && rml_width(at->params, x) % at->heads != 0)
        rml_config_fail(rml_params_config(at->params), RML_ERR_SHAPE,
                        "num_attention_heads is %lld, which does not divide the width %lld",
                        (long long)at->heads, (long long)rml_width(at->params, x));
    if (!at->stable)
        x = rml_layer_norm(at->params, x, "encoder.layer_norm", at->eps);
    for (int64_t layer = 0; layer < at->layers; layer++)
        x = encoder_layer(at, x, layer);
    return at->stable ? rml_layer_norm(at->params, x, "encoder.layer_norm", at->eps) : x;
}

// ---- the networks -------------------------------------------------------------------------------

static const rml_shape wave_shape = {2, {-1, -1}};

// All of it, or the convolutions of a piece with the norm of the whole.
static void build(rml_params *params, bool all)
{
    network at = find(params);
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
        rml_graph_output(at.graph, "last_hidden_state", encode(&at, x));
    else
        rml_graph_output(at.graph, "features", x);
}

void rml_build_wav2vec2(rml_params *params)
{
    build(params, true);
}

void rml_build_wav2vec2_norm(rml_params *params)
{
    network at = find(params);
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

void rml_build_wav2vec2_encoder(rml_params *params)
{
    network at = find(params);
    const rml_shape *width = rml_params_stored(params, "feature_projection.layer_norm.weight");
    rml_params_ignore(params, "feature_extractor.");
    const rml_shape shape = {
        3, {-1, -1, width && width->rank == 1 ? width->dim[0] : at.width[at.convs - 1]}};
    rml_graph_output(at.graph, "last_hidden_state",
                     encode(&at, rml_graph_input(at.graph, "features", &shape)));
}
