// Types and shapes of values, and the elements of those that no run is needed for: shapes of
// shapes, sizes computed from them, small constants.
#include "graph/graph.h"
#include "tensor/format.h"

#include <stdint.h>

rml_fact rml_graph_fact(const rml_graph *graph, rml_value_id id)
{
    const rml_value *value = &graph->values[id];
    rml_fact fact = {.dtype = value->dtype,
                     .shape = value->shape,
                     .constant = value->kind == RML_VALUE_CONSTANT};
    size_t count;
    if (value->kind != RML_VALUE_CONSTANT || !rml_shape_count(&value->shape, &count) ||
        count > RML_KNOWN_ELEMENTS)
        return fact;
    const rml_stored *stored = &value->constant->stored;
    rml_tensor view = rml_tensor_make(NULL, &stored->shape, RML_LAYOUT_PLAIN);
    for (int i = 0; i < stored->shape.rank; i++)
        view.stride[i] = stored->stride[i];
    if (stored->dtype == value->dtype && rml_coding_is_none(&stored->coding) &&
        !value->constant->scale && rml_tensor_is_plain(&view) &&
        (uintptr_t)stored->data % rml_dtype_size(stored->dtype) == 0)
        fact.data = stored->data;
    return fact;
}

void rml_graph_constants(const rml_graph *graph, const rml_node *node, const rml_constant **out)
{
    for (int k = 0; k < node->in_count; k++) {
        const rml_value_id id = node->in[k];
        const bool is_constant = id != RML_NO_VALUE && graph->values[id].kind == RML_VALUE_CONSTANT;
        out[k] = is_constant ? graph->values[id].constant : NULL;
    }
}

// By the rule that looks at shapes alone, once there are any.
static rml_status infer_shapes(const rml_graph *graph, const rml_op *op, rml_op_node *node,
                               int out_count, rml_shape *out, rml_error *err)
{
    enum { FEW = 8 };
    const size_t count = (size_t)node->in_count;
    rml_shape few[FEW], *shapes = few;
    for (size_t i = 0; i < count; i++)
        if (node->in[i].shape.rank == RML_RANK_UNKNOWN) {
            for (int k = 0; k < out_count; k++)
                out[k] = (rml_shape){.rank = RML_RANK_UNKNOWN};
            return RML_OK;
        }
    if (count > FEW && !(shapes = rml_alloc(graph->arena.allocator, count * sizeof *shapes)))
        return rml_fail_nomem(err, count * sizeof *shapes, "shape inference");
    for (size_t i = 0; i < count; i++)
        shapes[i] = node->in[i].shape;
    node->shape = shapes;
    const rml_status status = op->infer(node, out, err);
    if (shapes != few)
        rml_free(graph->arena.allocator, shapes);
    return status;
}

rml_status rml_graph_infer_node(const rml_graph *graph, const rml_node *node, const rml_fact *in,
                                rml_fact *out, rml_error *err)
{
    const rml_op *op = node->def;
    rml_op_node asked = {.attr = &node->attr, .in = in, .in_count = node->in_count};
    enum { FEW = 4 }; // callers that only ask what a node would give take a failure for a no
    const size_t count = (size_t)node->out_count;
    rml_dtype types[RML_MAX_OUTPUTS];
    rml_shape few[FEW], *shapes = few;
    if (count > FEW && !(shapes = rml_alloc(graph->arena.allocator, count * sizeof *shapes)))
        return rml_fail_nomem(err, count * sizeof *shapes, "shape inference");
    rml_status status = rml_op_types(op, &asked, types, err);
    if (status == RML_OK)
        status = op->infer ? infer_shapes(graph, op, &asked, node->out_count, shapes, err)
                           : op->infer_values(&asked, shapes, err);
    if (status != RML_OK) {
        char context[256];
        rml_format(context, sizeof context, "%s (%s)", node->name, op->name);
        rml_error_prefix(err, context);
    }
    for (size_t i = 0; i < count && status == RML_OK; i++)
        out[i] = (rml_fact){.dtype = types[i], .shape = shapes[i]};
    if (shapes != few)
        rml_free(graph->arena.allocator, shapes);
    return status;
}

rml_status rml_graph_infer_here(const rml_graph *graph, const rml_node *node, rml_fact *out,
                                rml_error *err)
{
    enum { FEW = 8 };
    const size_t count = (size_t)node->in_count;
    rml_fact few[FEW] = {0}, *in = few;
    if (count > FEW && !(in = rml_alloc(graph->arena.allocator, count * sizeof *in)))
        return rml_fail_nomem(err, count * sizeof *in, "shape inference");
    for (size_t i = 0; i < count; i++)
        in[i] = node->in[i] == RML_NO_VALUE ? (rml_fact){.shape.rank = -1}
                                            : rml_graph_fact(graph, node->in[i]);
    const rml_status status = rml_graph_infer_node(graph, node, in, out, err);
    if (in != few)
        rml_free(graph->arena.allocator, in);
    return status;
}

static rml_status infer_one(const rml_graph *graph, const rml_node *node, rml_fact *facts,
                            rml_arena *arena, rml_error *err)
{
    const size_t count = (size_t)(node->in_count + node->out_count);
    rml_fact *in = rml_alloc(graph->arena.allocator, count * sizeof *in);
    rml_fact *out = in + node->in_count;
    if (!in)
        return rml_fail_nomem(err, count * sizeof *in, "shape inference");
    for (int i = 0; i < node->in_count; i++)
        in[i] = node->in[i] == RML_NO_VALUE ? (rml_fact){.shape.rank = -1} : facts[node->in[i]];
    rml_status status = rml_graph_infer_node(graph, node, in, out, err);
    if (status == RML_OK && rml_node_computable(node, in, out))
        status = rml_node_compute(graph, node, in, out, arena, err);
    for (int i = 0; i < node->out_count && status == RML_OK; i++) {
        size_t elements;
        facts[node->out + (rml_value_id)i] = out[i];
        if (rml_shape_known(&out[i].shape) && !rml_shape_count(&out[i].shape, &elements)) {
            char text[RML_SHAPE_TEXT_BYTES];
            status = rml_fail(err, RML_ERR_LIMIT, "%s: output %s is too large", node->name,
                              rml_shape_text(&out[i].shape, text));
        }
    }
    rml_free(graph->arena.allocator, in);
    return status;
}

rml_status rml_graph_infer(const rml_graph *graph, rml_fact *facts, rml_arena *arena,
                           rml_error *err)
{
    for (size_t i = 0; i < graph->value_count; i++)
        if (graph->values[i].kind == RML_VALUE_CONSTANT)
            facts[i] = rml_graph_fact(graph, (rml_value_id)i);
    for (size_t i = 0; i < graph->node_count; i++)
        if (!graph->nodes[i].dead)
            RML_TRY(infer_one(graph, &graph->nodes[i], facts, arena, err));
    return RML_OK;
}
