#include "models/lip_blocks.h"

#define LEAKY_SLOPE 0.2f

static rml_value_id activate(rml_params *params, rml_value_id x, const char *prefix,
                             rml_lip_act act)
{
    rml_graph *graph = rml_params_graph(params);
    const rml_activation leaky = {.kind = RML_UNARY_LEAKY_RELU, .param = {LEAKY_SLOPE}};
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.act.weight", prefix);
    if (rml_params_published(params) ? act != RML_LIP_PRELU : !rml_params_stored(params, key))
        return act == RML_LIP_LEAKY ? rml_graph_unary(graph, x, leaky, prefix)
                                    : rml_relu(params, x, prefix);
    const rml_value_id slope =
        rml_params_get(params, key, &(rml_shape){1, {1}}, 0, RML_INIT_QUARTER);
    return rml_graph_binary(graph, RML_BINARY_PRELU, x, slope, prefix);
}

rml_value_id rml_lip_block(rml_params *params, rml_value_id x, const char *prefix,
                           rml_lip_form form, int64_t out, const rml_conv_attr *attr,
                           rml_lip_act act)
{
    const bool residual = form == RML_LIP_RESIDUAL;
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.conv_block.0", prefix);
    rml_value_id y =
        form == RML_LIP_TRANSPOSED
            ? rml_conv_transpose(params, x, key, attr, out)
            : rml_conv(params, x, key, attr, residual ? rml_channels(params, x) : out, residual);
    rml_key(key, "%s.conv_block.1", prefix);
    y = rml_batch_norm(params, y, key);
    if (residual)
        y = rml_graph_binary(rml_params_graph(params), RML_BINARY_ADD, y, x, prefix);
    return activate(params, y, prefix, act);
}

rml_value_id rml_lip_blocks(rml_params *params, rml_value_id x, const char *prefix, int *at,
                            const rml_lip_stage *stage, int64_t to, rml_lip_act act)
{
    char key[RML_KEY_BYTES];
    rml_conv_attr attr = rml_conv_square(stage->kernel, 1, stage->pad);
    attr.window.stride[0] = stage->stride_h;
    attr.window.stride[1] = stage->stride_w;
    if (to)
        attr.out_pad[0] = attr.out_pad[1] =
            to - ((rml_dim(params, x, 2) - 1) * stage->stride_h - 2 * stage->pad + stage->kernel);
    rml_key(key, "%s.%d", prefix, (*at)++);
    x = rml_lip_block(params, x, key, to ? RML_LIP_TRANSPOSED : RML_LIP_CONV, stage->out, &attr,
                      act);
    const bool residual = stage->more > 0;
    attr = residual ? rml_conv_square(3, 1, 1) : rml_conv_square(1, 1, 0);
    for (int i = residual ? stage->more : -stage->more; i > 0; i--) {
        rml_key(key, "%s.%d", prefix, (*at)++);
        x = rml_lip_block(params, x, key, residual ? RML_LIP_RESIDUAL : RML_LIP_CONV, stage->out,
                          &attr, act);
    }
    return x;
}
