// The two halves of AutoencoderKL, Stable Diffusion's autoencoder (1.x and 2.x).
//   vae-encoder: sample (N,3,H,W) in [-1,1] -> latent_parameters (N,8,H/8,W/8): mean and logarithm
//                of the variance, not clamped
//   vae-decoder: latent_sample (N,4,h,w), not scaled -> sample (N,3,8h,8w), not clamped
// Source: huggingface/diffusers, models/autoencoders/autoencoder_kl.py and vae.py.
//
// Depth and widths are those of config.json or, without one, of the weights; the number of groups
// is in config.json alone and 32 without it.
//
// Traps: the encoder's down samplers pad on the right and at the bottom only; eps is 1e-6 in every
// norm; the decoder has one more resnet a block; older files name the attention's weights query,
// key, value and proj_attn.
#include "models/blocks.h"
#include "models/networks.h"

#include <stdio.h>

#define MAX_BLOCKS 8
#define MAX_LAYERS 16
#define MAX_CHANNELS 8192
#define MAX_ENDS 256 // channels of images and latents
#define EPS 1e-6f
#define LAYER_BYTES 80 // a prefix: shorter than a key

typedef struct vae {
    rml_params *params;
    const char *side;             // "encoder" or "decoder"
    int64_t channels[MAX_BLOCKS]; // of the encoder's blocks, published where the weights tell
    size_t blocks;
    int64_t layers; // resnets of a block of the encoder
    int64_t groups;
    bool fixed;            // the config has the widths
    bool attention;        // in the middle
    bool quant;            // 1x1 convolution at the latents
    int64_t image, latent; // channels
} vae;

static rml_value_id group_norm(const vae *at, rml_value_id x, const char *prefix, bool silu)
{
    rml_graph *graph = rml_params_graph(at->params);
    x = rml_group_norm(at->params, x, prefix, at->groups, EPS);
    return silu ? rml_graph_unary(graph, x, (rml_activation){.kind = RML_UNARY_SILU}, prefix) : x;
}

static rml_value_id conv3(const vae *at, rml_value_id x, const char *prefix, int64_t out,
                          bool fixed)
{
    const rml_conv_attr attr = rml_conv_square(3, 1, 1);
    return rml_conv(at->params, x, prefix, &attr, out, fixed);
}

static bool has(const vae *at, const char *prefix, const char *name)
{
    char key[RML_KEY_BYTES];
    snprintf(key, sizeof key, "%s.%s", prefix, name);
    return rml_params_stored(at->params, key) != NULL;
}

static rml_value_id resnet(const vae *at, rml_value_id x, const char *prefix, int64_t out)
{
    const rml_conv_attr pointwise = rml_conv_square(1, 1, 0);
    char key[RML_KEY_BYTES];
    rml_value_id shortcut = x;
    const bool published = rml_params_published(at->params);
    // First, for then the norm may write over x, the largest value there is.
    if (published ? rml_channels(at->params, x) != out : has(at, prefix, "conv_shortcut.weight")) {
        snprintf(key, sizeof key, "%s.conv_shortcut", prefix);
        shortcut = rml_conv(at->params, x, key, &pointwise, out, at->fixed);
    }
    snprintf(key, sizeof key, "%s.norm1", prefix);
    x = group_norm(at, x, key, true);
    snprintf(key, sizeof key, "%s.conv1", prefix);
    x = conv3(at, x, key, out, at->fixed);
    snprintf(key, sizeof key, "%s.norm2", prefix);
    x = group_norm(at, x, key, true);
    snprintf(key, sizeof key, "%s.conv2", prefix);
    x = conv3(at, x, key, rml_channels(at->params, shortcut), true);
    return rml_graph_binary(rml_params_graph(at->params), RML_BINARY_ADD, x, shortcut, prefix);
}

static rml_value_id projection(const vae *at, rml_value_id x, const char *prefix, const char *now,
                               const char *formerly)
{
    char key[RML_KEY_BYTES];
    snprintf(key, sizeof key, "%s.%s.weight", prefix, formerly);
    const bool old = rml_params_stored(at->params, key) != NULL;
    snprintf(key, sizeof key, "%s.%s", prefix, old ? formerly : now);
    if (x == RML_NO_VALUE)
        return x;
    const int64_t channels = rml_params_graph(at->params)->values[x].shape.dim[2];
    return rml_linear(at->params, x, key, channels, true, true);
}

