#include "graph/passes/passes.h"

#include "ops/op.h"

#include <math.h>
#include <string.h>

// Channels of a constant vector as doubles, in the graph's arena; NULL when memory is out.
static double *read_vector(rml_graph *graph, rml_value_id id, size_t count)
{
    const rml_constant *constant = graph->values[id].constant;
    double *wide = rml_arena_alloc(&graph->arena, count, sizeof *wide);
    float *narrow = rml_arena_alloc(&graph->arena, count, sizeof *narrow);
    if (!wide || !narrow)
        return NULL;
    rml_constant_read(constant, 0, 0, (int64_t)count, narrow);
    for (size_t i = 0; i < count; i++)
        wide[i] = (double)narrow[i];
    return wide;
}

static bool constant_vector(const rml_graph *graph, rml_value_id id)
{
    return id != RML_NO_VALUE && graph->values[id].kind == RML_VALUE_CONSTANT;
}

// conv(x, w) + b, then (y - mean) * s + beta with s = gamma / sqrt(var + eps), is
// conv(x, w * s) + (b - mean) * s + beta. The weight stays where it is stored; only its factors are
// kept, and applied when it is packed.
static rml_status fold(rml_graph *graph, rml_node *conv, rml_node *norm, rml_error *err)
{
    const rml_value *weight = &graph->values[conv->in[1]];
    const size_t channels = (size_t)graph->values[conv->out].shape.dim[1];
    double *vector[4], *bias = NULL;
    bool memory = true;
    for (int i = 0; i < 4; i++) {
        vector[i] = read_vector(graph, norm->in[1 + i], channels);
        memory = memory && vector[i];
    }
    const bool has_bias = conv->in_count > 2 && conv->in[2] != RML_NO_VALUE;
    if (has_bias) {
        bias = read_vector(graph, conv->in[2], channels);
        memory = memory && bias;
    }
    double *scale = rml_arena_alloc(&graph->arena, channels, sizeof *scale);
    float *shift = rml_arena_alloc(&graph->arena, channels, sizeof *shift);
    if (!memory || !scale || !shift)
        return rml_fail_nomem(err, channels * sizeof *scale, "folding batch norm");
    const double *gamma = vector[0], *beta = vector[1], *mean = vector[2], *variance = vector[3];
    for (size_t c = 0; c < channels; c++) {
        scale[c] = gamma[c] / sqrt(variance[c] + (double)norm->attr.batch_norm.eps);
        shift[c] = (float)(((bias ? bias[c] : 0.0) - mean[c]) * scale[c] + beta[c]);
        if (weight->constant->scale)
            scale[c] *= weight->constant->scale[c];
    }
    rml_constant scaled = *weight->constant;
    scaled.scale = scale;
    scaled.scale_axis = conv->op == RML_OP_CONV ? 0 : 1;
    const rml_shape vector_shape = {1, {(int64_t)channels}};
    const rml_constant shift_constant = {.stored = rml_stored_f32(shift, &vector_shape)};
    const rml_value_id new_weight = rml_graph_constant(graph, weight->name, &scaled);
    const rml_value_id new_bias = rml_graph_constant(graph, norm->name, &shift_constant);
    const rml_value_id in[3] = {conv->in[0], new_weight, new_bias};
    RML_TRY(rml_graph_finish(graph, err));
    if (!rml_graph_set_inputs(graph, conv, in, 3))
        return rml_fail_nomem(err, sizeof in, "folding batch norm");
    norm->dead = true;
    graph->values[conv->out].uses = graph->values[norm->out].uses;
    return RML_OK;
}

// to[]: for each value the one that has taken its place.
static rml_status fold_all(rml_graph *graph, rml_value_id *to, size_t *changed, rml_error *err)
{
    rml_graph_count_uses(graph);
    for (size_t i = 0; i < graph->node_count; i++) {
        rml_node *norm = &graph->nodes[i];
        if (norm->dead || norm->op != RML_OP_BATCH_NORM)
            continue;
        const rml_value_id in = norm->in[0];
        const rml_value *x = &graph->values[to[in] != RML_NO_VALUE ? to[in] : in];
        if (x->kind != RML_VALUE_ACTIVATION)
            continue;
        rml_node *conv = &graph->nodes[x->producer];
        if ((conv->op != RML_OP_CONV && conv->op != RML_OP_CONV_TRANSPOSE) ||
            (conv->op == RML_OP_CONV_TRANSPOSE && conv->attr.conv.groups != 1) ||
            conv->in_count > 3 || !rml_activation_is_none(&conv->attr.conv.act) ||
            graph->values[conv->out].uses != 1 || !constant_vector(graph, conv->in[1]) ||
            graph->values[conv->out].shape.rank < 0) // inference has not seen that sizes fit
            continue;
        bool constant = conv->in_count < 3 || conv->in[2] == RML_NO_VALUE ||
                        constant_vector(graph, conv->in[2]);
        for (int k = 1; k < 5; k++)
            constant = constant && constant_vector(graph, norm->in[k]);
        if (!constant)
            continue;
        RML_TRY(fold(graph, conv, norm, err));
        to[norm->out] = conv->out;
        ++*changed;
    }
    return RML_OK;
}

rml_status rml_pass_fold_bn(rml_graph *graph, size_t *changed, rml_error *err)
{
    const rml_allocator *allocator = graph->arena.allocator;
    const size_t count = graph->value_count, bytes = (count + 1) * sizeof(rml_value_id);
    rml_value_id *to = rml_alloc(allocator, bytes);
    if (!to)
        return rml_fail_nomem(err, bytes, "folding batch norm");
    memset(to, 0xFF, bytes); // RML_NO_VALUE
    const rml_status status = fold_all(graph, to, changed, err);
    rml_graph_replace(graph, to, count);
    rml_free(allocator, to);
    return status;
}
