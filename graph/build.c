// The named builder calls: each fills one attribute struct and appends one node.
#include "graph/graph.h"

#include <math.h>

rml_conv_attr rml_conv_square(int64_t kernel, int64_t stride, int64_t pad)
{
    return (rml_conv_attr){.window = rml_window_square(kernel, stride, pad),
                           .groups = 1,
                           .act = rml_activation_none()};
}

rml_window_attr rml_window_square(int64_t kernel, int64_t stride, int64_t pad)
{
    return (rml_window_attr){.rank = 2,
                             .kernel = {kernel, kernel},
                             .stride = {stride, stride},
                             .dilation = {1, 1},
                             .before = {pad, pad},
                             .after = {pad, pad}};
}

rml_value_id rml_graph_conv(rml_graph *graph, rml_value_id x, rml_value_id weight,
                            rml_value_id bias, const rml_conv_attr *attr, const char *name)
{
    const rml_value_id in[] = {x, weight, bias};
    return rml_graph_add(graph, &rml_op_conv, &(rml_op_attr){.conv = *attr}, in, 3, name);
}

rml_value_id rml_graph_conv_transpose(rml_graph *graph, rml_value_id x, rml_value_id weight,
                                      rml_value_id bias, const rml_conv_attr *attr,
                                      const char *name)
{
    const rml_value_id in[] = {x, weight, bias};
    return rml_graph_add(graph, &rml_op_conv_transpose, &(rml_op_attr){.conv = *attr}, in, 3, name);
}

rml_value_id rml_graph_batch_norm(rml_graph *graph, rml_value_id x, rml_value_id gamma,
                                  rml_value_id beta, rml_value_id mean, rml_value_id variance,
                                  float eps, const char *name)
{
    const rml_value_id in[] = {x, gamma, beta, mean, variance};
    return rml_graph_add(graph, &rml_op_batch_norm, &(rml_op_attr){.batch_norm = {eps}}, in, 5,
                         name);
}

rml_value_id rml_graph_group_norm(rml_graph *graph, rml_value_id x, rml_value_id gamma,
                                  rml_value_id beta, int64_t groups, float eps, const char *name)
{
    return rml_graph_group_norm_offset(graph, x, gamma, beta, RML_NO_VALUE, groups, eps, name);
}

rml_value_id rml_graph_group_norm_offset(rml_graph *graph, rml_value_id x, rml_value_id gamma,
                                         rml_value_id beta, rml_value_id offset, int64_t groups,
                                         float eps, const char *name)
{
    const rml_value_id in[] = {x, gamma, beta, offset};
    const rml_op_attr attr = {.group_norm = {groups, eps, rml_activation_none()}};
    return rml_graph_add(graph, &rml_op_group_norm, &attr, in, 4, name);
}

rml_value_id rml_graph_linear(rml_graph *graph, rml_value_id x, rml_value_id weight,
                              rml_value_id bias, const char *name)
{
    return rml_graph_linear_of(graph, &rml_op_matmul, x, weight, bias, name);
}

rml_value_id rml_graph_linear_of(rml_graph *graph, const rml_op *op, rml_value_id x,
                                 rml_value_id weight, rml_value_id bias, const char *name)
{
    const rml_value_id in[] = {x, weight, bias};
    const rml_op_attr attr = {.matmul = rml_matmul_plain(false, true)};
    return rml_graph_add(graph, op, &attr, in, 3, name);
}

rml_value_id rml_graph_matmul(rml_graph *graph, rml_value_id a, rml_value_id b, bool transpose_a,
                              bool transpose_b, const char *name)
{
    const rml_value_id in[] = {a, b};
    const rml_op_attr attr = {.matmul = rml_matmul_plain(transpose_a, transpose_b)};
    return rml_graph_add(graph, &rml_op_matmul, &attr, in, 2, name);
}

rml_value_id rml_graph_unary(rml_graph *graph, rml_value_id x, rml_activation act, const char *name)
{
    return rml_graph_add(graph, &rml_op_unary, &(rml_op_attr){.unary = act}, &x, 1, name);
}

rml_value_id rml_graph_binary(rml_graph *graph, rml_binary kind, rml_value_id a, rml_value_id b,
                              const char *name)
{
    const rml_value_id in[] = {a, b};
    return rml_graph_add(graph, &rml_op_binary,
                         &(rml_op_attr){.binary = {kind, rml_activation_none()}}, in, 2, name);
}

rml_value_id rml_graph_glu(rml_graph *graph, rml_value_id x, rml_activation act, const char *name)
{
    return rml_graph_add(graph, &rml_op_glu, &(rml_op_attr){.unary = act}, &x, 1, name);
}

rml_value_id rml_graph_pool(rml_graph *graph, rml_value_id x, const rml_pool_attr *attr,
                            const char *name)
{
    return rml_graph_add(graph, &rml_op_pool, &(rml_op_attr){.pool = *attr}, &x, 1, name);
}