// One head over all pixels.
static rml_value_id attention(const vae *at, rml_value_id x, const char *prefix)
{
    rml_graph *graph = rml_params_graph(at->params);
    char key[RML_KEY_BYTES];
    snprintf(key, sizeof key, "%s.group_norm", prefix);
    const rml_value_id in = x;
    const rml_value_id rows = rml_graph_pixels_to_rows(graph, in, prefix); // [N,h*w,C]
    x = rml_graph_pixels_to_rows(graph, group_norm(at, in, key, false), prefix);
    const rml_value_id q = projection(at, x, prefix, "to_q", "query");
    const rml_value_id k = projection(at, x, prefix, "to_k", "key");
    const rml_value_id v = projection(at, x, prefix, "to_v", "value");
    const rml_attention_attr one_head = {.heads = 1};
    x = rml_graph_attention(graph, q, k, v, RML_NO_VALUE, &one_head, prefix);
    x = projection(at, x, prefix, "to_out.0", "proj_attn");
    x = rml_graph_binary(graph, RML_BINARY_ADD, x, rows, prefix);
    return rml_graph_rows_to_pixels(graph, x, in, prefix); // [N,C,h,w]
}

static rml_value_id middle(const vae *at, rml_value_id x)
{
    char layer[LAYER_BYTES];
    const int64_t channels = rml_channels(at->params, x);
    snprintf(layer, sizeof layer, "%s.mid_block.resnets.0", at->side);
    x = resnet(at, x, layer, channels);
    snprintf(layer, sizeof layer, "%s.mid_block.attentions.0", at->side);
    if (at->attention)
        x = attention(at, x, layer);
    snprintf(layer, sizeof layer, "%s.mid_block.resnets.1", at->side);
    return resnet(at, x, layer, channels);
}

static rml_value_id ending(const vae *at, rml_value_id x, int64_t out)
{
    char key[RML_KEY_BYTES];
    snprintf(key, sizeof key, "%s.conv_norm_out", at->side);
    x = group_norm(at, x, key, true);
    snprintf(key, sizeof key, "%s.conv_out", at->side);
    return conv3(at, x, key, out, at->fixed);
}

// The 1x1 convolution between the halves.
static rml_value_id quantise(const vae *at, rml_value_id x, const char *key)
{
    const rml_conv_attr pointwise = rml_conv_square(1, 1, 0);
    return at->quant ? rml_conv(at->params, x, key, &pointwise, rml_channels(at->params, x), true)
                     : x;
}

// ---- what kind of network it is ---------------------------------------------------------------

static const rml_shape *stored(const rml_params *params, const char *format, const char *side,
                               size_t block, int64_t layer)
{
    char key[RML_KEY_BYTES];
    snprintf(key, sizeof key, format, side, (int)block, (int)layer);
    return rml_params_stored(params, key);
}

// Blocks and layers that are there, under the names of one side.
static void count_stored(vae *at, const char *format)
{
    at->blocks = 0;
    at->layers = 0;
    while (at->blocks < MAX_BLOCKS && stored(at->params, format, at->side, at->blocks, 0))
        at->channels[at->blocks++] = 1; // told by the weights
    while (at->layers < MAX_LAYERS && stored(at->params, format, at->side, 0, at->layers))
        at->layers++;
}

static void read_config(vae *at, bool encoder)
{
    static const char *const classes[] = {"AutoencoderKL", NULL};
    static const char *const activations[] = {"silu", "swish", NULL};
    static const char *const downs[] = {"DownEncoderBlock2D", NULL};
    static const char *const ups[] = {"UpDecoderBlock2D", NULL};
    rml_config *config = rml_params_config(at->params);
    int kinds[MAX_BLOCKS];
    rml_config_choice(config, "_class_name", classes, 0);
    rml_config_choice(config, "act_fn", activations, 0);
    rml_config_choices(config, "down_block_types", downs, kinds, MAX_BLOCKS);
    rml_config_choices(config, "up_block_types", ups, kinds, MAX_BLOCKS);
    const size_t blocks =
        rml_config_ints(config, "block_out_channels", 1, MAX_CHANNELS, at->channels, MAX_BLOCKS);
    if (blocks) {
        at->blocks = blocks;
        at->fixed = true;
        at->layers = 1; // diffusers' default
    }
    at->layers = rml_config_int(config, "layers_per_block", at->layers, 1, MAX_LAYERS);
    at->groups = rml_config_int(config, "norm_num_groups", 32, 1, MAX_CHANNELS);
    at->image =
        rml_config_int(config, encoder ? "in_channels" : "out_channels", at->image, 1, MAX_ENDS);
    at->latent = rml_config_int(config, "latent_channels", at->latent, 1, MAX_ENDS);
    at->attention = rml_config_bool(config, "mid_block_add_attention", at->attention);
    at->quant =
        rml_config_bool(config, encoder ? "use_quant_conv" : "use_post_quant_conv", at->quant);
}

