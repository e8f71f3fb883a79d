// The two halves of AutoencoderKL, Stable Diffusion's autoencoder (1.x and 2.x).
//   vae-encoder: sample (N,3,H,W) in [-1,1] -> latent_parameters (N,8,H/8,W/8): mean and logarithm
//                of the variance, not clamped
//   vae-decoder: latent_sample (N,4,h,w), not scaled -> sample (N,3,8h,8w), not clamped
// Source: huggingface/diffusers, models/autoencoders/autoencoder_kl.py and vae.py, and
// CompVis/latent-diffusion, ldm/modules/diffusionmodules/model.py, whose names differ.
//
// Depth and widths are those of config.json or, without one, of the weights; the number of groups
// is in config.json alone and 32 without it.
//
// Traps: the encoder's down samplers pad on the right and at the bottom only; eps is 1e-6 in every
// norm; the decoder has one more resnet a block; its blocks count from the smallest image, and in
// the original names from the largest; there the attention's projections are 1x1 convolutions.
#include "models/blocks.h"
#include "models/networks.h"
#include "tensor/format.h"

#define MAX_BLOCKS 8
#define MAX_LAYERS 16
#define MAX_CHANNELS 8192
#define MAX_ENDS 256 // channels of images and latents
#define EPS 1e-6f

// How files name the layers behind the side. `%d` is a block, the second one a layer of it.
typedef struct names {
    const char *down, *up, *down_sampler, *up_sampler;
    const char *middle[2], *attention;
    const char *norm_out;
    const char *shortcut;                        // in a resnet
    const char *attention_norm, *q, *k, *v, *to; // in the attention
    bool up_from_largest;
} names;

static const names published_names = {
    .down = "down_blocks.%d.resnets.%d",
    .up = "up_blocks.%d.resnets.%d",
    .down_sampler = "down_blocks.%d.downsamplers.0.conv",
    .up_sampler = "up_blocks.%d.upsamplers.0.conv",
    .middle = {"mid_block.resnets.0", "mid_block.resnets.1"},
    .attention = "mid_block.attentions.0",
    .norm_out = "conv_norm_out",
    .shortcut = "conv_shortcut",
    .attention_norm = "group_norm",
    .q = "to_q",
    .k = "to_k",
    .v = "to_v",
    .to = "to_out.0",
};

// Of the files of Stable Diffusion as it was published, and of their autoencoders alone.
static const names original_names = {
    .down = "down.%d.block.%d",
    .up = "up.%d.block.%d",
    .down_sampler = "down.%d.downsample.conv",
    .up_sampler = "up.%d.upsample.conv",
    .middle = {"mid.block_1", "mid.block_2"},
    .attention = "mid.attn_1",
    .norm_out = "norm_out",
    .shortcut = "nin_shortcut",
    .attention_norm = "norm",
    .q = "q",
    .k = "k",
    .v = "v",
    .to = "proj_out",
    .up_from_largest = true,
};

