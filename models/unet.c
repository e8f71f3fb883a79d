// UNet2DConditionModel of Stable Diffusion 1.x and 2.x and of latent lip-sync.
//   sample                (N,in,h,w)   latents
//   timestep              (1) or (N); unet-step0 has no such input, it is 0
//   encoder_hidden_states (N,S,context)
//   out_sample            (N,out,h,w)
// Source: huggingface/diffusers, models/unets/unet_2d_condition.py.
//
// Depth and widths are those of config.json or, without one, of the weights. Heads, groups and the
// like are in config.json alone; without it they are those of the published networks, see unet.md.
//
// Traps: attention_head_dim is the number of heads; eps is 1e-6 in the norm in front of a
// transformer and norm_eps elsewhere; a concatenation has the skipped image last; the gate of the
// feed-forward layer is its second half; cosines come first in the time embedding.
#include "models/unet.h"
#include "models/networks.h"
#include "models/transformer.h"

#include <math.h>

#define MAX_SKIPS (RML_UNET_LEVELS * (RML_UNET_LAYERS + 1))
#define TIME_WIDTH 4 // of the time embedding, in widths of the first level
#define TRANSFORMER_EPS 1e-6f
#define LAYER_EPS 1e-5f

typedef struct unet {
    rml_params *params;
    rml_graph *graph;
    rml_unet_plan plan;
    bool step0;
    rml_value_id time;  // [T,4*channels[0]], activated
    rml_value_id words; // encoder_hidden_states
    rml_value_id skip[MAX_SKIPS];
    size_t skips;
} unet;

static rml_value_id silu(const unet *at, rml_value_id x, const char *name)
{
    return rml_graph_unary(at->graph, x, (rml_activation){.kind = RML_UNARY_SILU}, name);
}

static rml_value_id conv(const unet *at, rml_value_id x, const char *prefix, int64_t kernel,
                         int64_t out)
{
    const rml_conv_attr attr = rml_conv_square(kernel, 1, kernel / 2);
    return rml_conv(at->params, x, prefix, &attr, out, true);
}

// ---- blocks -------------------------------------------------------------------------------------

static rml_value_id resnet(const unet *at, rml_value_id x, const char *prefix, int64_t out)
{
    char key[RML_KEY_BYTES];
    rml_value_id shortcut = x;
    if (rml_channels(at->params, x) != out) {
        rml_key(key, "%s.conv_shortcut", prefix);
        shortcut = conv(at, x, key, 1, out);
    }
    rml_key(key, "%s.norm1", prefix);
    x = silu(at, rml_group_norm(at->params, x, key, at->plan.groups, at->plan.eps), key);
    rml_key(key, "%s.conv1", prefix);
    x = conv(at, x, key, 3, out);
    rml_key(key, "%s.time_emb_proj", prefix);
    const rml_value_id offset = rml_linear(at->params, at->time, key, out, true, true); // [T,out]
    rml_key(key, "%s.norm2", prefix);
    x = silu(at, rml_group_norm_offset(at->params, x, key, offset, at->plan.groups, at->plan.eps),
             key);
    rml_key(key, "%s.conv2", prefix);
    x = conv(at, x, key, 3, out);
    return rml_graph_binary(at->graph, RML_BINARY_ADD, x, shortcut, prefix);
}

static rml_value_id project(const unet *at, rml_value_id x, const char *prefix, const char *name,
                            int64_t out, bool bias)
{
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.%s", prefix, name);
    return rml_linear(at->params, x, key, out, true, bias);
}

// x + attention of x, normalised, to itself or to `words`.
static rml_value_id attend(const unet *at, rml_value_id x, const char *block, int index,
                           rml_value_id words, int64_t heads, int64_t width)
{
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.norm%d", block, index);
    const rml_value_id in = rml_layer_norm(at->params, x, key, LAYER_EPS);
    rml_key(key, "%s.attn%d", block, index);
    const rml_value_id from = words == RML_NO_VALUE ? in : words;
    const rml_value_id q = project(at, in, key, "to_q", width, false);
    const rml_value_id k = project(at, from, key, "to_k", width, false);
    const rml_value_id v = project(at, from, key, "to_v", width, false);
    const rml_attention_attr attr = {.heads = heads};
    const rml_value_id y = rml_graph_attention(at->graph, q, k, v, RML_NO_VALUE, &attr, key);
    return rml_graph_binary(at->graph, RML_BINARY_ADD, project(at, y, key, "to_out.0", width, true),
                            x, key);
}

