// Graphs inside nodes.
#include "loaders/coreml/make.h"

#include <stdio.h>
#include <string.h>

bool rml_coreml_begin_body(rml_coreml_maker *make, rml_coreml_body *out)
{
    *out = (rml_coreml_body){.graph = rml_graph_inside(make->graph)};
    if (!out->graph)
        rml_graph_fail(make->graph, RML_ERR_NOMEM, "out of memory for a graph inside a node");
    return out->graph != NULL;
}

void rml_coreml_give(rml_graph *graph, size_t number, rml_value_id value)
{
    char name[32];
    snprintf(name, sizeof name, "output %zu", number);
    rml_graph_output(graph, name, rml_coreml_own(graph, value, name));
}

void rml_coreml_begin_turn(rml_graph *graph, const rml_fact *facts, size_t count,
                           rml_value_id *state)
{
    const rml_shape scalar = {0};
    rml_graph_typed_input(graph, "turn", RML_I64, &scalar);
    rml_graph_typed_input(graph, "condition", RML_BOOL, &scalar);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "state %zu", i);
        state[i] = rml_graph_typed_input(graph, name, facts[i].dtype, &facts[i].shape);
    }
}

rml_fact rml_coreml_given(const rml_coreml_body *body, size_t index)
{
    const rml_value *value = &body->graph->values[body->graph->outputs[index]];
    return (rml_fact){.dtype = value->dtype, .shape = value->shape};
}

// Types and shapes of the node's outputs, in its attributes; and the node: its own inputs, then
// what its bodies read from outside.
static rml_value_id add_node(rml_coreml_maker *make, rml_op_id op, rml_control_attr *attr,
                             const rml_fact *outputs, const rml_value_id *in, size_t in_count,
                             const rml_coreml_body *bodies, size_t body_count)
{
    size_t count = in_count;
    for (size_t i = 0; i < body_count; i++)
        count += bodies[i].capture_count;
    const size_t out_count = (size_t)attr->out_count;
    rml_value_id *all = rml_coreml_alloc(make, count + 1, sizeof *all);
    rml_dtype *types = rml_coreml_alloc(make, out_count + 1, sizeof *types);
    rml_shape *shapes = rml_coreml_alloc(make, out_count + 1, sizeof *shapes);
    if (!all || !types || !shapes)
        return RML_NO_VALUE;
    for (size_t k = 0; k < out_count; k++) {
        types[k] = outputs[k].dtype;
        shapes[k] = outputs[k].shape;
    }
    attr->out_types = types;
    attr->out_shapes = shapes;
    memcpy(all, in, in_count * sizeof *all);
    count = in_count;
    for (size_t i = 0; i < body_count; i++) {
        if (bodies[i].capture_count)
            memcpy(all + count, bodies[i].captures, bodies[i].capture_count * sizeof *all);
        count += bodies[i].capture_count;
    }
    return rml_coreml_node(make, op, &(rml_op_attr){.control = *attr}, all, (int)count);
}

// A dimension that both tell alike, or nobody.
static rml_shape common_shape(const rml_shape *a, const rml_shape *b)
{
    rml_shape shape = *a;
    if (a->rank != b->rank)
        return (rml_shape){.rank = RML_RANK_UNKNOWN};
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            shape.dim[i] = -1;
    return shape;
}

rml_value_id rml_coreml_if(rml_coreml_maker *make, rml_value_id test,
                           const rml_coreml_body bodies[2], size_t outputs)
{
    rml_fact *facts = rml_coreml_alloc(make, outputs + 1, sizeof *facts);
    for (size_t k = 0; k < outputs && facts; k++) {
        const rml_fact a = rml_coreml_given(&bodies[0], k), b = rml_coreml_given(&bodies[1], k);
        if (a.dtype != b.dtype)
            rml_coreml_refuse(make, "output %zu is %s on one way and %s on the other", k,
                              rml_dtype_name(a.dtype), rml_dtype_name(b.dtype));
        facts[k] = (rml_fact){.dtype = a.dtype, .shape = common_shape(&a.shape, &b.shape)};
    }
    rml_control_attr attr = {.body = {bodies[0].graph, bodies[1].graph}, .out_count = (int)outputs};
    return facts ? add_node(make, RML_OP_IF, &attr, facts, &test, 1, bodies, 2) : RML_NO_VALUE;
}

rml_value_id rml_coreml_loop(rml_coreml_maker *make, const rml_value_id *in,
                             const rml_coreml_body *body, const rml_fact *facts, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        const rml_dtype after = rml_coreml_given(body, k + 1).dtype;
        if (after != facts[k].dtype)
            rml_coreml_refuse(make, "value %zu is %s before a turn and %s behind it", k,
                              rml_dtype_name(facts[k].dtype), rml_dtype_name(after));
    }
    rml_control_attr attr = {.body = {body->graph}, .out_count = (int)count, .states = (int)count};
    return add_node(make, RML_OP_LOOP, &attr, facts, in, count + 2, body, 1);
}
