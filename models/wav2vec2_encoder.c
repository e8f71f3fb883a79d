// The transformer of Wav2Vec2, as one network and in parts; wav2vec2.c tells of it.
#include "models/networks.h"
#include "models/transformer.h"
#include "models/wav2vec2.h"

#include <math.h>

static const char *const positional = "encoder.pos_conv_embed.conv";

// g[k] / |v[:,:,k]|: times v it is the weight. NULL when memory is out.
static const double *tap_factors(rml_wav2vec2 *at, rml_value_id g, rml_value_id v)
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
static rml_value_id positional_weight(rml_wav2vec2 *at, int64_t channels)
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
static rml_value_id positional_conv(rml_wav2vec2 *at, rml_value_id x)
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

static rml_value_id add(rml_wav2vec2 *at, rml_value_id a, rml_value_id b, const char *name)
{
    return rml_graph_binary(at->graph, RML_BINARY_ADD, a, b, name);
}

static rml_value_id norm_at(rml_wav2vec2 *at, rml_value_id x, int64_t layer, const char *name)
{
    char key[RML_KEY_BYTES];
    rml_key(key, "encoder.layers.%lld.%s", (long long)layer, name);
    return rml_layer_norm(at->params, x, key, at->eps);
}

static rml_value_id feed_forward(rml_wav2vec2 *at, rml_value_id x, int64_t layer)
{
    const int64_t width = rml_width(at->params, x);
    char key[RML_KEY_BYTES];
    rml_key(key, "encoder.layers.%lld.feed_forward.intermediate_dense", (long long)layer);
    x = rml_linear(at->params, x, key, at->inner, false, true);
    x = rml_graph_unary(at->graph, x, at->act, key);
    rml_key(key, "encoder.layers.%lld.feed_forward.output_dense", (long long)layer);
    return rml_linear(at->params, x, key, width, true, true);
}

static const rml_attention_names names = {"q_proj", "k_proj", "v_proj", "out_proj", true};

static void attention_key(char key[RML_KEY_BYTES], int64_t layer)
{
    rml_key(key, "encoder.layers.%lld.attention", (long long)layer);
}

// What the attention of a layer reads.
static rml_value_id attended(rml_wav2vec2 *at, rml_value_id x, int64_t layer)
{
    return at->stable ? norm_at(at, x, layer, "layer_norm") : x;
}

// [N,T,C] -> [N,T,C]; key and value are those of x, or of more rows.
static rml_value_id encoder_layer(rml_wav2vec2 *at, rml_value_id x, int64_t layer,
                                  const rml_value_id in[3])
{
    const int64_t width = rml_width(at->params, x);
    const int64_t heads = at->heads ? at->heads : width % 64 ? 1 : width / 64;
    char key[RML_KEY_BYTES];
    attention_key(key, layer);
    x = add(at, x, rml_attend(at->params, in, key, &names, heads), key);
    if (!at->stable)
        x = norm_at(at, x, layer, "layer_norm");
    const rml_value_id y = at->stable ? norm_at(at, x, layer, "final_layer_norm") : x;
    x = add(at, x, feed_forward(at, y, layer), key);
    return at->stable ? x : norm_at(at, x, layer, "final_layer_norm");
}

static rml_value_id last_norm(rml_wav2vec2 *at, rml_value_id x)
{
    return rml_layer_norm(at->params, x, "encoder.layer_norm", at->eps);
}

// [N,T,512] -> [N,T,hidden]
static rml_value_id front(rml_wav2vec2 *at, rml_value_id x)
{
    x = rml_layer_norm(at->params, x, "feature_projection.layer_norm", at->eps);
    x = rml_linear(at->params, x, "feature_projection.projection", at->hidden, false, true);
    x = add(at, x, positional_conv(at, x), "encoder.pos_conv_embed");
    if (at->heads && rml_width(at->params, x) % at->heads != 0)
        rml_config_fail(rml_params_config(at->params), RML_ERR_SHAPE,
                        "num_attention_heads is %lld, which does not divide the width %lld",
                        (long long)at->heads, (long long)rml_width(at->params, x));
    return at->stable ? x : last_norm(at, x);
}

