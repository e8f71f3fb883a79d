#include "graph/passes/passes.h"

// What grows on the way (a scalar repeated to an image) is left to the run beyond this.
#define LARGE_BYTES ((size_t)64 << 20)

// Images are only computed where convolutions are; what takes a plain one as well is no reason.
static bool is_plain(const rml_graph *graph, const rml_node *node)
{
    const rml_op_layout layout = rml_node_layout(node);
    return layout == RML_OP_CHANNELS_LAST
               ? !node->def->packed_input && rml_graph_plain_as_well(graph, node)
               : layout != RML_OP_ANY;
}

static bool foldable(const rml_graph *graph, const rml_node *node)
{
    const rml_op *op = node->def;
    size_t in_bytes = 0;
    if (node->dead || op->control || !is_plain(graph, node))
        return false;
    for (int k = 0; k < node->in_count; k++) {
        const rml_value *in = node->in[k] == RML_NO_VALUE ? NULL : &graph->values[node->in[k]];
        size_t count = 0;
        if (in && in->kind != RML_VALUE_CONSTANT &&
            !(op->from_shapes && rml_shape_known(&in->shape)))
            return false;
        if (in && rml_shape_count(&in->shape, &count))
            in_bytes += count * rml_dtype_size(in->dtype);
    }
    for (int k = 0; k < node->out_count; k++) {
        const rml_value *out = &graph->values[node->out + (rml_value_id)k];
        size_t count;
        if (rml_graph_is_output(graph, node->out + (rml_value_id)k) ||
            !rml_shape_known(&out->shape) || !rml_shape_count(&out->shape, &count) ||
            (count > LARGE_BYTES / rml_dtype_size(out->dtype) &&
             count > 2 * in_bytes / rml_dtype_size(out->dtype)))
            return false;
    }
    return true;
}

static void become_constant(rml_graph *graph, rml_value_id id, const rml_constant *constant)
{
    graph->values[id].kind = RML_VALUE_CONSTANT;
    graph->values[id].constant = constant;
    graph->values[id].producer = RML_NO_NODE;
}

// A transposed weight is the weight as it is stored, read in another order.
static rml_status turn(rml_graph *graph, const rml_node *node, rml_error *err)
{
    const rml_transpose_attr *attr = &node->attr.transpose;
    const rml_constant *from = graph->values[node->in[0]].constant;
    rml_constant *constant = rml_arena_alloc(&graph->arena, 1, sizeof *constant);
    if (!constant)
        return rml_fail_nomem(err, sizeof *constant, "folding constants");
    *constant = *from;
    for (int i = 0; i < from->stored.shape.rank; i++) {
        const int axis = rml_transpose_axis(attr, from->stored.shape.rank, i);
        constant->stored.shape.dim[i] = from->stored.shape.dim[axis];
        constant->stored.stride[i] = from->stored.stride[axis];
        if (from->scale && axis == from->scale_axis)
            constant->scale_axis = i;
    }
    become_constant(graph, node->out, constant);
    return RML_OK;
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

// The elements of a small constant as they lie, of another a copy that is freed with `copies`.
static rml_status view_constant(const rml_graph *graph, rml_value_id id, rml_arena *copies,
                                rml_tensor *view, rml_error *err)
{
    const rml_value *value = &graph->values[id];
    const rml_fact fact = rml_graph_fact(graph, id);
    size_t count = 0;
    *view = rml_tensor_typed((void *)(uintptr_t)fact.data, value->dtype, &value->shape);
    if (fact.data || value->kind != RML_VALUE_CONSTANT)
        return RML_OK;
    if (!rml_shape_count(&value->shape, &count))
        return rml_fail(err, RML_ERR_LIMIT, "constant %s is too large", value->name);
    view->raw = rml_arena_alloc(copies, count ? count : 1, rml_dtype_size(value->dtype));
    if (!view->raw)
        return rml_fail_nomem(err, count * rml_dtype_size(value->dtype), "folding constants");
    rml_constant_copy(value->constant, value->dtype, view->raw);
    return RML_OK;
}

// Refuses indices out of range, as a run does: those of many elements, or of odd strides, were not
// known when the node was made.
static rml_status check_elements(const rml_graph *graph, const rml_node *node, const rml_tensor *in,
                                 rml_arena *copies, rml_error *err)
{
    const size_t count = (size_t)(node->in_count + node->out_count);
    rml_fact *facts = rml_arena_alloc(copies, count, sizeof *facts);
    if (!facts)
        return rml_fail_nomem(err, sizeof *facts, "folding constants");
    for (int k = 0; k < node->in_count; k++)
        facts[k] =
            (rml_fact){.dtype = in[k].dtype, .shape = rml_tensor_shape(&in[k]), .data = in[k].raw};
    return rml_graph_infer_node(graph, node, facts, facts + node->in_count, err);
}

static rml_status evaluate(rml_graph *graph, const rml_node *node, rml_arena *copies,
                           rml_error *err)
{
    const size_t count = (size_t)(node->in_count + node->out_count);
    rml_tensor *in = rml_arena_alloc(copies, count, sizeof *in), *out = in + node->in_count;
    rml_constant *constants =
        rml_arena_alloc(&graph->arena, (size_t)node->out_count, sizeof *constants);
    if (!in || !constants)
        return rml_fail_nomem(err, sizeof *in, "folding constants");
    for (int k = 0; k < node->in_count; k++) {
        in[k] = (rml_tensor){.rank = -1};
        if (node->in[k] != RML_NO_VALUE)
            RML_TRY(view_constant(graph, node->in[k], copies, &in[k], err));
    }
    if (node->def->checks_elements)
        RML_TRY(check_elements(graph, node, in, copies, err));
    for (int k = 0; k < node->out_count; k++)
        RML_TRY(take(graph, &graph->values[node->out + (rml_value_id)k], &out[k], err));
    RML_TRY(rml_evaluate(graph, node, in, out, err));
    for (int k = 0; k < node->out_count; k++) {
        const rml_value_id id = node->out + (rml_value_id)k;
        const rml_value *value = &graph->values[id];
        constants[k].stored = rml_stored_plain(out[k].raw, value->dtype, &value->shape);
        become_constant(graph, id, &constants[k]);
    }
    return RML_OK;
}

static rml_status fold(rml_graph *graph, rml_node *node, rml_error *err)
{
    node->generic = node->generic || rml_node_layout(node) == RML_OP_CHANNELS_LAST;
    rml_arena copies;
    rml_arena_init(&copies, graph->arena.allocator);
    const rml_status status =
        node->op == RML_OP_TRANSPOSE ? turn(graph, node, err) : evaluate(graph, node, &copies, err);
    rml_arena_release(&copies);
    node->dead = status == RML_OK;
    return status;
}

rml_status rml_graph_fold_from(rml_graph *graph, size_t first, size_t *count, rml_error *err)
{
    for (size_t i = first; i < graph->node_count; i++) {
        if (!foldable(graph, &graph->nodes[i]))
            continue;
        RML_TRY(fold(graph, &graph->nodes[i], err));
        if (count)
            ++*count;
    }
    return RML_OK;
}

rml_status rml_pass_fold_const(rml_graph *graph, size_t *changed, rml_error *err)
{
    return rml_graph_fold_from(graph, 0, changed, err);
}
