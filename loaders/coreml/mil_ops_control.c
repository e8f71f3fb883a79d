// Branches and loops: blocks become graphs inside a node.
#include "loaders/coreml/mil_importer.h"

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
    rml_mil_enter(importer, &scope, call->make.graph);
    rml_status status = fill(importer, block, in, in_count);
    if (status == RML_OK)
        status = outputs_of(importer, block, out_count, out, &refused);
    rml_mil_leave(importer, NULL, NULL);
    importer->err = outer;
    rml_coreml_keep_error(&call->make, status, &error);
    if (refused)
        rml_coreml_refuse(&call->make, "a block inside cannot be run");
    return !call->make.refused && call->make.graph->error.status == RML_OK;
}

// ---- cond ---------------------------------------------------------------------------------------

// Enters a graph inside, and leaves it behind what `fill_body` has put there.
static bool take_body(rml_mil_call *call, rml_graph_body *out,
                      rml_status (*fill_body)(rml_mil_call *call, rml_graph *graph, const void *of,
                                              bool *refused),
                      const void *of)
{
    rml_mil_importer *importer = call->importer;
    rml_mil_scope scope;
    rml_error error = {0};
    rml_error *outer = importer->err;
    bool refused = false;
    if (!rml_coreml_begin_body(&call->make, &importer->file->bodies, out))
        return false;
    importer->err = &error;
    rml_mil_enter(importer, &scope, out->graph);
    rml_status status = fill_body(call, out->graph, of, &refused);
    if (status == RML_OK)
        status = rml_graph_finish(out->graph, &error);
    const rml_status left = rml_mil_leave(importer, &out->captures, &out->capture_count);
    importer->err = outer;
    rml_coreml_keep_error(&call->make, status == RML_OK ? left : status, &error);
    if (refused)
        rml_coreml_refuse(&call->make, "a block inside cannot be run");
    return !call->make.refused && call->make.graph->error.status == RML_OK;
}

// Lists the states that the blocks write, which are given beside `count` outputs.
static void list_states(rml_mil_call *call, size_t count, rml_mil_written *out)
{
    *out = (rml_mil_written){.count = 0};
    for (size_t i = 0; i < call->operation->block_count; i++)
        rml_mil_add_written(call, &call->operation->block[i], out);
    if (count + (size_t)out->count > RML_MAX_OUTPUTS)
        rml_coreml_refuse(&call->make, "%zu values and %d states, at most %d are supported", count,
                          out->count, RML_MAX_OUTPUTS);
}

// The states as outputs of a graph inside, from number `first` on.
static void give_states(rml_mil_call *call, const rml_mil_written *states, size_t first)
{
    for (int k = 0; k < states->count; k++)
        rml_coreml_give(call->importer->scope->graph, first + (size_t)k,
                        rml_mil_find_state(call, states->place[k]));
}

// What a node gives: `count` outputs, and behind them the states.
static void take_outputs(rml_mil_call *call, rml_value_id first, size_t count,
                         const rml_mil_written *states)
{
    if (first == RML_NO_VALUE)
        return;
    for (size_t k = 0; k < count; k++)
        call->out[k] = first + (rml_value_id)k;
    for (int k = 0; k < states->count; k++)
        rml_mil_set_state(call, states->place[k], first + (rml_value_id)(count + (size_t)k));
}

typedef struct branch {
    const rml_mil_block *block;
    const rml_mil_written *states;
} branch;

static rml_status fill_branch(rml_mil_call *call, rml_graph *graph, const void *of, bool *refused)
{
    const branch *b = of;
    const size_t outputs = call->operation->output_count;
    rml_value_id values[RML_MAX_OUTPUTS];
    RML_TRY(fill(call->importer, b->block, NULL, 0));
    RML_TRY(outputs_of(call->importer, b->block, outputs, values, refused));
    for (size_t k = 0; k < outputs && !*refused; k++)
        rml_coreml_give(graph, k, values[k]);
    if (!*refused)
        give_states(call, b->states, outputs);
    return RML_OK;
}

