#include "graph/graph.h"

rml_status rml_evaluate(const rml_graph *graph, const rml_node *node, const rml_tensor *in,
                        const rml_tensor *out, rml_error *err)
{
    const rml_op *op = node->def;
    const rml_allocator *allocator = graph->arena.allocator;
    rml_kernels kernels;
    rml_pool *pool = NULL;
    if (rml_op_writes_nothing(&(rml_op_args){.out = out}, node->out_count))
        return RML_OK;
    const rml_constant **constants =
        rml_alloc(allocator, (size_t)(node->in_count + 1) * sizeof *constants);
    if (!constants)
        return rml_fail_nomem(err, sizeof *constants, "evaluating a node");
    rml_graph_constants(graph, node, constants);
    rml_kernels_init(&kernels, 0);
    rml_status status = rml_pool_create(&pool, 1, allocator, err);
    if (status != RML_OK) {
        rml_free(allocator, constants);
        return status;
    }
    rml_op_args args = {.attr = &node->attr,
                        .in = in,
                        .in_count = node->in_count,
                        .out = out,
                        .kernels = &kernels,
                        .generic = node->generic,
                        .threads = 1,
                        .constants = constants,
                        .pool = pool};
    const rml_algorithm *algorithm = rml_op_choose(op, &args);
    size_t packed_bytes = 0, scratch_bytes = 0;
    status = rml_op_memory(algorithm, &args, node->name, &packed_bytes, &scratch_bytes, err);
    void *packed = rml_alloc(allocator, packed_bytes);
    args.scratch = rml_alloc(allocator, scratch_bytes);
    args.packed = packed;
    if ((packed_bytes && !packed) || (scratch_bytes && !args.scratch))
        status = rml_fail_nomem(err, packed_bytes + scratch_bytes, "evaluating a node");
    if (status == RML_OK && packed)
        status = algorithm->pack(&args, constants[op->packed_input], packed, allocator, err);
    if (status == RML_OK)
        algorithm->run(&args);
    rml_free(allocator, packed);
    rml_free(allocator, args.scratch);
    rml_free(allocator, constants);
    rml_pool_destroy(&pool);
    return status;
}

bool rml_node_computable(const rml_node *node, const rml_fact *in, const rml_fact *out)
{
    const rml_op *op = node->def;
    const rml_op_layout layout = rml_node_layout(node);
    if (layout == RML_OP_CHANNELS_LAST || layout == RML_OP_ANY || op->control)
        return false;
    for (int i = 0; i < node->in_count; i++)
        if (in[i].shape.rank != -1 &&
            (op->from_shapes ? !rml_shape_known(&in[i].shape) : !in[i].data))
            return false;
    for (int i = 0; i < node->out_count; i++) {
        size_t count;
        if (!rml_shape_known(&out[i].shape) || !rml_shape_count(&out[i].shape, &count) ||
            count > RML_KNOWN_ELEMENTS)
            return false;
    }
    return true;
}

rml_status rml_node_compute(const rml_graph *graph, const rml_node *node, const rml_fact *in,
                            rml_fact *out, rml_arena *arena, rml_error *err)
{
    rml_tensor *views = rml_alloc(graph->arena.allocator,
                                  (size_t)(node->in_count + node->out_count) * sizeof *views);
    if (!views)
        return rml_fail_nomem(err, sizeof *views, "shape inference");
    rml_status status = RML_OK;
    for (int i = 0; i < node->in_count; i++) {
        views[i] = (rml_tensor){.rank = -1};
        if (in[i].shape.rank != -1) // operators only read inputs
            views[i] = rml_tensor_typed((void *)(uintptr_t)in[i].data, in[i].dtype, &in[i].shape);
    }
    for (int i = 0; i < node->out_count; i++) {
        size_t count = 0;
        rml_shape_count(&out[i].shape, &count);
        void *data = rml_arena_alloc(arena, count ? count : 1, rml_dtype_size(out[i].dtype));
        if (!data)
            status = rml_fail_nomem(err, count, "shape inference");
        views[node->in_count + i] = rml_tensor_typed(data, out[i].dtype, &out[i].shape);
        out[i].data = data;
    }
    if (status == RML_OK)
        status = rml_evaluate(graph, node, views, views + node->in_count, err);
    rml_free(graph->arena.allocator, views);
    return status;
}