// x + feed-forward of x, normalised, with a gate.
static rml_value_id feed(const unet *at, rml_value_id x, const char *block, int64_t width)
{
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.norm3", block);
    rml_value_id y = rml_layer_norm(at->params, x, key, LAYER_EPS);
    y = project(at, y, block, "ff.net.0.proj", 8 * width, true);
    y = rml_graph_glu(at->graph, y, (rml_activation){.kind = RML_UNARY_GELU}, block);
    y = project(at, y, block, "ff.net.2", width, true);
    return rml_graph_binary(at->graph, RML_BINARY_ADD, y, x, block);
}

static rml_value_id transformer(const unet *at, rml_value_id x, const char *prefix, size_t level)
{
    const rml_value_id image = x;
    const int64_t width = rml_channels(at->params, x);
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.norm", prefix);
    x = rml_group_norm(at->params, x, key, at->plan.groups, TRANSFORMER_EPS);
    if (!at->plan.linear) {
        rml_key(key, "%s.proj_in", prefix);
        x = conv(at, x, key, 1, width);
    }
    x = rml_graph_pixels_to_rows(at->graph, x, prefix); // [N,h*w,C]
    if (at->plan.linear)
        x = project(at, x, prefix, "proj_in", width, true);
    for (int64_t i = 0; i < at->plan.depth[level]; i++) {
        char block[RML_KEY_BYTES];
        rml_key(block, "%s.transformer_blocks.%d", prefix, (int)i);
        x = attend(at, x, block, 1, RML_NO_VALUE, at->plan.heads[level], width);
        x = attend(at, x, block, 2, at->words, at->plan.heads[level], width);
        x = feed(at, x, block, width);
    }
    if (at->plan.linear)
        x = project(at, x, prefix, "proj_out", width, true);
    x = rml_graph_rows_to_pixels(at->graph, x, image, prefix); // [N,C,h,w]
    if (!at->plan.linear) {
        rml_key(key, "%s.proj_out", prefix);
        x = conv(at, x, key, 1, width);
    }
    return rml_graph_binary(at->graph, RML_BINARY_ADD, x, image, prefix);
}

// A resnet and, with attention, a transformer: layer `layer` of a block.
static rml_value_id layer(const unet *at, rml_value_id x, const char *block, int64_t index,
                          size_t level, bool attention)
{
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.resnets.%d", block, (int)index);
    x = resnet(at, x, key, at->plan.channels[level]);
    rml_key(key, "%s.attentions.%d", block, (int)index);
    return attention ? transformer(at, x, key, level) : x;
}

static void push(unet *at, rml_value_id x)
{
    at->skip[at->skips++] = x;
}

static rml_value_id pop(unet *at)
{
    return at->skips ? at->skip[--at->skips] : RML_NO_VALUE;
}

// ---- the network --------------------------------------------------------------------------------

// Sines and cosines of the time step at frequencies from 1 to 1/10000, rounded as diffusers does.
static rml_value_id frequencies(const unet *at, rml_value_id time)
{
    const int64_t half = at->plan.channels[0] / 2;
    float *data = rml_arena_alloc(&at->graph->arena, (size_t)half, sizeof *data);
    if (!data)
        return rml_graph_fail(at->graph, RML_ERR_NOMEM, "out of memory while building the graph");
    for (int64_t i = 0; i < half; i++) {
        const float exponent = (float)-9.210340371976184 * (float)i; // -log(10000)
        data[i] = expf(exponent / (float)((double)half - at->plan.frequency_shift));
    }
    const rml_shape shape = {2, {1, half}};
    const rml_constant constant = {.stored = rml_stored_f32(data, &shape), .computed = true};
    const rml_value_id scale = rml_graph_constant(at->graph, "time_proj", &constant);
    time = rml_graph_reshape(at->graph, time, &(rml_shape){2, {-1, 1}}, "time_proj");
    const rml_value_id angle =
        rml_graph_binary(at->graph, RML_BINARY_MUL, time, scale, "time_proj"); // [T,half]
    const rml_activation sine = {.kind = RML_UNARY_SIN}, cosine = {.kind = RML_UNARY_COS};
    const rml_value_id s = rml_graph_unary(at->graph, angle, sine, "time_proj");
    const rml_value_id c = rml_graph_unary(at->graph, angle, cosine, "time_proj");
    const rml_value_id both[2] = {at->plan.sine_first ? s : c, at->plan.sine_first ? c : s};
    return rml_graph_concat(at->graph, both, 2, 1, "time_proj");
}