static void import_cond(rml_mil_call *call)
{
    const rml_value_id pred = rml_mil_in(call, "pred");
    const rml_mil_operation *operation = call->operation;
    const size_t outputs = operation->output_count;
    const rml_fact fact = rml_coreml_fact(&call->make, pred);
    rml_graph_body bodies[2];
    rml_mil_written states;
    if (operation->block_count != 2)
        rml_coreml_refuse(&call->make, "it has %zu blocks, not 2", operation->block_count);
    list_states(call, outputs, &states);
    if (call->make.refused)
        return;
    if (fact.dtype == RML_BOOL && fact.data) { // which one is known
        in_place(call, &operation->block[*(const uint8_t *)fact.data == 0], NULL, 0, call->out,
                 outputs);
        return;
    }
    for (int i = 0; i < 2; i++)
        if (!take_body(call, &bodies[i], fill_branch, &(branch){&operation->block[i], &states}))
            return;
    take_outputs(call, rml_coreml_if(&call->make, pred, bodies, outputs + (size_t)states.count),
                 outputs, &states);
}

// ---- while_loop ---------------------------------------------------------------------------------

// A state keeps its type and rank; sizes stay where the file says that they do.
static rml_fact state_fact(const rml_mil_call *call, rml_value_id value, const rml_mil_type *told)
{
    rml_fact fact = rml_coreml_fact(&call->make, value);
    fact.data = NULL;
    const bool agree = told->kind == RML_MIL_TENSOR && told->shape.rank == fact.shape.rank;
    for (int i = 0; i < fact.shape.rank; i++)
        if (!agree || told->shape.dim[i] != fact.shape.dim[i])
            fact.shape.dim[i] = -1;
    return fact;
}

typedef struct turn {
    const rml_fact *facts; // of values, then of states
    rml_mil_written states;
} turn;

// One turn: the operations of the body on the values, then the condition on what they became.
static rml_status fill_turn(rml_mil_call *call, rml_graph *graph, const void *of, bool *refused)
{
    rml_mil_importer *importer = call->importer;
    const rml_mil_block *condition = &call->operation->block[0];
    const rml_mil_block *inside = &call->operation->block[1];
    const size_t count = call->operation->output_count;
    rml_value_id in[RML_MAX_OUTPUTS], out[RML_MAX_OUTPUTS], again = RML_NO_VALUE;
    const turn *t = of;
    rml_mil_scope inner;
    rml_coreml_begin_turn(graph, t->facts, count + (size_t)t->states.count, in);
    RML_TRY(rml_graph_finish(graph, importer->err));
    for (int k = 0; k < t->states.count; k++)
        rml_mil_set_state(call, t->states.place[k], in[count + (size_t)k]);
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
    rml_coreml_give(graph, 0, again);
    for (size_t k = 0; k < count; k++)
        rml_coreml_give(graph, k + 1, out[k]);
    give_states(call, &t->states, count + 1);
    return RML_OK;
}

static void import_while(rml_mil_call *call)
{
    const rml_mil_operation *operation = call->operation;
    rml_value_id in[RML_MAX_OUTPUTS + 2] = {RML_NO_VALUE, RML_NO_VALUE};
    rml_graph_body body;
    const int given = rml_mil_tuple(call, "loop_vars", in + 2, RML_MAX_OUTPUTS);
    const size_t count = (size_t)given;
    turn t;
    if (operation->block_count != 2 || operation->output_count != count ||
        operation->block[1].input_count != count)
        rml_coreml_refuse(&call->make, "it has %zu blocks, %d values and %zu outputs",
                          operation->block_count, given, operation->output_count);
    list_states(call, count, &t.states);
    const size_t all = count + (size_t)t.states.count;
    rml_fact *facts = rml_coreml_alloc(&call->make, all + 1, sizeof *facts);
    if (!facts || call->make.refused ||
        !in_place(call, &operation->block[0], in + 2, count, &in[1], 1))
        return;
    for (size_t k = 0; k < count; k++)
        facts[k] = state_fact(call, in[2 + k], &operation->block[1].input[k].type);
    for (size_t k = count; k < all; k++) {
        in[2 + k] = rml_mil_find_state(call, t.states.place[k - count]);
        facts[k] = rml_coreml_fact(&call->make, in[2 + k]);
        facts[k].data = NULL;
    }
    t.facts = facts;
    if (take_body(call, &body, fill_turn, &t))
        take_outputs(call, rml_coreml_loop(&call->make, in, &body, facts, all), count, &t.states);
}

const rml_mil_entry rml_mil_control[] = {
    {"cond", import_cond, 0},
    {"while_loop", import_while, 0},
    {0},
};
