#include "models/blocks.h"
#include "tensor/format.h"

#define OUT_BIT(axis) (1u << (axis))

void rml_key(char key[RML_KEY_BYTES], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    rml_format_v(key, RML_KEY_BYTES, format, args);
    va_end(args);
}

int64_t rml_dim(rml_params *params, rml_value_id x, int axis)
{
    // after an error nothing is built any more; the number only has to be a sane one
    if (x == RML_NO_VALUE)
        return 1;
    const rml_shape *shape = &rml_params_graph(params)->values[x].shape;
    return shape->dim[axis < 0 ? shape->rank + axis : axis];
}

int64_t rml_channels(rml_params *params, rml_value_id x)
{
    return rml_dim(params, x, 1);
}

int64_t rml_width(rml_params *params, rml_value_id x)
{
    return rml_dim(params, x, -1);
}

rml_value_id rml_parameter(rml_params *params, const char *prefix, const char *name,
                           const rml_shape *shape, unsigned free, rml_init init)
{
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.%s", prefix, name);
    return rml_params_get(params, key, shape, free, init);
}

rml_value_id rml_vector(rml_params *params, const char *prefix, const char *name, int64_t count,
                        rml_init init)
{
    return rml_parameter(params, prefix, name, &(rml_shape){1, {count}}, 0, init);
}

static rml_value_id conv_weight(rml_params *params, rml_value_id x, const char *prefix,
                                const rml_conv_attr *attr, int64_t out, bool out_fixed)
{
    const rml_shape shape = {4,
                             {out, rml_channels(params, x) / attr->groups, attr->window.kernel[0],
                              attr->window.kernel[1]}};
    return rml_parameter(params, prefix, "weight", &shape, out_fixed ? 0 : OUT_BIT(0),
                         RML_INIT_WEIGHT);
}

rml_value_id rml_conv_no_bias(rml_params *params, const rml_op *op, rml_value_id x,
                              const char *prefix, const rml_conv_attr *attr, int64_t out,
                              bool out_fixed)
{
    const rml_op_attr all = {.conv = *attr};
    const rml_value_id in[] = {x, conv_weight(params, x, prefix, attr, out, out_fixed),
                               RML_NO_VALUE};
    return rml_graph_add(rml_params_graph(params), op, &all, in, 3, prefix);
}

rml_value_id rml_conv(rml_params *params, rml_value_id x, const char *prefix,
                      const rml_conv_attr *attr, int64_t out, bool out_fixed)
{
    rml_graph *graph = rml_params_graph(params);
    const rml_value_id weight = conv_weight(params, x, prefix, attr, out, out_fixed);
    if (weight == RML_NO_VALUE)
        return weight;
    const rml_value_id bias =
        rml_vector(params, prefix, "bias", graph->values[weight].shape.dim[0], RML_INIT_ZERO);
    return rml_graph_conv(graph, x, weight, bias, attr, prefix);
}

rml_value_id rml_conv_transpose(rml_params *params, rml_value_id x, const char *prefix,
                                const rml_conv_attr *attr, int64_t out)
{
    rml_graph *graph = rml_params_graph(params);
    const rml_shape shape = {
        4, {rml_channels(params, x), out, attr->window.kernel[0], attr->window.kernel[1]}};
    const rml_value_id weight =
        rml_parameter(params, prefix, "weight", &shape, OUT_BIT(1), RML_INIT_WEIGHT_TRANSPOSED);
    if (weight == RML_NO_VALUE)
        return weight;
    const rml_value_id bias =
        rml_vector(params, prefix, "bias", graph->values[weight].shape.dim[1], RML_INIT_ZERO);
    return rml_graph_conv_transpose(graph, x, weight, bias, attr, prefix);
}

rml_value_id rml_batch_norm(rml_params *params, rml_value_id x, const char *prefix)
{
    const int64_t channels = rml_channels(params, x);
    const rml_value_id gamma = rml_vector(params, prefix, "weight", channels, RML_INIT_ONE);
    const rml_value_id beta = rml_vector(params, prefix, "bias", channels, RML_INIT_ZERO);
    const rml_value_id mean = rml_vector(params, prefix, "running_mean", channels, RML_INIT_ZERO);
    const rml_value_id variance = rml_vector(params, prefix, "running_var", channels, RML_INIT_ONE);
    rml_params_not_trained(params, mean);
    rml_params_not_trained(params, variance);
    return rml_graph_batch_norm(rml_params_graph(params), x, gamma, beta, mean, variance, 1e-5f,
                                prefix);
}

rml_value_id rml_group_norm(rml_params *params, rml_value_id x, const char *prefix, int64_t groups,
                            float eps)
{
    return rml_group_norm_offset(params, x, prefix, RML_NO_VALUE, groups, eps);
}

rml_value_id rml_group_norm_offset(rml_params *params, rml_value_id x, const char *prefix,
                                   rml_value_id offset, int64_t groups, float eps)
{
    const int64_t channels = rml_channels(params, x);
    const rml_value_id gamma = rml_vector(params, prefix, "weight", channels, RML_INIT_ONE);
    const rml_value_id beta = rml_vector(params, prefix, "bias", channels, RML_INIT_ZERO);
    return rml_graph_group_norm_offset(rml_params_graph(params), x, gamma, beta, offset, groups,
                                       eps, prefix);
}

rml_value_id rml_linear(rml_params *params, rml_value_id x, const char *prefix, int64_t out,
                        bool out_fixed, bool bias)
{
    rml_graph *graph = rml_params_graph(params);
    if (x == RML_NO_VALUE)
        return x;
    const rml_shape *in = &graph->values[x].shape;
    const rml_shape shape = {2, {out, in->dim[in->rank - 1]}};
    const rml_value_id weight = rml_parameter(params, prefix, "weight", &shape,
                                              out_fixed ? 0 : OUT_BIT(0), RML_INIT_WEIGHT);
    if (weight == RML_NO_VALUE)
        return weight;
    const int64_t count = graph->values[weight].shape.dim[0];
    return rml_graph_linear(
        graph, x, weight,
        bias ? rml_vector(params, prefix, "bias", count, RML_INIT_ZERO) : RML_NO_VALUE, prefix);
}

rml_value_id rml_relu(rml_params *params, rml_value_id x, const char *prefix)
{
    return rml_graph_unary(rml_params_graph(params), x, rml_activation_relu(), prefix);
}
