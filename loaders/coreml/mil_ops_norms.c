// Normalisations.
#include "loaders/coreml/mil_handler.h"

#include "tensor/tensor.h"

#include <string.h>

// ---- by statistics of the file ------------------------------------------------------------------

// The argument, or a vector of `count` times `number` in its place.
static rml_value_id vector_or(rml_mil_call *call, const char *name, int64_t count, float number)
{
    if (rml_mil_has(call, name) || call->make.refused)
        return rml_mil_optional(call, name);
    float *data = rml_coreml_alloc(&call->make, (size_t)count, sizeof *data);
    for (int64_t i = 0; data && i < count; i++)
        data[i] = number;
    return rml_coreml_floats(&call->make, data, &(rml_shape){1, {count}});
}

static void import_batch_norm(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const rml_value_id mean = rml_mil_in(call, "mean"), variance = rml_mil_in(call, "variance");
    const rml_shape shape = rml_coreml_fact(&call->make, mean).shape;
    const float eps = (float)rml_mil_float(call, "epsilon", 1e-5);
    if (shape.rank != 1 || shape.dim[0] < 1)
        rml_coreml_refuse(&call->make, "its mean is not a constant vector");
    const rml_value_id gamma = vector_or(call, "gamma", shape.dim[0], 1);
    const rml_value_id beta = vector_or(call, "beta", shape.dim[0], 0);
    if (!call->make.refused)
        call->out[0] = rml_graph_batch_norm(call->make.graph, x, gamma, beta, mean, variance, eps,
                                            call->make.name);
}

// ---- by statistics of the value -----------------------------------------------------------------

static void import_instance_norm(rml_mil_call *call)
{
    const rml_value_id in[] = {rml_mil_in(call, "x"), rml_mil_optional(call, "gamma"),
                               rml_mil_optional(call, "beta")};
    const rml_op_attr attr = {.group_norm = {.groups = 0,
                                             .eps = (float)rml_mil_float(call, "epsilon", 1e-5),
                                             .act = rml_activation_none()}};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_GROUP_NORM, &attr, in, 3);
}

// gamma and beta have the dimensions `axes` of x: with ones for the others.
static rml_value_id spread(rml_mil_call *call, const char *name, const int *axes, int count,
                           int rank)
{
    const rml_value_id value = rml_mil_optional(call, name);
    const rml_shape given = rml_coreml_fact(&call->make, value).shape;
    rml_shape shape = {.rank = rank};
    if (value == RML_NO_VALUE || call->make.refused)
        return RML_NO_VALUE;
    for (int i = 0; i < rank; i++)
        shape.dim[i] = 1;
    for (int i = 0; i < count && i < given.rank; i++)
        shape.dim[axes[i]] = given.dim[i];
    return rml_graph_reshape(call->make.graph, value, &shape, call->make.name);
}

static void import_layer_norm(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const int rank = rml_coreml_rank(&call->make, x);
    const double eps = rml_mil_float(call, "epsilon", 1e-5);
    int axes[RML_MAX_RANK];
    int count = rml_mil_axes(call, "axes", axes, RML_MAX_RANK);
    for (int i = 0; count < 0 && i < rank; i++)
        axes[i] = i;
    count = count < 0 ? rank : count;
    bool is_last = true; // in order, the last ones
    for (int i = 0; i < count; i++) {
        axes[i] = rml_coreml_axis_of(&call->make, axes[i], rank);
        is_last = is_last && axes[i] == rank - count + i;
    }
    if (call->make.refused)
        return;
    if (is_last) {
        const rml_layer_norm_attr attr = {.axis = -count, .eps = (float)eps};
        const rml_value_id gamma = rml_mil_optional(call, "gamma");
        call->out[0] = rml_graph_layer_norm(call->make.graph, x, gamma,
                                            rml_mil_optional(call, "beta"), &attr, call->make.name);
        return;
    }
    rml_value_id out = rml_coreml_normalise(&call->make, x, axes, count, eps, true);
    const rml_value_id gamma = spread(call, "gamma", axes, count, rank);
    const rml_value_id beta = spread(call, "beta", axes, count, rank);
    if (gamma != RML_NO_VALUE)
        out = rml_coreml_binary(&call->make, RML_BINARY_MUL, out, gamma);
    if (beta != RML_NO_VALUE)
        out = rml_coreml_binary(&call->make, RML_BINARY_ADD, out, beta);
    call->out[0] = out;
}

static void import_l2_norm(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    call->out[0] = rml_coreml_l2_norm(&call->make, x, rml_mil_float(call, "epsilon", 1e-6));
}

static void import_lrn(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    rml_mil_required(call, "size");
    const rml_op_attr attr = {.lrn = {.size = rml_mil_int(call, "size", 1),
                                      .alpha = (float)rml_mil_float(call, "alpha", 1e-4),
                                      .beta = (float)rml_mil_float(call, "beta", 0.75),
                                      .bias = (float)rml_mil_float(call, "k", 1)}};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_LRN, &attr, &x, 1);
}

const rml_mil_entry rml_mil_norms[] = {
    {"batch_norm", import_batch_norm, 0},   {"instance_norm", import_instance_norm, 0},
    {"layer_norm", import_layer_norm, 0},   {"l2_norm", import_l2_norm, 0},
    {"local_response_norm", import_lrn, 0}, {0},
};
