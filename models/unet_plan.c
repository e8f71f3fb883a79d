#include "models/unet.h"

#include "models/blocks.h"

#define MAX_CHANNELS 16384
#define MAX_DEPTH 32
#define MAX_HEADS 1024
#define SD2_HEAD 64 // size of a head where projections are linear

// ---- what the weights tell ----------------------------------------------------------------------

static const rml_shape *stored(const rml_params *params, const char *block, size_t level,
                               const char *part, size_t index, const char *rest)
{
    char key[RML_KEY_BYTES];
    rml_key(key, "%s_blocks.%zu.%s.%zu.%s", block, level, part, index, rest);
    return rml_params_stored(params, key);
}

static int64_t dim_of(const rml_shape *shape, int axis, int64_t fallback)
{
    const int64_t dim = shape && shape->rank > axis ? shape->dim[axis] : 0;
    return dim > 0 && dim <= MAX_CHANNELS ? dim : fallback;
}

// Transformer blocks behind `prefix` that are there, at least one.
static int64_t stored_depth(const rml_params *params, const char *prefix)
{
    int64_t depth = 1;
    char key[RML_KEY_BYTES];
    do
        rml_key(key, "%s.transformer_blocks.%d.norm1.weight", prefix, (int)depth);
    while (rml_params_stored(params, key) && depth++ < MAX_DEPTH);
    return depth;
}

// The published network stays where the weights are of something else.
static void read_weights(const rml_params *params, rml_unet_plan *plan)
{
    const rml_shape *in = rml_params_stored(params, "conv_in.weight");
    if (!in || !stored(params, "down", 0, "resnets", 0, "conv1.weight"))
        return;
    plan->in = dim_of(in, 1, plan->in);
    plan->out = dim_of(rml_params_stored(params, "conv_out.weight"), 0, plan->out);
    plan->levels = 0;
    plan->layers = 1;
    while (plan->layers < RML_UNET_LAYERS &&
           stored(params, "down", 0, "resnets", (size_t)plan->layers, "conv1.weight"))
        plan->layers++;
    while (plan->levels < RML_UNET_LEVELS) {
        const size_t level = plan->levels;
        const rml_shape *conv = stored(params, "down", level, "resnets", 0, "conv1.weight");
        char prefix[RML_KEY_BYTES];
        if (!conv)
            break;
        rml_key(prefix, "down_blocks.%zu.attentions.0", level);
        plan->channels[level] = dim_of(conv, 0, 1);
        plan->down[level] = stored(params, "down", level, "attentions", 0, "norm.weight");
        plan->up[level] = stored(params, "up", level, "attentions", 0, "norm.weight");
        plan->depth[level] =
            stored_depth(params, plan->down[level] ? prefix : "mid_block.attentions.0");
        plan->levels++;
    }
    const rml_shape *project = rml_params_stored(params, "mid_block.attentions.0.proj_in.weight");
    plan->linear = project && project->rank == 2;
    plan->context = dim_of(
        rml_params_stored(params, "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"),
        1, plan->context);
    for (size_t level = 0; level < plan->levels; level++)
        plan->heads[level] = plan->linear && plan->channels[level] >= SD2_HEAD
                                 ? plan->channels[level] / SD2_HEAD
                             : plan->layers == 1 ? 4
                                                 : 8;
}

// ---- what the config says -----------------------------------------------------------------------

// What other networks of this class have and this one has not.
static void refuse_others(rml_config *config)
{
    static const char *const classes[] = {"UNet2DConditionModel", NULL};
    static const char *const activations[] = {"silu", "swish", NULL};
    static const char *const middles[] = {"UNetMidBlock2DCrossAttn", NULL};
    static const char *const shifts[] = {"default", NULL};
    static const char *const times[] = {"positional", NULL};
    static const char *const nothing[] = {"null", NULL};
    static const char *const texts[] = {"class_embed_type",     "addition_embed_type",
                                        "encoder_hid_dim_type", "time_embedding_act_fn",
                                        "timestep_post_act",    "cross_attention_norm"};
    static const char *const numbers[] = {"num_class_embeds", "time_cond_proj_dim",
                                          "encoder_hid_dim", "time_embedding_dim"};
    static const char *const flags[] = {"only_cross_attention", "dual_cross_attention",
                                        "class_embeddings_concat", "resnet_skip_time_act",
                                        "mid_block_only_cross_attention"};
    static const char *const ones[] = {"mid_block_scale_factor", "resnet_out_scale_factor"};
    rml_config_choice(config, "_class_name", classes, 0);
    rml_config_choice(config, "act_fn", activations, 0);
    rml_config_choice(config, "mid_block_type", middles, 0);
    rml_config_choice(config, "resnet_time_scale_shift", shifts, 0);
    rml_config_choice(config, "time_embedding_type", times, 0);
    rml_config_choice(config, "attention_type", shifts, 0);
    rml_config_int(config, "conv_in_kernel", 3, 3, 3);
    rml_config_int(config, "conv_out_kernel", 3, 3, 3);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        rml_config_choice(config, texts[i], nothing, 0);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        rml_config_int(config, numbers[i], 0, 0, 0);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (rml_config_bool(config, flags[i], false))
            rml_config_fail(config, RML_ERR_UNSUPPORTED, "%s is not supported", flags[i]);
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
        if (rml_config_number(config, ones[i], 1.0) != 1.0)
            rml_config_fail(config, RML_ERR_UNSUPPORTED, "%s is not 1", ones[i]);
}

