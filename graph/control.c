// Nodes by number, and those that run graphs: what importers and writers build besides.
#include "graph/graph.h"

#include <string.h>

rml_value_id rml_graph_node(rml_graph *graph, rml_op_id op, const rml_op_attr *attr,
                            const rml_value_id *in, int in_count, const char *name)
{
    return rml_graph_add(graph, rml_op_get(op), attr, in, in_count, name);
}

rml_shape rml_graph_common_shape(const rml_shape *a, const rml_shape *b)
{
    rml_shape shape = *a;
    if (a->rank != b->rank)
        return (rml_shape){.rank = RML_RANK_UNKNOWN};
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            shape.dim[i] = -1;
    return shape;
}

rml_value_id rml_graph_control(rml_graph *graph, rml_op_id op, const rml_control_attr *attr,
                               const rml_fact *outputs, const rml_value_id *in, size_t in_count,
                               const rml_graph_body *bodies, size_t body_count, const char *name)
{
    size_t count = in_count;
    for (size_t i = 0; i < body_count; i++)
        count += bodies[i].capture_count;
    const size_t out_count = (size_t)attr->out_count;
    rml_value_id *all = rml_arena_alloc(&graph->arena, count + 1, sizeof *all);
    rml_dtype *types = rml_arena_alloc(&graph->arena, out_count + 1, sizeof *types);
    rml_shape *shapes = rml_arena_alloc(&graph->arena, out_count + 1, sizeof *shapes);
    if (!all || !types || !shapes)
        return rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory for a node that runs graphs");
    for (size_t k = 0; k < out_count; k++) {
        types[k] = outputs[k].dtype;
        shapes[k] = outputs[k].shape;
    }
    memcpy(all, in, in_count * sizeof *all);
    count = in_count;
    for (size_t i = 0; i < body_count; i++) {
        if (bodies[i].capture_count)
            memcpy(all + count, bodies[i].captures, bodies[i].capture_count * sizeof *all);
        count += bodies[i].capture_count;
    }
    rml_op_attr wrapped = {.control = *attr};
    wrapped.control.out_types = types;
    wrapped.control.out_shapes = shapes;
    return rml_graph_node(graph, op, &wrapped, all, (int)count, name);
}
