#include "graph/evaluate.h"
#include "graph/passes.h"

static bool foldable(const rml_graph *graph, const rml_node *node)
{
    const rml_op *op = rml_op_get(node->op);
    if (node->dead || op->control || op->layout == RML_OP_CHANNELS_LAST || op->layout == RML_OP_ANY)
        return false;
    for (int k = 0; k < node->in_count; k++)
        if (node->in[k] != RML_NO_VALUE && graph->values[node->in[k]].kind != RML_VALUE_CONSTANT)
            return false;
    for (int k = 0; k < node->out_count; k++) {
        const rml_value_id out = node->out + (rml_value_id)k;
        if (rml_graph_is_output(graph, out) || !rml_shape_known(&graph->values[out].shape))
            return false;
    }
    return true;
}

// Memory for a value in the graph's arena.
static rml_status take(rml_graph *graph, const rml_value *value, rml_tensor *view, rml_error *err)
{
    size_t count = 0;
    if (!rml_shape_count(&value->shape, &count))
        return rml_fail(err, RML_ERR_LIMIT, "constant %s is too large", value->name);
    void *data = rml_arena_alloc(&graph->arena, count ? count : 1, rml_dtype_size(value->dtype));
    if (!data)
        return rml_fail_nomem(err, count * rml_dtype_size(value->dtype), "folding constants");
    *view = rml_tensor_typed(data, value->dtype, &value->shape);
    return RML_OK;
}

static rml_status evaluate(rml_graph *graph, rml_node *node, rml_error *err)
{
    rml_tensor out[RML_MAX_OUTPUTS],
        *in = rml_arena_alloc(&graph->arena, (size_t)node->in_count + 1, sizeof *in);
    if (!in)
        return rml_fail_nomem(err, sizeof *in, "folding constants");
    for (int k = 0; k < node->in_count; k++) {
        in[k] = (rml_tensor){.rank = -1};
        if (node->in[k] == RML_NO_VALUE)
            continue;
        const rml_value *constant = &graph->values[node->in[k]];
        RML_TRY(take(graph, constant, &in[k], err));
        rml_constant_copy(constant->constant, constant->dtype, in[k].raw);
    }
    for (int k = 0; k < node->out_count; k++)
        RML_TRY(take(graph, &graph->values[node->out + (rml_value_id)k], &out[k], err));
    RML_TRY(rml_evaluate(graph, node, in, out, err));
    node->dead = true;
    for (int k = 0; k < node->out_count; k++) {
        const rml_value_id from = node->out + (rml_value_id)k;
        const rml_value value = graph->values[from];
        const rml_stored stored = rml_stored_plain(out[k].raw, value.dtype, &value.shape);
        const rml_value_id id = rml_graph_typed_constant(graph, value.name, &stored);
        RML_TRY(rml_graph_finish(graph, err));
        rml_graph_replace(graph, from, id);
    }
    return RML_OK;
}

rml_status rml_pass_fold_const(rml_graph *graph, size_t *changed, rml_error *err)
{
    for (size_t i = 0; i < graph->node_count; i++)
        if (foldable(graph, &graph->nodes[i])) {
            RML_TRY(evaluate(graph, &graph->nodes[i], err));
            ++*changed;
        }
    return RML_OK;
}