// What the weights tell; the published network stays where they are of something else.
static void read_weights(vae *at, bool encoder)
{
    const rml_shape *in = stored(at->params, "%s.conv_in.weight", at->side, 0, 0);
    if (!in || in->rank != 4)
        return;
    *(encoder ? &at->image : &at->latent) = in->dim[1] > 0 ? in->dim[1] : 1;
    count_stored(at, encoder ? "%s.down_blocks.%d.resnets.%d.conv1.weight"
                             : "%s.up_blocks.%d.resnets.%d.conv1.weight");
    at->layers -= !encoder;
    at->attention =
        stored(at->params, "%s.mid_block.attentions.0.group_norm.weight", at->side, 0, 0) != NULL;
    at->quant = rml_params_stored(at->params,
                                  encoder ? "quant_conv.weight" : "post_quant_conv.weight") != NULL;
}

static vae find_network(rml_params *params, bool encoder)
{
    static const char *const prefixes[] = {"vae.", NULL};
    vae at = {.params = params,
              .side = encoder ? "encoder" : "decoder",
              .channels = {128, 256, 512, 512},
              .blocks = 4,
              .layers = 2,
              .image = 3,
              .latent = 4,
              .attention = true,
              .quant = true};
    rml_params_scope(params, encoder ? "encoder.conv_in.weight" : "decoder.conv_in.weight",
                     prefixes);
    rml_params_ignore(params, encoder ? "decoder." : "encoder.");
    rml_params_ignore(params, encoder ? "post_quant_conv." : "quant_conv.");
    if (!rml_params_published(params))
        read_weights(&at, encoder);
    read_config(&at, encoder);
    return at;
}

void rml_build_vae_encoder(rml_params *params)
{
    rml_graph *graph = rml_params_graph(params);
    const vae at = find_network(params, true);
    const rml_conv_attr half = {.kernel = {3, 3},
                                .stride = {2, 2},
                                .pad = {0, 0, 1, 1},
                                .dilation = {1, 1},
                                .groups = 1,
                                .act = rml_activation_none()};
    char prefix[LAYER_BYTES];
    rml_value_id x = rml_graph_input(graph, "sample", &(rml_shape){4, {-1, at.image, -1, -1}});
    x = conv3(&at, x, "encoder.conv_in", at.channels[0], at.fixed);
    for (size_t block = 0; block < at.blocks; block++) {
        for (int64_t layer = 0; layer < at.layers; layer++) {
            snprintf(prefix, sizeof prefix, "encoder.down_blocks.%d.resnets.%d", (int)block,
                     (int)layer);
            x = resnet(&at, x, prefix, at.channels[block]);
        }
        if (block + 1 == at.blocks)
            break;
        snprintf(prefix, sizeof prefix, "encoder.down_blocks.%d.downsamplers.0.conv", (int)block);
        x = rml_conv(params, x, prefix, &half, rml_channels(params, x), true); // half the size
    }
    x = ending(&at, middle(&at, x), 2 * at.latent); // [N,8,H/8,W/8]
    rml_graph_output(graph, "latent_parameters", quantise(&at, x, "quant_conv"));
}

void rml_build_vae_decoder(rml_params *params)
{
    rml_graph *graph = rml_params_graph(params);
    const vae at = find_network(params, false);
    const rml_resize_attr twice = {.kind = RML_RESIZE_NEAREST, .scale = {2, 2}};
    char prefix[LAYER_BYTES];
    rml_value_id x =
        rml_graph_input(graph, "latent_sample", &(rml_shape){4, {-1, at.latent, -1, -1}});
    x = quantise(&at, x, "post_quant_conv");
    x = conv3(&at, x, "decoder.conv_in", at.channels[at.blocks - 1], at.fixed);
    x = middle(&at, x); // [N,512,h,w]
    for (size_t block = 0; block < at.blocks; block++) {
        for (int64_t layer = 0; layer < at.layers + 1; layer++) {
            snprintf(prefix, sizeof prefix, "decoder.up_blocks.%d.resnets.%d", (int)block,
                     (int)layer);
            x = resnet(&at, x, prefix, at.channels[at.blocks - 1 - block]);
        }
        if (block + 1 == at.blocks)
            break;
        snprintf(prefix, sizeof prefix, "decoder.up_blocks.%d.upsamplers.0.conv", (int)block);
        x = rml_graph_resize2d(graph, x, &twice, prefix);
        x = conv3(&at, x, prefix, rml_channels(params, x), true); // twice the size
    }
    rml_graph_output(graph, "sample", ending(&at, x, at.image)); // [N,3,8h,8w]
}
