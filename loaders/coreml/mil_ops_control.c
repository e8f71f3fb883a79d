// Branches and loops: blocks become graphs inside a node.
#include "loaders/coreml/mil_importer.h"

#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

// A block as a graph of its own.
typedef struct body {
    rml_graph *graph;
    const rml_value_id *captures; // values of the graph around that its last inputs are
    size_t capture_count;
} body;

// Errors of a block are refusals of its operation, but for those that nothing can go on after.
static void keep_error(rml_mil_call *call, rml_status status, const rml_error *error)
{
    if (status == RML_OK)
        return;
    if (status == RML_ERR_NOMEM || status == RML_ERR_LIMIT || status == RML_ERR_INTERNAL)
        rml_graph_fail(call->graph, status, "%s", error->message);
    rml_mil_refuse(call, "%s", error->message);
}

// Gives the block's inputs their values, and imports its operations.
static rml_status fill(rml_mil_importer *importer, const rml_mil_block *block,
                       const rml_value_id *in, size_t count)
{
    if (block->input_count != count)
        return rml_fail(importer->err, RML_ERR_FORMAT, "a block has %zu inputs, and %zu are given",
                        block->input_count, count);
    for (size_t i = 0; i < count; i++) {
        const rml_mil_place place = {.graph = importer->scope->graph, .value = in[i]};
        RML_TRY(rml_mil_define(importer, block->input[i].name, &place));
    }
    return rml_mil_import_block(importer, block);
}

// The values of a block's outputs. *refused: one of them could not be computed.
static rml_status outputs_of(rml_mil_importer *importer, const rml_mil_block *block, size_t count,
                             rml_value_id *out, bool *refused)
{
    if (block->output_count != count)
        return rml_fail(importer->err, RML_ERR_FORMAT, "a block has %zu outputs, and not %zu",
                        block->output_count, count);
    for (size_t k = 0; k < count; k++) {
        rml_mil_place *place = rml_mil_find(importer, block->output[k].text);
        if (!place)
            return rml_fail(importer->err, RML_ERR_FORMAT,
                            "output \"%.64s\" of a block is computed nowhere",
                            block->output[k].text);
        *refused = *refused || (!place->constant && place->value == RML_MIL_REFUSED);
        if (!*refused)
            RML_TRY(rml_mil_materialise(importer, place, &out[k]));
    }
    return RML_OK;
}

// A block written out in the graph that operations go to now.
static bool in_place(rml_mil_call *call, const rml_mil_block *block, const rml_value_id *in,
                     size_t in_count, rml_value_id *out, size_t out_count)
{
    rml_mil_importer *importer = call->importer;
    rml_mil_scope scope;
    rml_error error = {0};
    rml_error *outer = importer->err;
    bool refused = false;
    importer->err = &error;
    rml_mil_enter(importer, &scope, call->graph);
    rml_status status = fill(importer, block, in, in_count);
    if (status == RML_OK)
        status = outputs_of(importer, block, out_count, out, &refused);
    rml_mil_leave(importer, NULL, NULL);
    importer->err = outer;
    keep_error(call, status, &error);
    if (refused)
        rml_mil_refuse(call, "a block inside cannot be run");
    return !call->refused && call->graph->error.status == RML_OK;
}

// What no node computes gets a copy, which a graph can give away.
static void give(rml_graph *graph, size_t number, rml_value_id value)
{
    char name[32];
    snprintf(name, sizeof name, "output %zu", number);
    if (value < graph->value_count && graph->values[value].kind != RML_VALUE_ACTIVATION) {
        const rml_op_attr same = {.cast = {.to = graph->values[value].dtype}};
        value = rml_graph_node(graph, RML_OP_CAST, &same, &value, 1, name);
    }
    rml_graph_output(graph, name, value);
}

static rml_fact fact_in(const rml_graph *graph, size_t output)
{
    const rml_value *value = &graph->values[graph->outputs[output]];
    return (rml_fact){.dtype = value->dtype, .shape = value->shape};
}

