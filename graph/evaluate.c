#include "graph/evaluate.h"

rml_status rml_evaluate(const rml_graph *graph, const rml_node *node, const rml_tensor *in,
                        const rml_tensor *out, rml_error *err)
{
    const rml_op *op = rml_op_get(node->op);
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
