#include "models/transformer.h"

#include <string.h>

#define OUT_BIT 1u
#define KERNEL_BIT 4u

rml_activation rml_config_activation(rml_config *config, const char *key)
{
    static const char *const names[] = {
        "gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "relu", "silu", "swish", NULL};
    const int kind = rml_config_choice(config, key, names, 0);
    if (kind == 4)
        return rml_activation_relu();
    return (rml_activation){kind == 0   ? RML_UNARY_GELU
                            : kind <= 3 ? RML_UNARY_GELU_TANH
                                        : RML_UNARY_SILU,
                            {0}};
}

static rml_value_id bias_of(rml_params *params, const char *prefix, rml_value_id weight)
{
    return rml_vector(params, prefix, "bias", rml_dim(params, weight, 0), RML_INIT_ZERO);
}

rml_value_id rml_layer_norm(rml_params *params, rml_value_id x, const char *prefix, float eps)
{
    const int64_t width = rml_width(params, x);
    const rml_value_id gamma = rml_vector(params, prefix, "weight", width, RML_INIT_ONE);
    const rml_value_id beta = rml_vector(params, prefix, "bias", width, RML_INIT_ZERO);
    const rml_layer_norm_attr attr = {.axis = -1, .eps = eps};
    return rml_graph_layer_norm(rml_params_graph(params), x, gamma, beta, &attr, prefix);
}

rml_value_id rml_row_weight(rml_params *params, rml_value_id weight, const double *factor)
{
    rml_graph *graph = rml_params_graph(params);
    if (weight == RML_NO_VALUE)
        return weight;
    rml_constant row = *graph->values[weight].constant;
    rml_stored *stored = &row.stored;
    const int64_t taps = stored->shape.dim[2];
    stored->shape = (rml_shape){4, {stored->shape.dim[0], stored->shape.dim[1], 1, taps}};
    stored->stride[3] = stored->stride[2];
    if (factor) {
        double *copy = rml_arena_alloc(&graph->arena, (size_t)taps, sizeof *copy);
        if (!copy)
            return rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory while building the graph");
        memcpy(copy, factor, (size_t)taps * sizeof *copy);
        row.scale = copy;
        row.scale_axis = 3;
    }
    return rml_graph_constant(graph, graph->values[weight].name, &row);
}

rml_value_id rml_conv1d(rml_params *params, rml_value_id x, const char *prefix,
                        const rml_conv_attr *attr, int64_t out, bool bias)
{
    const rml_shape shape = {3,
                             {out, rml_dim(params, x, 1) / attr->groups, attr->window.kernel[1]}};
    const rml_value_id weight = rml_row_weight(
        params,
        rml_parameter(params, prefix, "weight", &shape, OUT_BIT | KERNEL_BIT, RML_INIT_WEIGHT),
        NULL);
    if (weight == RML_NO_VALUE)
        return weight;
    rml_conv_attr own = *attr;
    own.window.kernel[1] = rml_dim(params, weight, 3);
    return rml_graph_conv(rml_params_graph(params), x, weight,
                          bias ? bias_of(params, prefix, weight) : RML_NO_VALUE, &own, prefix);
}

rml_value_id rml_to_row(rml_params *params, rml_value_id x, const char *name)
{
    rml_graph *graph = rml_params_graph(params);
    const rml_shape row = {4, {0, rml_width(params, x), 1, -1}};
    x = rml_graph_transpose(graph, x, (const int[]){0, 2, 1}, 3, name);
    return rml_graph_reshape(graph, x, &row, name);
}

rml_value_id rml_from_row(rml_params *params, rml_value_id x, const char *name)
{
    rml_graph *graph = rml_params_graph(params);
    const rml_shape plain = {3, {0, rml_dim(params, x, 1), -1}};
    x = rml_graph_reshape(graph, x, &plain, name);
    return rml_graph_transpose(graph, x, (const int[]){0, 2, 1}, 3, name);
}

rml_value_id rml_attention_input(rml_params *params, rml_value_id x, const char *prefix,
                                 const rml_attention_names *names, int input)
{
    const char *const parts[3] = {names->query, names->key, names->value};
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.%s", prefix, parts[input]);
    return rml_linear(params, x, key, rml_width(params, x), true, input != 1 || names->key_bias);
}

rml_value_id rml_attend(rml_params *params, const rml_value_id in[3], const char *prefix,
                        const rml_attention_names *names, int64_t heads)
{
    const int64_t width = rml_width(params, in[0]);
    char key[RML_KEY_BYTES];
    const rml_value_id x =
        rml_graph_attention(rml_params_graph(params), in[0], in[1], in[2], RML_NO_VALUE,
                            &(rml_attention_attr){.heads = heads}, prefix);
    rml_key(key, "%s.%s", prefix, names->out);
    return rml_linear(params, x, key, width, true, true);
}

rml_value_id rml_self_attention(rml_params *params, rml_value_id x, const char *prefix,
                                const rml_attention_names *names, int64_t heads)
{
    rml_value_id in[3];
    for (int i = 0; i < 3; i++)
        in[i] = rml_attention_input(params, x, prefix, names, i);
    return rml_attend(params, in, prefix, names, heads);
}