static void embed_time(unet *at)
{
    const int64_t width = TIME_WIDTH * at->plan.channels[0];
    static const float zero = 0.0f;
    const rml_shape one = {1, {1}};
    const rml_constant start = {.stored = rml_stored_f32(&zero, &one), .computed = true};
    // What depends on a constant alone is computed once, when the graph is optimised.
    const rml_value_id step = at->step0
                                  ? rml_graph_constant(at->graph, "timestep", &start)
                                  : rml_graph_input(at->graph, "timestep", &(rml_shape){1, {-1}});
    rml_value_id x = frequencies(at, step);
    x = rml_linear(at->params, x, "time_embedding.linear_1", width, true, true);
    x = silu(at, x, "time_embedding.act");
    x = rml_linear(at->params, x, "time_embedding.linear_2", width, true, true);
    at->time = silu(at, x, "time_embedding"); // every resnet begins with it
}

static rml_value_id descend(unet *at, rml_value_id x)
{
    rml_conv_attr half = rml_conv_square(3, 2, at->plan.pad);
    half.window.after[0] = half.window.after[1] =
        1; // without padding diffusers adds a row and a column
    push(at, x);
    for (size_t level = 0; level < at->plan.levels; level++) {
        char block[RML_KEY_BYTES];
        rml_key(block, "down_blocks.%d", (int)level);
        for (int64_t i = 0; i < at->plan.layers; i++) {
            x = layer(at, x, block, i, level, at->plan.down[level]);
            push(at, x);
        }
        if (level + 1 == at->plan.levels)
            break;
        char key[RML_KEY_BYTES];
        rml_key(key, "%s.downsamplers.0.conv", block);
        x = rml_conv(at->params, x, key, &half, at->plan.channels[level], true);
        push(at, x);
    }
    return x;
}

static rml_value_id ascend(unet *at, rml_value_id x)
{
    const rml_resize_attr twice = rml_resize_twice();
    for (size_t i = 0; i < at->plan.levels; i++) {
        const size_t level = at->plan.levels - 1 - i;
        char block[RML_KEY_BYTES];
        rml_key(block, "up_blocks.%d", (int)i);
        for (int64_t k = 0; k < at->plan.layers + 1; k++) {
            const rml_value_id both[2] = {x, pop(at)};
            x = rml_graph_concat(at->graph, both, 2, 1, block);
            x = layer(at, x, block, k, level, at->plan.up[i]);
        }
        if (level == 0)
            break;
        char key[RML_KEY_BYTES];
        rml_key(key, "%s.upsamplers.0.conv", block);
        // to the size of the image that comes next, which is odd where one was halved
        x = rml_graph_resize(at->graph, x, at->skip[at->skips - 1], &twice, key);
        x = conv(at, x, key, 3, at->plan.channels[level]);
    }
    return x;
}

static rml_value_id build(unet *at)
{
    rml_value_id x =
        rml_graph_input(at->graph, "sample", &(rml_shape){4, {-1, at->plan.in, -1, -1}});
    embed_time(at);
    at->words = rml_graph_input(at->graph, "encoder_hidden_states",
                                &(rml_shape){3, {-1, -1, at->plan.context}});
    if (at->plan.centred) {
        static const float numbers[2] = {2.0f, -1.0f};
        for (int i = 0; i < 2; i++) {
            const rml_constant one = {.stored = rml_stored_f32(&numbers[i], &(rml_shape){0}),
                                      .computed = true};
            x = rml_graph_binary(at->graph, i ? RML_BINARY_ADD : RML_BINARY_MUL, x,
                                 rml_graph_constant(at->graph, "centre", &one), "centre");
        }
    }
    x = descend(at, conv(at, x, "conv_in", 3, at->plan.channels[0]));
    const size_t deepest = at->plan.levels - 1;
    x = layer(at, x, "mid_block", 0, deepest, true);
    x = resnet(at, x, "mid_block.resnets.1", at->plan.channels[deepest]);
    x = ascend(at, x);
    x = rml_group_norm(at->params, x, "conv_norm_out", at->plan.groups, at->plan.eps);
    return conv(at, silu(at, x, "conv_norm_out"), "conv_out", 3, at->plan.out);
}

static void build_whole(rml_params *params, bool step0)
{
    unet at = {.params = params, .graph = rml_params_graph(params), .step0 = step0};
    at.plan = rml_unet_find_plan(params);
    rml_graph_output(at.graph, "out_sample", build(&at)); // [N,out,h,w]
}

void rml_build_unet(rml_params *params)
{
    build_whole(params, false);
}

void rml_build_unet_step0(rml_params *params)
{
    build_whole(params, true);
}

RML_NETWORK(unet, "unet", rml_build_unet, rml_kit_whole)
RML_NETWORK(unet_step0, "unet-step0", rml_build_unet_step0, rml_kit_whole)