typedef struct vae {
    rml_params *params;
    names names;
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

static const rml_shape *stored(const vae *at, const char *prefix, const char *name)
{
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.%s.weight", prefix, name);
    return rml_params_stored(at->params, key);
}

// Layer `layer` of the block that the names call `block`.
static void layer_key(const vae *at, char key[RML_KEY_BYTES], const char *format, size_t block,
                      int64_t layer)
{
    const size_t length = (size_t)rml_format(key, RML_KEY_BYTES, "%s.", at->side);
    rml_format(key + length, RML_KEY_BYTES - length, format, (int)block, (int)layer);
}

static rml_value_id resnet(const vae *at, rml_value_id x, const char *prefix, int64_t out)
{
    const rml_conv_attr pointwise = rml_conv_square(1, 1, 0);
    char key[RML_KEY_BYTES];
    rml_value_id shortcut = x;
    const bool published = rml_params_published(at->params);
    // First, for then the norm may write over x, the largest value there is.
    if (published ? rml_channels(at->params, x) != out
                  : stored(at, prefix, at->names.shortcut) != NULL) {
        rml_key(key, "%s.%s", prefix, at->names.shortcut);
        shortcut = rml_conv(at->params, x, key, &pointwise, out, at->fixed);
    }
    rml_key(key, "%s.norm1", prefix);
    x = group_norm(at, x, key, true);
    rml_key(key, "%s.conv1", prefix);
    x = conv3(at, x, key, out, at->fixed);
    rml_key(key, "%s.norm2", prefix);
    x = group_norm(at, x, key, true);
    rml_key(key, "%s.conv2", prefix);
    x = conv3(at, x, key, rml_channels(at->params, shortcut), true);
    return rml_graph_binary(rml_params_graph(at->params), RML_BINARY_ADD, x, shortcut, prefix);
}

static rml_value_id projection(const vae *at, rml_value_id x, const char *prefix, const char *name)
{
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.%s", prefix, name);
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
    rml_key(key, "%s.%s", prefix, at->names.attention_norm);
    const rml_value_id in = x;
    const rml_value_id rows = rml_graph_pixels_to_rows(graph, in, prefix); // [N,h*w,C]
    x = rml_graph_pixels_to_rows(graph, group_norm(at, in, key, false), prefix);
    const rml_value_id q = projection(at, x, prefix, at->names.q);
    const rml_value_id k = projection(at, x, prefix, at->names.k);
    const rml_value_id v = projection(at, x, prefix, at->names.v);
    const rml_attention_attr one_head = {.heads = 1};
    x = rml_graph_attention(graph, q, k, v, RML_NO_VALUE, &one_head, prefix);
    x = projection(at, x, prefix, at->names.to);
    x = rml_graph_binary(graph, RML_BINARY_ADD, x, rows, prefix);
    return rml_graph_rows_to_pixels(graph, x, in, prefix); // [N,C,h,w]
}

static rml_value_id middle(const vae *at, rml_value_id x)
{
    char layer[RML_KEY_BYTES];
    const int64_t channels = rml_channels(at->params, x);
    rml_key(layer, "%s.%s", at->side, at->names.middle[0]);
    x = resnet(at, x, layer, channels);
    rml_key(layer, "%s.%s", at->side, at->names.attention);
    if (at->attention)
        x = attention(at, x, layer);
    rml_key(layer, "%s.%s", at->side, at->names.middle[1]);
    return resnet(at, x, layer, channels);
}

static rml_value_id ending(const vae *at, rml_value_id x, int64_t out)
{
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.%s", at->side, at->names.norm_out);
    x = group_norm(at, x, key, true);
    rml_key(key, "%s.conv_out", at->side);
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

// Blocks and layers that are there, under the names of one side.
static void count_stored(vae *at, const char *format)
{
    char key[RML_KEY_BYTES];
    at->blocks = 0;
    at->layers = 0;
    for (; at->blocks < MAX_BLOCKS; at->blocks++) {
        layer_key(at, key, format, at->blocks, 0);
        if (!stored(at, key, "conv1"))
            break;
        at->channels[at->blocks] = 1; // told by the weights
    }
    for (; at->layers < MAX_LAYERS; at->layers++) {
        layer_key(at, key, format, 0, at->layers);
        if (!stored(at, key, "conv1"))
            break;
    }
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

// By which of their names the layers are there.
static void find_names(vae *at)
{
    if (stored(at, at->side, original_names.norm_out)) {
        at->names = original_names;
        rml_params_ignore(at->params, "loss."); // of a training
        rml_params_ignore(at->params, "model_ema.");
    }
    char prefix[RML_KEY_BYTES];
    rml_key(prefix, "%s.%s", at->side, at->names.attention);
    if (stored(at, prefix, "query")) { // before diffusers 0.15
        at->names.q = "query";
        at->names.k = "key";
        at->names.v = "value";
        at->names.to = "proj_attn";
    }
}

// What the weights tell; the published network stays where they are of something else.
static void read_weights(vae *at, bool encoder)
{
    const rml_shape *in = stored(at, at->side, "conv_in");
    char prefix[RML_KEY_BYTES];
    if (!in || in->rank != 4)
        return;
    *(encoder ? &at->image : &at->latent) = in->dim[1] > 0 ? in->dim[1] : 1;
    find_names(at);
    count_stored(at, encoder ? at->names.down : at->names.up);
    at->layers -= !encoder;
    rml_key(prefix, "%s.%s", at->side, at->names.attention);
    at->attention = stored(at, prefix, at->names.attention_norm) != NULL;
    at->quant = rml_params_stored(at->params,
                                  encoder ? "quant_conv.weight" : "post_quant_conv.weight") != NULL;
}

static vae find_network(rml_params *params, bool encoder)
{
    static const char *const prefixes[] = {"vae.", "first_stage_model.", NULL};
    vae at = {.params = params,
              .names = published_names,
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

// Levels 0..255 are -1..1.
static const float half_level[3] = {127.5f, 127.5f, 127.5f};

void rml_build_vae_encoder(rml_params *params)
{
    rml_graph *graph = rml_params_graph(params);
    const vae at = find_network(params, true);
    rml_conv_attr half = rml_conv_square(3, 2, 0);
    half.window.after[0] = half.window.after[1] = 1;
    char prefix[RML_KEY_BYTES];
    rml_value_id x = rml_graph_input(graph, "sample", &(rml_shape){4, {-1, at.image, -1, -1}});
    x = conv3(&at, x, "encoder.conv_in", at.channels[0], at.fixed);
    for (size_t block = 0; block < at.blocks; block++) {
        for (int64_t layer = 0; layer < at.layers; layer++) {
            layer_key(&at, prefix, at.names.down, block, layer);
            x = resnet(&at, x, prefix, at.channels[block]);
        }
        if (block + 1 == at.blocks)
            break;
        layer_key(&at, prefix, at.names.down_sampler, block, 0);
        x = rml_conv(params, x, prefix, &half, rml_channels(params, x), true); // half the size
    }
    x = ending(&at, middle(&at, x), 2 * at.latent); // [N,8,H/8,W/8]
    rml_graph_output(graph, "latent_parameters", quantise(&at, x, "quant_conv"));
    rml_graph_mean_image(graph, false, at.image, RML_COLOURS_RGB, half_level, half_level);
}

void rml_build_vae_decoder(rml_params *params)
{
    rml_graph *graph = rml_params_graph(params);
    const vae at = find_network(params, false);
    const rml_resize_attr twice = rml_resize_twice();
    char prefix[RML_KEY_BYTES];
    rml_value_id x =
        rml_graph_input(graph, "latent_sample", &(rml_shape){4, {-1, at.latent, -1, -1}});
    x = quantise(&at, x, "post_quant_conv");
    x = conv3(&at, x, "decoder.conv_in", at.channels[at.blocks - 1], at.fixed);
    x = middle(&at, x); // [N,512,h,w]
    for (size_t block = 0; block < at.blocks; block++) {
        const size_t name = at.names.up_from_largest ? at.blocks - 1 - block : block;
        for (int64_t layer = 0; layer < at.layers + 1; layer++) {
            layer_key(&at, prefix, at.names.up, name, layer);
            x = resnet(&at, x, prefix, at.channels[at.blocks - 1 - block]);
        }
        if (block + 1 == at.blocks)
            break;
        layer_key(&at, prefix, at.names.up_sampler, name, 0);
        x = rml_graph_resize(graph, x, RML_NO_VALUE, &twice, prefix);
        x = conv3(&at, x, prefix, rml_channels(params, x), true); // twice the size
    }
    rml_graph_output(graph, "sample", ending(&at, x, at.image)); // [N,3,8h,8w]
    rml_graph_mean_image(graph, true, at.image, RML_COLOURS_RGB, half_level, half_level);
}

RML_NETWORK(vae_encoder, "vae-encoder", rml_build_vae_encoder, rml_kit_whole)
RML_NETWORK(vae_decoder, "vae-decoder", rml_build_vae_decoder, rml_kit_whole)