rml_value_id rml_wav2vec2_encode(rml_wav2vec2 *at, rml_value_id x)
{
    char key[RML_KEY_BYTES];
    x = front(at, x);
    for (int64_t layer = 0; layer < at->layers; layer++) {
        const rml_value_id seen = attended(at, x, layer);
        rml_value_id in[3];
        attention_key(key, layer);
        for (int i = 0; i < 3; i++)
            in[i] = rml_attention_input(at->params, seen, key, &names, i);
        x = encoder_layer(at, x, layer, in);
    }
    return at->stable ? last_norm(at, x) : x;
}

// ---- in parts -----------------------------------------------------------------------------------

static rml_value_id features_input(rml_wav2vec2 *at)
{
    const rml_shape *width = rml_params_stored(at->params, "feature_projection.layer_norm.weight");
    rml_params_ignore(at->params, "feature_extractor.");
    const rml_shape shape = {
        3, {-1, -1, width && width->rank == 1 ? width->dim[0] : at->width[at->convs - 1]}};
    return rml_graph_input(at->graph, "features", &shape);
}

void rml_build_wav2vec2_encoder(rml_params *params)
{
    rml_wav2vec2 at = rml_wav2vec2_find(params);
    rml_graph_output(at.graph, "last_hidden_state", rml_wav2vec2_encode(&at, features_input(&at)));
}

void rml_build_wav2vec2_front(rml_params *params)
{
    rml_wav2vec2 at = rml_wav2vec2_find(params);
    rml_params_ignore(params, "encoder.");
    *rml_params_part(params) = at.layers;
    rml_graph_output(at.graph, "hidden", front(&at, features_input(&at)));
}

// Rows as wide as the network; all but one layer is left alone.
static rml_value_id rows_input(rml_wav2vec2 *at, const char *name)
{
    const rml_shape *norm = rml_params_stored(at->params, "encoder.layer_norm.weight");
    return rml_graph_input(at->graph, name,
                           &(rml_shape){3, {-1, -1, norm ? norm->dim[0] : at->hidden}});
}

static rml_wav2vec2 find_layer(rml_params *params)
{
    rml_params_ignore(params, "feature_");
    rml_params_ignore(params, "encoder.");
    return rml_wav2vec2_find(params);
}

void rml_build_wav2vec2_keys(rml_params *params)
{
    rml_wav2vec2 at = find_layer(params);
    const int64_t layer = *rml_params_part(params);
    char key[RML_KEY_BYTES];
    attention_key(key, layer);
    const rml_value_id seen = attended(&at, rows_input(&at, "hidden"), layer);
    rml_graph_output(at.graph, "key", rml_attention_input(params, seen, key, &names, 1));
    rml_graph_output(at.graph, "value", rml_attention_input(params, seen, key, &names, 2));
}

void rml_build_wav2vec2_layer(rml_params *params)
{
    rml_wav2vec2 at = find_layer(params);
    const int64_t layer = *rml_params_part(params);
    char key[RML_KEY_BYTES];
    attention_key(key, layer);
    rml_value_id x = rows_input(&at, "hidden");
    const rml_value_id query = rml_attention_input(params, attended(&at, x, layer), key, &names, 0);
    x = encoder_layer(&at, x, layer,
                      (rml_value_id[]){query, rows_input(&at, "key"), rows_input(&at, "value")});
    rml_graph_output(at.graph, "made", at.stable && layer + 1 == at.layers ? last_norm(&at, x) : x);
}

RML_NETWORK(wav2vec2_encoder, "wav2vec2-encoder", rml_build_wav2vec2_encoder, rml_kit_whole)
