// Invariants that every pass must leave true.
#include "graph/graph.h"

static rml_status check_layout(const rml_graph *graph, const rml_node *node, rml_error *err)
{
    const rml_op_layout takes = rml_node_layout(node);
    const rml_layout out = graph->values[node->out].layout;
    for (int i = 0; i < node->in_count; i++) {
        if (node->in[i] == RML_NO_VALUE)
            continue;
        const rml_value *in = &graph->values[node->in[i]];
        if (in->shape.rank != 4 || in->kind == RML_VALUE_CONSTANT || in->dtype != RML_F32)
            continue;
        if ((takes == RML_OP_PLAIN && in->layout != RML_LAYOUT_PLAIN) ||
            (takes == RML_OP_FOLLOW && graph->values[node->out].shape.rank == 4 &&
             in->layout != out))
            return rml_fail(err, RML_ERR_INTERNAL, "%s (%s): input %s has the wrong layout",
                            node->name, node->def->name, in->name);
    }
    return RML_OK;
}

// A rank or dimension that one side does not know agrees with any.
static rml_status check_facts(const rml_graph *graph, const rml_node *node, const rml_fact *wants,
                              rml_error *err)
{
    char have_text[RML_SHAPE_TEXT_BYTES], want_text[RML_SHAPE_TEXT_BYTES];
    for (int k = 0; k < node->out_count; k++) {
        const rml_value *value = &graph->values[node->out + (rml_value_id)k];
        const rml_shape *have = &value->shape, *want = &wants[k].shape;
        const bool open = have->rank == RML_RANK_UNKNOWN || want->rank == RML_RANK_UNKNOWN;
        bool agrees = open || have->rank == want->rank;
        for (int i = 0; i < want->rank && agrees && !open; i++)
            agrees = have->dim[i] == want->dim[i] || have->dim[i] < 0 || want->dim[i] < 0;
        if (!agrees || value->dtype != wants[k].dtype)
            return rml_fail(err, RML_ERR_INTERNAL,
                            "%s (%s): its output is %s %s, the rule gives %s %s", node->name,
                            node->def->name, rml_dtype_name(value->dtype),
                            rml_shape_text(have, have_text), rml_dtype_name(wants[k].dtype),
                            rml_shape_text(want, want_text));
    }
    return RML_OK;
}

static rml_status check_shapes(const rml_graph *graph, const rml_node *node, rml_error *err)
{
    rml_fact *wants;
    RML_TRY(rml_make(graph->arena.allocator, &wants, (size_t)node->out_count, sizeof *wants,
                     "checking a graph", err));
    rml_status status = rml_graph_infer_here(graph, node, wants, err);
    if (status == RML_OK)
        status = check_facts(graph, node, wants, err);
    rml_free(graph->arena.allocator, wants);
    return status;
}

static rml_status check_outputs(const rml_graph *graph, rml_node_id index, rml_error *err)
{
    const rml_node *node = &graph->nodes[index];
    const rml_op *op = node->def;
    if (node->out_count != rml_op_outputs(op, &node->attr))
        return rml_fail(err, RML_ERR_INTERNAL, "%s (%s): %d outputs", node->name, op->name,
                        node->out_count);
    for (int k = 0; k < node->out_count; k++) {
        const size_t out = (size_t)node->out + (size_t)k;
        if (out >= graph->value_count || graph->values[out].producer != index)
            return rml_fail(err, RML_ERR_INTERNAL, "%s (%s): its output names another producer",
                            node->name, op->name);
    }
    return check_shapes(graph, node, err);
}

rml_status rml_graph_validate(const rml_graph *graph, rml_error *err)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_node *node = &graph->nodes[i];
        const rml_op *op = node->def;
        if (node->dead)
            continue;
        if (node->in_count < op->inputs[0] ||
            (op->inputs[1] >= 0 && node->in_count > op->inputs[1]))
            return rml_fail(err, RML_ERR_INTERNAL, "%s (%s): %d inputs", node->name, op->name,
                            node->in_count);
        for (int k = 0; k < node->in_count; k++) {
            const rml_value_id in = node->in[k];
            if (in == RML_NO_VALUE && k >= op->inputs[0])
                continue;
            if (in >= graph->value_count)
                return rml_fail(err, RML_ERR_INTERNAL, "%s (%s): input %d has no value", node->name,
                                op->name, k);
            const rml_value *value = &graph->values[in];
            if (value->kind == RML_VALUE_ACTIVATION &&
                (value->producer >= i || graph->nodes[value->producer].dead))
                return rml_fail(err, RML_ERR_INTERNAL, "%s (%s): input %s is not computed before",
                                node->name, op->name, value->name);
        }
        RML_TRY(check_outputs(graph, (rml_node_id)i, err));
        RML_TRY(check_layout(graph, node, err));
    }
    for (size_t i = 0; i < graph->output_count; i++) {
        const rml_value *value = &graph->values[graph->outputs[i]];
        if (value->kind != RML_VALUE_ACTIVATION || graph->nodes[value->producer].dead)
            return rml_fail(err, RML_ERR_INTERNAL, "output %s is not computed",
                            graph->output_names[i]);
        if (value->layout != RML_LAYOUT_PLAIN)
            return rml_fail(err, RML_ERR_INTERNAL, "output %s is not plain",
                            graph->output_names[i]);
    }
    return RML_OK;
}