rml_value_id rml_graph_l2norm(rml_graph *graph, rml_value_id x, rml_value_id scale, float eps,
                              const char *name)
{
    const rml_value_id in[] = {x, scale};
    return rml_graph_add(graph, &rml_op_l2norm, &(rml_op_attr){.l2norm = {eps}}, in, 2, name);
}

rml_value_id rml_graph_layer_norm(rml_graph *graph, rml_value_id x, rml_value_id gamma,
                                  rml_value_id beta, const rml_layer_norm_attr *attr,
                                  const char *name)
{
    const rml_value_id in[] = {x, gamma, beta};
    return rml_graph_add(graph, &rml_op_layer_norm, &(rml_op_attr){.layer_norm = *attr}, in, 3,
                         name);
}

rml_value_id rml_graph_channel_norm(rml_graph *graph, rml_value_id x, rml_value_id gamma,
                                    rml_value_id beta, const rml_layer_norm_attr *attr,
                                    const char *name)
{
    const rml_value_id in[] = {x, gamma, beta};
    return rml_graph_add(graph, &rml_op_channel_norm, &(rml_op_attr){.layer_norm = *attr}, in, 3,
                         name);
}

rml_value_id rml_graph_wave_norm(rml_graph *graph, rml_value_id x, rml_value_id weight,
                                 rml_value_id gamma, rml_value_id beta, int64_t stride, float eps,
                                 const char *name)
{
    const rml_value_id in[] = {x, weight, gamma, beta};
    const rml_op_attr attr = {.wave = {.stride = stride, .eps = eps}};
    return rml_graph_add(graph, &rml_op_wave_norm, &attr, in, 4, name);
}

rml_value_id rml_graph_wave_conv(rml_graph *graph, rml_value_id x, rml_value_id weight,
                                 rml_value_id norm, int64_t stride, const char *name)
{
    const rml_value_id in[] = {x, weight, norm};
    const rml_op_attr attr = {.wave = {.stride = stride, .act = rml_activation_none()}};
    return rml_graph_add(graph, &rml_op_wave_conv, &attr, in, 3, name);
}

// A constant with a dimension of size 1 in front.
static rml_value_id as_direction(rml_graph *graph, rml_value_id value)
{
    if (value == RML_NO_VALUE || graph->values[value].kind != RML_VALUE_CONSTANT)
        return value;
    rml_constant constant = *graph->values[value].constant;
    rml_stored *stored = &constant.stored;
    for (int i = stored->shape.rank; i > 0; i--) {
        stored->shape.dim[i] = stored->shape.dim[i - 1];
        stored->stride[i] = stored->stride[i - 1];
    }
    stored->shape.dim[0] = 1;
    stored->stride[0] = 0;
    stored->shape.rank++;
    return rml_graph_constant(graph, graph->values[value].name, &constant);
}

void rml_graph_lstm(rml_graph *graph, const rml_op *op, const rml_lstm_weights *weights,
                    rml_value_id x, rml_value_id h0, rml_value_id c0, bool reverse,
                    rml_value_id out[3], const char *name)
{
    rml_op_attr attr = {.rnn = {.kind = RML_RNN_LSTM,
                                .directions = 1,
                                .reverse = reverse,
                                .batch_first = true,
                                .torch_gates = true,
                                .clip = INFINITY,
                                .act = {{.function = RML_RNN_SIGMOID}}}};
    rml_value_id bias = RML_NO_VALUE;
    if (weights->bias[0] != RML_NO_VALUE) {
        bias = rml_graph_concat(graph, weights->bias, 2, 0, name);
        bias = rml_graph_reshape(graph, bias, &(rml_shape){2, {1, -1}}, name);
    }
    const rml_value_id in[] = {x,
                               as_direction(graph, weights->input),
                               as_direction(graph, weights->state),
                               bias,
                               RML_NO_VALUE,
                               h0,
                               c0};
    const rml_value_id first = rml_graph_add(graph, op, &attr, in, 7, name);
    for (int k = 0; k < 3; k++)
        out[k] = first == RML_NO_VALUE ? RML_NO_VALUE : first + (rml_value_id)k;
    if (first == RML_NO_VALUE)
        return;
    const int64_t hidden = graph->values[first].shape.dim[3];
    out[0] = rml_graph_reshape(graph, first, &(rml_shape){3, {0, 0, hidden}}, name);
}

rml_value_id rml_graph_softmax(rml_graph *graph, rml_value_id x, int axis, const char *name)
{
    return rml_graph_add(graph, &rml_op_softmax, &(rml_op_attr){.softmax = {.axis = axis}}, &x, 1,
                         name);
}