// Adds the node: its own inputs, then what its bodies read from outside.
static void add_node(rml_mil_call *call, rml_op_id op, const rml_control_attr *attr,
                     const rml_value_id *in, size_t in_count, const body *bodies, size_t body_count)
{
    size_t count = in_count;
    for (size_t i = 0; i < body_count; i++)
        count += bodies[i].capture_count;
    rml_value_id *all = rml_mil_alloc(call, count + 1, sizeof *all);
    if (!all)
        return;
    memcpy(all, in, in_count * sizeof *all);
    count = in_count;
    for (size_t i = 0; i < body_count; i++) {
        if (bodies[i].capture_count)
            memcpy(all + count, bodies[i].captures, bodies[i].capture_count * sizeof *all);
        count += bodies[i].capture_count;
    }
    const rml_op_attr wrapped = {.control = *attr};
    const rml_value_id first = rml_mil_node(call, op, &wrapped, all, (int)count);
    for (int k = 0; k < attr->out_count && first != RML_NO_VALUE; k++)
        call->out[k] = first + (rml_value_id)k;
}

// ---- cond ---------------------------------------------------------------------------------------

static bool branch(rml_mil_call *call, const rml_mil_block *block, size_t outputs, body *out)
{
    rml_mil_importer *importer = call->importer;
    rml_mil_scope scope;
    rml_value_id values[RML_MAX_OUTPUTS];
    rml_error error = {0};
    rml_error *outer = importer->err;
    bool refused = false;
    out->graph = rml_graph_inside(call->graph);
    if (!out->graph) {
        rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for a block");
        return false;
    }
    importer->err = &error;
    rml_mil_enter(importer, &scope, out->graph);
    rml_status status = fill(importer, block, NULL, 0);
    if (status == RML_OK)
        status = outputs_of(importer, block, outputs, values, &refused);
    for (size_t k = 0; k < outputs && status == RML_OK && !refused; k++)
        give(out->graph, k, values[k]);
    if (status == RML_OK)
        status = rml_graph_finish(out->graph, &error);
    const rml_status left = rml_mil_leave(importer, &out->captures, &out->capture_count);
    importer->err = outer;
    keep_error(call, status == RML_OK ? left : status, &error);
    if (refused)
        rml_mil_refuse(call, "a block inside cannot be run");
    return !call->refused && status == RML_OK && left == RML_OK;
}

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

static void import_cond(rml_mil_call *call)
{
    const rml_value_id pred = rml_mil_in(call, "pred");
    const rml_mil_operation *operation = call->operation;
    const size_t outputs = operation->output_count;
    const rml_fact fact = rml_mil_fact(call, pred);
    if (operation->block_count != 2)
        rml_mil_refuse(call, "it has %zu blocks, not 2", operation->block_count);
    if (call->refused)
        return;
    if (fact.dtype == RML_BOOL && fact.data) { // which one is known
        in_place(call, &operation->block[*(const uint8_t *)fact.data == 0], NULL, 0, call->out,
                 outputs);
        return;
    }
    body bodies[2] = {{0}};
    rml_dtype *types = rml_mil_alloc(call, outputs + 1, sizeof *types);
    rml_shape *shapes = rml_mil_alloc(call, outputs + 1, sizeof *shapes);
    if (!types || !shapes || !branch(call, &operation->block[0], outputs, &bodies[0]) ||
        !branch(call, &operation->block[1], outputs, &bodies[1]))
        return;
    for (size_t k = 0; k < outputs; k++) {
        const rml_fact a = fact_in(bodies[0].graph, k), b = fact_in(bodies[1].graph, k);
        if (a.dtype != b.dtype)
            rml_mil_refuse(call, "output %zu is %s in one block and %s in the other", k,
                           rml_dtype_name(a.dtype), rml_dtype_name(b.dtype));
        types[k] = a.dtype;
        shapes[k] = common_shape(&a.shape, &b.shape);
    }
    const rml_control_attr attr = {.body = {bodies[0].graph, bodies[1].graph},
                                   .out_count = (int)outputs,
                                   .out_types = types,
                                   .out_shapes = shapes};
    add_node(call, RML_OP_IF, &attr, &pred, 1, bodies, 2);
}

// ---- while_loop ---------------------------------------------------------------------------------

// A state keeps its type and rank; sizes stay where the file says that they do.
static rml_fact state_fact(const rml_mil_call *call, rml_value_id value, const rml_mil_type *told)
{
    rml_fact fact = rml_mil_fact(call, value);
    fact.data = NULL;
    const bool agree = told->kind == RML_MIL_TENSOR && told->shape.rank == fact.shape.rank;
    for (int i = 0; i < fact.shape.rank; i++)
        if (!agree || told->shape.dim[i] != fact.shape.dim[i])
            fact.shape.dim[i] = -1;
    return fact;
}

