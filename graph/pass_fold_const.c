#include "graph/passes.h"

#include "kernels/kernels.h"
#include "tensor/size.h"

// Runs one node on the portable kernels, with memory of its own.
typedef struct evaluation {
    rml_graph *graph;
    rml_kernels kernels;
    rml_pool *pool;
} evaluation;

static bool foldable(const rml_graph *graph, const rml_node *node)
{
    const rml_op *op = rml_op_get(node->op);
    if (node->dead || op->layout == RML_OP_CHANNELS_LAST || op->layout == RML_OP_ANY ||
        node->in_count > 8)
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

static float *arena_floats(rml_graph *graph, size_t count)
{
    return rml_arena_alloc(&graph->arena, count ? count : 1, sizeof(float));
}

static rml_status evaluate(evaluation *eval, rml_node *node, rml_error *err)
{
    rml_graph *graph = eval->graph;
    const rml_op *op = rml_op_get(node->op);
    const rml_allocator *allocator = graph->arena.allocator;
    rml_tensor in[8];
    for (int k = 0; k < node->in_count; k++) {
        in[k] = (rml_tensor){.rank = -1};
        if (node->in[k] == RML_NO_VALUE)
            continue;
        const rml_value *value = &graph->values[node->in[k]];
        size_t count = 0;
        if (!rml_shape_count(&value->shape, &count))
            return rml_fail(err, RML_ERR_LIMIT, "%s: constant %s is too large", node->name,
                            value->name);
        float *data = arena_floats(graph, count);
        if (!data)
            return rml_fail_nomem(err, count * sizeof(float), "folding constants");
        if (count)
            rml_constant_read(value->constant, 0, 0, value->shape.rank ? value->shape.dim[0] : 1,
                              data);
        in[k] = rml_tensor_make(data, &value->shape, RML_LAYOUT_PLAIN);
    }
    rml_tensor out[RML_MAX_OUTPUTS];
    for (int k = 0; k < node->out_count; k++) {
        const rml_shape *shape = &graph->values[node->out + (rml_value_id)k].shape;
        size_t count = 0;
        if (!rml_shape_count(shape, &count))
            return rml_fail(err, RML_ERR_LIMIT, "%s: the result is too large", node->name);
        float *result = arena_floats(graph, count);
        if (!result)
            return rml_fail_nomem(err, count * sizeof(float), "folding constants");
        out[k] = rml_tensor_make(result, shape, RML_LAYOUT_PLAIN);
    }
    rml_op_args args = {.attr = &node->attr,
                        .in = in,
                        .in_count = node->in_count,
                        .out = out,
                        .kernels = &eval->kernels,
                        .threads = 1,
                        .pool = eval->pool};
    const rml_algorithm *algorithm = rml_op_choose(op, &args);
    const size_t packed_count = algorithm->packed_count ? algorithm->packed_count(&args) : 0;
    const size_t scratch_bytes = algorithm->scratch_bytes ? algorithm->scratch_bytes(&args) : 0;
    float *packed = packed_count ? rml_alloc(allocator, packed_count * sizeof *packed) : NULL;
    args.scratch = scratch_bytes ? rml_alloc(allocator, scratch_bytes) : NULL;
    args.packed = packed;
    rml_status status = RML_OK;
    if ((packed_count && !packed) || (scratch_bytes && !args.scratch))
        status = rml_fail_nomem(err, scratch_bytes, "folding constants");
    if (status == RML_OK && packed)
        status = algorithm->pack(&args, graph->values[node->in[op->packed_input]].constant, packed,
                                 allocator, err);
    if (status == RML_OK)
        algorithm->run(&args);
    rml_free(allocator, packed);
    rml_free(allocator, args.scratch);
    RML_TRY(status);
    node->dead = true;
    for (int k = 0; k < node->out_count; k++) {
        const rml_value_id from = node->out + (rml_value_id)k;
        const rml_shape shape = graph->values[from].shape;
        const rml_constant constant = {.stored = rml_stored_f32(out[k].data, &shape)};
        const rml_value_id id = rml_graph_constant(graph, graph->values[from].name, &constant);
        RML_TRY(rml_graph_finish(graph, err));
        rml_graph_replace(graph, from, id);
    }
    return RML_OK;
}

rml_status rml_pass_fold_const(rml_graph *graph, size_t *changed, rml_error *err)
{
    evaluation eval = {.graph = graph};
    rml_kernels_init(&eval.kernels, RML_CPU_PORTABLE);
    rml_status status = rml_pool_create(&eval.pool, 1, graph->arena.allocator, err);
    for (size_t i = 0; i < graph->node_count && status == RML_OK; i++)
        if (foldable(graph, &graph->nodes[i])) {
            status = evaluate(&eval, &graph->nodes[i], err);
            ++*changed;
        }
    rml_pool_destroy(&eval.pool);
    return status;
}