rml_value_id rml_graph_attention(rml_graph *graph, rml_value_id q, rml_value_id k, rml_value_id v,
                                 rml_value_id mask, const rml_attention_attr *attr,
                                 const char *name)
{
    const rml_value_id in[] = {q, k, v, mask};
    return rml_graph_add(graph, &rml_op_attention, &(rml_op_attr){.attention = *attr}, in, 4, name);
}

rml_value_id rml_graph_reduce(rml_graph *graph, rml_value_id x, rml_reduce_kind kind, int axis,
                              bool keep, const char *name)
{
    const rml_op_attr attr = {
        .reduce = {.kind = kind, .axis_count = 1, .axes = {axis}, .keep = keep}};
    return rml_graph_add(graph, &rml_op_reduce, &attr, &x, 1, name);
}

rml_value_id rml_graph_resize(rml_graph *graph, rml_value_id x, rml_value_id like,
                              const rml_resize_attr *attr, const char *name)
{
    const rml_value_id in[] = {x, RML_NO_VALUE, RML_NO_VALUE, RML_NO_VALUE, like};
    return rml_graph_add(graph, &rml_op_resize, &(rml_op_attr){.resize = *attr}, in,
                         like == RML_NO_VALUE ? 1 : 5, name);
}

rml_resize_attr rml_resize_twice(void)
{
    return (rml_resize_attr){.coordinates = RML_COORDINATES_ASYMMETRIC,
                             .mode = RML_INTERPOLATION_NEAREST,
                             .nearest = RML_NEAREST_FLOOR,
                             .scale = {2, 2}};
}

rml_value_id rml_graph_concat(rml_graph *graph, const rml_value_id *in, int in_count, int axis,
                              const char *name)
{
    return rml_graph_add(graph, &rml_op_concat, &(rml_op_attr){.concat = {axis}}, in, in_count,
                         name);
}

rml_value_id rml_graph_slice(rml_graph *graph, rml_value_id x, int axis, int64_t start,
                             int64_t stop, int64_t step, const char *name)
{
    return rml_graph_add(graph, &rml_op_slice, &(rml_op_attr){.slice = {axis, start, stop, step}},
                         &x, 1, name);
}

rml_value_id rml_graph_reshape(rml_graph *graph, rml_value_id x, const rml_shape *shape,
                               const char *name)
{
    return rml_graph_add(graph, &rml_op_reshape, &(rml_op_attr){.reshape = {.shape = *shape}}, &x,
                         1, name);
}

rml_value_id rml_graph_transpose(rml_graph *graph, rml_value_id x, const int *order, int rank,
                                 const char *name)
{
    rml_op_attr attr = {.transpose = {.rank = rank}};
    for (int i = 0; i < rank && i < RML_MAX_RANK; i++)
        attr.transpose.order[i] = order[i];
    return rml_graph_add(graph, &rml_op_transpose, &attr, &x, 1, name);
}

rml_value_id rml_graph_expand(rml_graph *graph, rml_value_id x, const rml_shape *shape,
                              rml_value_id like, const char *name)
{
    const rml_value_id in[] = {x, like};
    return rml_graph_add(graph, &rml_op_expand, &(rml_op_attr){.expand = {*shape}}, in, 2, name);
}

rml_value_id rml_graph_space_to_depth(rml_graph *graph, rml_value_id x, int64_t block,
                                      const char *name)
{
    return rml_graph_add(graph, &rml_op_space_to_depth, &(rml_op_attr){.shuffle = {.block = block}},
                         &x, 1, name);
}

rml_value_id rml_graph_depth_to_space(rml_graph *graph, rml_value_id x, rml_value_id like,
                                      int64_t block, const char *name)
{
    const rml_value_id in[] = {x, like};
    return rml_graph_add(graph, &rml_op_depth_to_space, &(rml_op_attr){.shuffle = {.block = block}},
                         in, 2, name);
}

rml_value_id rml_graph_pixels_to_rows(rml_graph *graph, rml_value_id x, const char *name)
{
    return rml_graph_add(graph, &rml_op_pixels_to_rows, &(rml_op_attr){0}, &x, 1, name);
}

rml_value_id rml_graph_rows_to_pixels(rml_graph *graph, rml_value_id rows, rml_value_id like,
                                      const char *name)
{
    const rml_value_id in[] = {rows, like};
    return rml_graph_add(graph, &rml_op_rows_to_pixels, &(rml_op_attr){0}, in, 2, name);
}

void rml_graph_mark_inner(rml_graph *graph, size_t first, const rml_value_id *out, size_t count)
{
    for (size_t i = first; i < graph->value_count; i++) {
        bool given = graph->values[i].rounding != RML_ROUNDING_ALL;
        for (size_t k = 0; k < count && !given; k++)
            given = out[k] == i;
        if (!given)
            graph->values[i].rounding = RML_ROUNDING_NONE;
    }
}