// One turn: the operations of the body on the states, then the condition on what they became.
static rml_status turn(rml_mil_call *call, const rml_fact *state, size_t count, rml_graph *graph,
                       bool *refused)
{
    rml_mil_importer *importer = call->importer;
    const rml_mil_block *condition = &call->operation->block[0];
    const rml_mil_block *inside = &call->operation->block[1];
    const rml_shape scalar = {0};
    rml_value_id in[RML_MAX_OUTPUTS], out[RML_MAX_OUTPUTS], again;
    rml_mil_scope inner;
    rml_graph_typed_input(graph, "turn", RML_I64, &scalar);
    rml_graph_typed_input(graph, "condition", RML_BOOL, &scalar);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "state %zu", i);
        in[i] = rml_graph_typed_input(graph, name, state[i].dtype, &state[i].shape);
    }
    RML_TRY(rml_graph_finish(graph, importer->err));
    RML_TRY(fill(importer, inside, in, count));
    RML_TRY(outputs_of(importer, inside, count, out, refused));
    if (*refused)
        return RML_OK;
    rml_mil_enter(importer, &inner, graph);
    rml_status status = fill(importer, condition, out, count);
    if (status == RML_OK)
        status = outputs_of(importer, condition, 1, &again, refused);
    rml_mil_leave(importer, NULL, NULL);
    RML_TRY(status);
    if (*refused)
        return RML_OK;
    give(graph, 0, again);
    for (size_t k = 0; k < count; k++)
        give(graph, k + 1, out[k]);
    return rml_graph_finish(graph, importer->err);
}

static bool loop_body(rml_mil_call *call, const rml_fact *state, size_t count, body *out)
{
    rml_mil_importer *importer = call->importer;
    rml_mil_scope scope;
    rml_error error = {0};
    rml_error *outer = importer->err;
    bool refused = false;
    out->graph = rml_graph_inside(call->graph);
    if (!out->graph) {
        rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for a block");
        return false;
    }
    importer->err = &error;
    rml_mil_enter(importer, &scope, out->graph);
    const rml_status status = turn(call, state, count, out->graph, &refused);
    const rml_status left = rml_mil_leave(importer, &out->captures, &out->capture_count);
    importer->err = outer;
    keep_error(call, status == RML_OK ? left : status, &error);
    if (refused)
        rml_mil_refuse(call, "a block inside cannot be run");
    return !call->refused && status == RML_OK && left == RML_OK;
}

static void import_while(rml_mil_call *call)
{
    const rml_mil_operation *operation = call->operation;
    rml_value_id in[RML_MAX_OUTPUTS + 2] = {RML_NO_VALUE, RML_NO_VALUE};
    const int count = rml_mil_tuple(call, "loop_vars", in + 2, RML_MAX_OUTPUTS);
    if (operation->block_count != 2 || operation->output_count != (size_t)count)
        rml_mil_refuse(call, "it has %zu blocks, %d values and %zu outputs", operation->block_count,
                       count, operation->output_count);
    if (call->refused || operation->block[1].input_count != (size_t)count)
        return;
    rml_fact *state = rml_mil_alloc(call, (size_t)count + 1, sizeof *state);
    rml_dtype *types = rml_mil_alloc(call, (size_t)count + 1, sizeof *types);
    rml_shape *shapes = rml_mil_alloc(call, (size_t)count + 1, sizeof *shapes);
    body inside = {0};
    if (!state || !types || !shapes ||
        !in_place(call, &operation->block[0], in + 2, (size_t)count, &in[1], 1))
        return;
    for (int k = 0; k < count; k++)
        state[k] = state_fact(call, in[2 + k], &operation->block[1].input[k].type);
    if (!loop_body(call, state, (size_t)count, &inside))
        return;
    for (int k = 0; k < count; k++) {
        types[k] = state[k].dtype;
        shapes[k] = state[k].shape;
        const rml_dtype after = fact_in(inside.graph, (size_t)k + 1).dtype;
        if (after != types[k])
            rml_mil_refuse(call, "value %d is %s before a turn and %s behind it", k,
                           rml_dtype_name(types[k]), rml_dtype_name(after));
    }
    const rml_control_attr attr = {.body = {inside.graph},
                                   .out_count = count,
                                   .out_types = types,
                                   .out_shapes = shapes,
                                   .states = count};
    add_node(call, RML_OP_LOOP, &attr, in, (size_t)count + 2, &inside, 1);
}

const rml_mil_entry rml_mil_control[] = {
    {"cond", import_cond, 0},
    {"while_loop", import_while, 0},
    {0},
};
