// Graphs inside nodes.
#include "loaders/coreml/make.h"

#include <stdio.h>

// Conditions become two graphs, and bodies one for each turn that tells less of sizes: nested 16
// deep, a file of 1 KB would have millions.
enum { MOST_BODIES = 4096 };

bool rml_coreml_begin_body(rml_coreml_maker *make, size_t *begun, rml_graph_body *out)
{
    *out = (rml_graph_body){.graph = NULL};
    if (++*begun > MOST_BODIES) {
        rml_graph_fail(make->graph, RML_ERR_LIMIT,
                       "branches and loops become more than %d graphs inside nodes", MOST_BODIES);
        return false;
    }
    out->graph = rml_graph_inside(make->graph);
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

rml_fact rml_coreml_given(const rml_graph_body *body, size_t index)
{
    const rml_value *value = &body->graph->values[body->graph->outputs[index]];
    return (rml_fact){.dtype = value->dtype, .shape = value->shape};
}

rml_value_id rml_coreml_if(rml_coreml_maker *make, rml_value_id test,
                           const rml_graph_body bodies[2], size_t outputs)
{
    rml_fact *facts = rml_coreml_alloc(make, outputs + 1, sizeof *facts);
    for (size_t k = 0; k < outputs && facts; k++) {
        const rml_fact a = rml_coreml_given(&bodies[0], k), b = rml_coreml_given(&bodies[1], k);
        if (a.dtype != b.dtype)
            rml_coreml_refuse(make, "output %zu is %s on one way and %s on the other", k,
                              rml_dtype_name(a.dtype), rml_dtype_name(b.dtype));
        facts[k] =
            (rml_fact){.dtype = a.dtype, .shape = rml_graph_common_shape(&a.shape, &b.shape)};
    }
    const rml_control_attr attr = {.body = {bodies[0].graph, bodies[1].graph},
                                   .out_count = (int)outputs};
    if (!facts || make->refused)
        return RML_NO_VALUE;
    return rml_graph_control(make->graph, RML_OP_IF, &attr, facts, &test, 1, bodies, 2, make->name);
}

rml_value_id rml_coreml_loop(rml_coreml_maker *make, const rml_value_id *in,
                             const rml_graph_body *body, const rml_fact *facts, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        const rml_dtype after = rml_coreml_given(body, k + 1).dtype;
        if (after != facts[k].dtype)
            rml_coreml_refuse(make, "value %zu is %s before a turn and %s behind it", k,
                              rml_dtype_name(facts[k].dtype), rml_dtype_name(after));
    }
    const rml_control_attr attr = {
        .body = {body->graph}, .out_count = (int)count, .states = (int)count};
    if (make->refused)
        return RML_NO_VALUE;
    return rml_graph_control(make->graph, RML_OP_LOOP, &attr, facts, in, count + 2, body, 1,
                             make->name);
}
