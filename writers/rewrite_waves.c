// The first layer of speech networks.
#include "writers/rewrite.h"

#define P(part) rml_part_name(l, node, part)

// The convolution of a wave [N,S] by [C,1,K]: an image [N,C,1,T].
static rml_value_id convolved(rml_lowering *l, const rml_node *node)
{
    const rml_value_id x = node->in[0], weight = node->in[1];
    const rml_shape taps = rml_lowered_shape(l, weight);
    const rml_shape image = {4, {0, 1, 1, -1}}, kernel = {4, {taps.dim[0], 1, 1, taps.dim[2]}};
    if (l->wave.conv != RML_NO_VALUE && l->wave.x == x && l->wave.weight == weight)
        return l->wave.conv;
    const rml_op_attr attr = {.conv = {.window = {.rank = 2,
                                                  .kernel = {1, taps.dim[2]},
                                                  .stride = {1, node->attr.wave.stride},
                                                  .dilation = {1, 1}},
                                       .groups = 1,
                                       .act = rml_activation_none()}};
    const rml_value_id in[2] = {
        rml_lower_reshape(l, x, &image, P("wave")),
        rml_lower_reshape(l, weight, &kernel, rml_lowered_name(l, weight, P("weight")))};
    l->wave.x = x;
    l->wave.weight = weight;
    l->wave.conv = rml_lower_node(l, RML_OP_CONV, &attr, in, 2, P("conv"));
    return l->wave.conv;
}

// What makes the convolution's channels normal: scale and shift [N,2,C].
bool rml_rewrite_wave_norm(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    const int time = 3;
    if (node->op != RML_OP_WAVE_NORM)
        return false;
    const int64_t channels = rml_lowered_shape(l, node->in[1]).dim[0];
    const rml_value_id y = convolved(l, node);
    const rml_value_id mean = rml_lower_reduce(l, RML_REDUCE_MEAN, y, &time, 1, P("mean"));
    rml_value_id x = rml_lower_binary(l, RML_BINARY_SUB, y, mean, P("centred"));
    x = rml_lower_binary(l, RML_BINARY_MUL, x, x, P("squares"));
    x = rml_lower_reduce(l, RML_REDUCE_MEAN, x, &time, 1, P("variance"));
    x = rml_lower_by_number(l, RML_BINARY_ADD, x, (double)node->attr.wave.eps, P("raised"));
    x = rml_lower_unary(l, RML_UNARY_SQRT, x, P("deviation"));
    const rml_value_id gamma = rml_lower_by_channel(l, node->in[2], 4, P("gamma"));
    const rml_value_id beta = rml_lower_by_channel(l, node->in[3], 4, P("beta"));
    const rml_value_id scale = rml_lower_binary(l, RML_BINARY_DIV, gamma, x, P("scale"));
    x = rml_lower_binary(l, RML_BINARY_MUL, mean, scale, P("moved"));
    const rml_value_id shift = rml_lower_binary(l, RML_BINARY_SUB, beta, x, P("shift"));
    const rml_shape row = {3, {0, 1, channels}};
    const rml_value_id rows[2] = {rml_lower_reshape(l, scale, &row, P("scales")),
                                  rml_lower_reshape(l, shift, &row, P("shifts"))};
    out[0] = rml_lower_node(l, RML_OP_CONCAT, &(rml_op_attr){.concat = {1}}, rows, 2, node->name);
    return true;
}

bool rml_rewrite_wave_conv(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    if (node->op != RML_OP_WAVE_CONV)
        return false;
    const int64_t channels = rml_lowered_shape(l, node->in[1]).dim[0];
    const rml_shape image = {4, {0, channels, 1, 1}};
    const rml_value_id y = convolved(l, node);
    rml_value_id scale = rml_lower_slice(l, node->in[2], 1, 0, 1, P("first"));
    rml_value_id shift = rml_lower_slice(l, node->in[2], 1, 1, 2, P("second"));
    scale = rml_lower_reshape(l, scale, &image, P("scale"));
    shift = rml_lower_reshape(l, shift, &image, P("shift"));
    const rml_value_id product = rml_lower_binary(l, RML_BINARY_MUL, y, scale, P("scaled"));
    out[0] = rml_lower_binary(l, RML_BINARY_ADD, product, shift, node->name);
    return true;
}
