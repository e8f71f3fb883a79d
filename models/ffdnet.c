// FFDNet denoiser: a plain chain of 3x3 convolutions at half size, told the noise level.
//   image    (N,C,H,W)  RGB or gray in [0,1], any size
//   sigma    (N) or (1)  standard deviation of the noise in the same scale; "ffdnet-map" takes it
//                        for each block of 2x2 pixels: (N,1,h,w) or (1,1,h,w), half the image's
//                        height and width rounded up
//   denoised (N,C,H,W)  not clamped
//
// Two networks have this name, and the weights tell which one it is:
//   the IPOL article's  C planes of sigma in front of the pixels, no biases, batch norms in the
//                       middle; computes the noise. Source: IPOL ffdnet-pytorch, models.py.
//   the author's        one plane of sigma behind the pixels, biases, no batch norm; computes the
//                       image. Source: cszn/KAIR, models/network_ffdnet.py.
//
// Traps: where the plane stands, what comes out, and the spelling of "itermediate"; both gray
// networks read 5 channels, so that only biases tell them apart; odd sizes repeat the last row and
// column.
#include "models/blocks.h"
#include "models/networks.h"

#define MAX_LAYERS 256
#define WIDTH 96 // published, as is `published` below: IPOL's colour network

typedef struct layer {
    int number; // in the sequence of modules
    bool bias, norm;
} layer;

typedef struct chain {
    const char *prefix;
    layer layers[MAX_LAYERS];
    int count;
    int64_t channels; // of the image
    bool direct;      // the author's
} chain;

static const char *const prefixes[] = {"intermediate_dncnn.itermediate_dncnn", "model", "body"};
#define IPOL 0

static const rml_shape *stored(const rml_params *params, const char *prefix, int number,
                               const char *name)
{
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.%d.%s", prefix, number, name);
    return rml_params_stored(params, key);
}

// Convolutions stand two or three numbers apart: with an activation between them, and a norm.
static void find_layers(const rml_params *params, chain *out)
{
    for (int number = 0, gap = 0; gap < 3 && out->count < MAX_LAYERS; number++, gap++) {
        const rml_shape *weight = stored(params, out->prefix, number, "weight");
        if (!weight || weight->rank != 4)
            continue;
        out->layers[out->count++] =
            (layer){number, stored(params, out->prefix, number, "bias") != NULL,
                    stored(params, out->prefix, number + 1, "running_mean") != NULL};
        gap = -1;
    }
}

static chain published(void)
{
    chain out = {.prefix = prefixes[IPOL], .count = 12, .channels = 3};
    for (int i = 0; i < out.count; i++)
        out.layers[i] = (layer){i ? 3 * i - 1 : 0, false, i > 0 && i < out.count - 1};
    return out;
}

static chain find_chain(const rml_params *params)
{
    chain out = {0};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes && !out.count; i++) {
        out.prefix = prefixes[i];
        find_layers(params, &out);
    }
    if (!out.count)
        return published();
    const layer *first = &out.layers[0], *last = &out.layers[out.count - 1];
    const int64_t channels = stored(params, out.prefix, last->number, "weight")->dim[0] / 4;
    const int64_t reads = stored(params, out.prefix, first->number, "weight")->dim[1];
    out.channels = channels > 0 ? channels : 1;
    out.direct =
        out.prefix != prefixes[IPOL] && reads == 4 * channels + 1 && (channels > 1 || first->bias);
    return out;
}

static rml_value_id convolutions(rml_params *params, rml_value_id x, const chain *at)
{
    const rml_conv_attr attr = rml_conv_square(3, 1, 1);
    for (int i = 0; i < at->count; i++) {
        const layer *now = &at->layers[i];
        const bool last = i == at->count - 1;
        const int64_t out = last ? 4 * at->channels : WIDTH;
        char key[RML_KEY_BYTES];
        rml_key(key, "%s.%d", at->prefix, now->number);
        x = now->bias ? rml_conv(params, x, key, &attr, out, last)
                      : rml_conv_no_bias(params, &rml_op_conv, x, key, &attr, out, last);
        if (now->norm) {
            rml_key(key, "%s.%d", at->prefix, now->number + 1);
            x = rml_batch_norm(params, x, key);
        }
        if (!last)
            x = rml_relu(params, x, key);
    }
    return x;
}

static rml_value_id level_input(rml_graph *graph, bool map)
{
    if (map)
        return rml_graph_input(graph, "sigma", &(rml_shape){4, {-1, 1, -1, -1}});
    const rml_value_id sigma = rml_graph_input(graph, "sigma", &(rml_shape){1, {-1}});
    return rml_graph_reshape(graph, sigma, &(rml_shape){4, {-1, 1, 1, 1}}, "sigma");
}

static void build(rml_params *params, bool map)
{
    static const float black[3] = {0}, white[3] = {255, 255, 255};
    rml_graph *graph = rml_params_graph(params);
    const chain found = find_chain(params);
    const int64_t planes = found.direct ? 1 : found.channels;
    const rml_value_id image =
        rml_graph_input(graph, "image", &(rml_shape){4, {-1, found.channels, -1, -1}});
    rml_value_id level = level_input(graph, map);

    const rml_value_id pixels = rml_graph_space_to_depth(graph, image, 2, "unshuffle");
    level = rml_graph_expand(graph, level, &(rml_shape){4, {0, planes, 0, 0}}, pixels, "sigma");
    const rml_value_id both[2] = {found.direct ? pixels : level, found.direct ? level : pixels};
    rml_value_id x = rml_graph_concat(graph, both, 2, 1, "concat"); // [N,4C+planes,H/2,W/2]
    x = convolutions(params, x, &found);                            // [N,4C,H/2,W/2]
    x = rml_graph_depth_to_space(graph, x, image, 2, "shuffle");    // [N,C,H,W]
    if (!found.direct)
        x = rml_graph_binary(graph, RML_BINARY_SUB, image, x, "residual");
    rml_graph_output(graph, "denoised", x);
    rml_graph_mean_image(graph, false, found.channels, RML_COLOURS_RGB, black, white);
    rml_graph_mean_image(graph, true, found.channels, RML_COLOURS_RGB, black, white);
}

void rml_build_ffdnet(rml_params *params)
{
    build(params, false);
}

void rml_build_ffdnet_map(rml_params *params)
{
    build(params, true);
}

RML_NETWORK(ffdnet, "ffdnet", rml_build_ffdnet, rml_kit_whole)
RML_NETWORK(ffdnet_map, "ffdnet-map", rml_build_ffdnet_map, rml_kit_whole)