// A number a level, or one for all.
static void read_levels(rml_config *config, const char *key, int64_t max, size_t levels,
                        int64_t *out)
{
    int64_t given[RML_UNET_LEVELS];
    const size_t count = rml_config_ints(config, key, 1, max, given, RML_UNET_LEVELS);
    if (count > 1 && count != levels)
        rml_config_fail(config, RML_ERR_FORMAT, "%s has %zu items, block_out_channels %zu", key,
                        count, levels);
    for (size_t i = 0; i < levels && count > 0; i++)
        out[i] = given[count == 1 ? 0 : i];
}

static void read_blocks(rml_config *config, const char *key, const char *const kinds[3],
                        size_t levels, bool *attention)
{
    int kind[RML_UNET_LEVELS];
    const size_t count = rml_config_choices(config, key, kinds, kind, RML_UNET_LEVELS);
    if (count > 0 && count != levels)
        rml_config_fail(config, RML_ERR_FORMAT, "%s has %zu items, block_out_channels %zu", key,
                        count, levels);
    for (size_t i = 0; i < levels && count > 0; i++)
        attention[i] = kind[i] == 1;
}

static void read_config(rml_config *config, rml_unet_plan *plan)
{
    static const char *const downs[] = {"DownBlock2D", "CrossAttnDownBlock2D", NULL};
    static const char *const ups[] = {"UpBlock2D", "CrossAttnUpBlock2D", NULL};
    refuse_others(config);
    const size_t levels = rml_config_ints(config, "block_out_channels", 2, MAX_CHANNELS,
                                          plan->channels, RML_UNET_LEVELS);
    if (levels)
        plan->levels = levels;
    if (config->given)
        for (size_t i = 0; i < plan->levels; i++)
            plan->heads[i] = 8; // diffusers' default
    plan->in = rml_config_int(config, "in_channels", plan->in, 1, MAX_CHANNELS);
    plan->out = rml_config_int(config, "out_channels", plan->out, 1, MAX_CHANNELS);
    plan->context = rml_config_int(config, "cross_attention_dim", plan->context, 1, MAX_CHANNELS);
    plan->layers = rml_config_int(config, "layers_per_block", plan->layers, 1, RML_UNET_LAYERS);
    read_levels(config, "attention_head_dim", MAX_HEADS, plan->levels, plan->heads);
    read_levels(config, "num_attention_heads", MAX_HEADS, plan->levels, plan->heads);
    read_levels(config, "transformer_layers_per_block", MAX_DEPTH, plan->levels, plan->depth);
    read_blocks(config, "down_block_types", downs, plan->levels, plan->down);
    read_blocks(config, "up_block_types", ups, plan->levels, plan->up);
    plan->groups = rml_config_int(config, "norm_num_groups", plan->groups, 1, MAX_CHANNELS);
    plan->eps = (float)rml_config_number(config, "norm_eps", (double)plan->eps);
    plan->linear = rml_config_bool(config, "use_linear_projection", plan->linear);
    plan->sine_first = !rml_config_bool(config, "flip_sin_to_cos", true);
    plan->centred = rml_config_bool(config, "center_input_sample", false);
    plan->frequency_shift = rml_config_number(config, "freq_shift", 0.0);
    plan->pad = rml_config_int(config, "downsample_padding", 1, 0, 1);
}

rml_unet_plan rml_unet_find_plan(rml_params *params)
{
    static const char *const prefixes[] = {"unet.", NULL};
    rml_config *config = rml_params_config(params);
    rml_unet_plan plan = {.in = 8,
                          .out = 4,
                          .context = 768,
                          .levels = 3,
                          .layers = 1,
                          .channels = {160, 320, 640},
                          .groups = 32,
                          .eps = 1e-5f,
                          .pad = 1};
    for (size_t i = 0; i < RML_UNET_LEVELS; i++) {
        plan.heads[i] = 4;
        plan.depth[i] = 1;
        plan.down[i] = i < 2;
        plan.up[i] = i > 0;
    }
    rml_params_scope(params, "conv_in.weight", prefixes);
    if (!rml_params_published(params))
        read_weights(params, &plan);
    read_config(config, &plan);
    for (size_t i = 0; i < plan.levels; i++)
        if (plan.channels[i] % plan.heads[i] != 0)
            rml_config_fail(config, RML_ERR_SHAPE, "%lld heads do not share %lld channels evenly",
                            (long long)plan.heads[i], (long long)plan.channels[i]);
    if (plan.channels[0] % 2 != 0)
        rml_config_fail(config, RML_ERR_UNSUPPORTED, "the first width, %lld, is odd",
                        (long long)plan.channels[0]);
    return plan;
}
