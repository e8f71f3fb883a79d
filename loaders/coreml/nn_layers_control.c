// Branches and loops: networks inside a layer become graphs inside a node. A network inside writes
// blobs of the one around, by `copy`; so they are what a branch gives and what a loop carries.
#include "loaders/coreml/nn_importer.h"
#include "loaders/coreml/reader.h"

#include "tensor/tensor.h"

#define MOST_NESTED 32 // graphs in one another

// Blobs that a node gives: at most its outputs, of which a loop has one more.
typedef struct carried {
    const char *name[RML_MAX_OUTPUTS - 1];
    int count;
} carried;

static void carry(rml_nn_call *call, const char *name, carried *out)
{
    const int most = (int)(sizeof out->name / sizeof *out->name);
    if (out->count == most)
        rml_coreml_refuse(&call->make, "more than %d blobs are written for the layers around",
                          most);
    else
        out->name[out->count++] = name;
}

// Of the blobs that are written, those that are there before. In a loop, how a turn of the loop
// around is left is not its own.
static void carry_known(rml_nn_call *call, const rml_nn_written *written, bool is_loop,
                        carried *out)
{
    for (size_t i = 0; i < written->count; i++)
        if (rml_nn_is_written(call->importer, written->name[i]) &&
            !(is_loop && *written->name[i] == 0))
            carry(call, written->name[i], out);
}

static rml_status cannot_run(const rml_nn_call *call)
{
    return rml_fail(call->importer->err, RML_ERR_UNSUPPORTED, "a layer inside cannot be run");
}

static rml_status run_if(rml_nn_call *call, double number, const rml_nn_network *network);

// Layers in their order. Behind one that may have left the turn of a loop, the others run if it
// has not.
static rml_status run_layers(rml_nn_call *call, const rml_nn_network *network)
{
    const size_t before = call->importer->refusals.count;
    const bool in_loop = rml_nn_is_written(call->importer, RML_NN_LEAVES);
    rml_nn_network now = *network, rest = *network;
    for (size_t i = 0; i < network->layer_count && in_loop; i++)
        if (network->layer[i].leaves) {
            now.layer_count = i + 1;
            break;
        }
    rest.layer += now.layer_count;
    rest.layer_count -= now.layer_count;
    RML_TRY(rml_nn_import_layers(call->importer, &now));
    if (call->importer->refusals.count != before)
        return cannot_run(call);
    return rest.layer_count ? run_if(call, RML_NN_NEXT_TURN, &rest) : RML_OK;
}

static rml_value_id truth_of(rml_graph *graph, rml_value_id number, const char *name)
{
    const rml_op_attr attr = {.cast = {.to = RML_BOOL}};
    number = rml_graph_reshape(graph, number, &(rml_shape){0}, name);
    return rml_graph_node(graph, RML_OP_CAST, &attr, &number, 1, name);
}

static rml_status give_carried(rml_nn_call *call, const carried *list, size_t first)
{
    for (int i = 0; i < list->count; i++) {
        rml_value_id value;
        RML_TRY(rml_nn_find(call->importer, list->name[i], &value));
        if (value == RML_NN_REFUSED)
            return cannot_run(call);
        rml_coreml_give(call->importer->scope->graph, first + (size_t)i, value);
    }
    return rml_graph_finish(call->importer->scope->graph, call->importer->err);
}

// Gives the blobs what a node computes, whose first output is given.
static void take_carried(rml_nn_call *call, const carried *list, rml_value_id first)
{
    for (int k = 0; k < list->count && first != RML_NO_VALUE; k++)
        if (rml_nn_define(call->importer, list->name[k], first + (rml_value_id)k, true) != RML_OK)
            rml_graph_fail(call->make.graph, RML_ERR_NOMEM, "out of memory for a blob");
}

// Enters a graph inside, and leaves it behind what `fill` has put there.
static bool take_body(rml_nn_call *call, rml_graph_body *out,
                      rml_status (*fill)(rml_nn_call *call, const void *of, const void *facts),
                      const void *of, const void *facts)
{
    rml_nn_importer *importer = call->importer;
    rml_nn_scope scope;
    rml_error error = {0};
    rml_error *outer = importer->err;
    int depth = 0;
    for (const rml_nn_scope *around = importer->scope; around; around = around->outer)
        depth++;
    if (depth > MOST_NESTED)
        rml_coreml_refuse(&call->make, "layers are nested deeper than %d", MOST_NESTED);
    if (call->make.refused || !rml_coreml_begin_body(&call->make, &importer->file->bodies, out))
        return false;
    importer->err = &error;
    rml_nn_enter(importer, &scope, out->graph);
    const rml_status status = fill(call, of, facts);
    const rml_status left = rml_nn_leave(importer, &out->captures, &out->capture_count);
    importer->err = outer;
    rml_coreml_keep_error(&call->make, status == RML_OK ? left : status, &error);
    return !call->make.refused;
}

// ---- branch -------------------------------------------------------------------------------------

static rml_status fill_branch(rml_nn_call *call, const void *of, const void *facts)
{
    RML_TRY(run_layers(call, of));
    return give_carried(call, facts, 0); // the list of them
}

// Two networks, one of which runs.
static void run_either(rml_nn_call *call, rml_value_id test, const rml_nn_network *networks,
                       const carried *list)
{
    rml_graph_body bodies[2];
    for (int i = 0; i < 2; i++)
        if (call->make.refused || !take_body(call, &bodies[i], fill_branch, &networks[i], list))
            return;
    if (list->count > 0)
        take_carried(call, list, rml_coreml_if(&call->make, test, bodies, (size_t)list->count));
}

static void import_branch(rml_nn_call *call)
{
    const rml_nn_network *networks = call->layer->inside;
    rml_nn_written written, sure;
    carried list = {.count = 0};
    const rml_value_id x = rml_coreml_unary(&call->make, RML_UNARY_ABS, rml_nn_in(call, 0), 0, 0);
    const rml_value_id least = rml_coreml_number(&call->make, 1e-6, RML_F32);
    const rml_value_id test = rml_coreml_reshape(
        &call->make, rml_coreml_binary(&call->make, RML_BINARY_GREATER, x, least), &(rml_shape){0});
    rml_nn_begin_written(call, &written);
    rml_nn_begin_written(call, &sure);
    for (int i = 0; i < 2; i++)
        rml_nn_add_written(call, &networks[i], &written);
    rml_nn_add_surely_written(call, call->layer, &sure);
    carry_known(call, &written, false, &list);
    for (size_t i = 0; i < sure.count; i++) // on either way, so the layers behind have it
        if (!rml_nn_is_written(call->importer, sure.name[i]))
            carry(call, sure.name[i], &list);
    rml_nn_end_written(call, &written);
    rml_nn_end_written(call, &sure);
    run_either(call, test, networks, &list);
}

// Runs layers if how the turn goes on is below `number`.
static rml_status run_if(rml_nn_call *call, double number, const rml_nn_network *network)
{
    rml_nn_importer *importer = call->importer;
    const rml_nn_network networks[2] = {*network, {.layer_count = 0}};
    rml_nn_call here = *call; // in the graph that nodes go to now
    rml_nn_written written;
    carried list = {.count = 0};
    rml_value_id leaves;
    here.make.graph = importer->scope->graph;
    RML_TRY(rml_nn_find(importer, RML_NN_LEAVES, &leaves));
    rml_nn_begin_written(&here, &written);
    rml_nn_add_written(&here, network, &written);
    carry_known(&here, &written, false, &list);
    rml_nn_end_written(&here, &written);
    run_either(&here,
               rml_coreml_binary(&here.make, RML_BINARY_LESS, leaves,
                                 rml_coreml_number(&here.make, number, RML_F32)),
               networks, &list);
    RML_TRY(rml_graph_finish(here.make.graph, importer->err));
    return here.make.refused ? rml_fail(importer->err, RML_ERR_UNSUPPORTED, "%s", here.make.reason)
                             : RML_OK;
}

// ---- loop ---------------------------------------------------------------------------------------

typedef struct loop {
    const rml_nn_network *condition, *inside;
    const char *variable; // the blob that says whether to go on; "": always
    carried list;
} loop;

// Whether to go on, by the condition's network; true where there is none. A loop that a layer has
// ended does not ask.
static rml_status go_on(rml_nn_call *call, const loop *l, bool may_be_ended, rml_value_id *out)
{
    rml_graph *graph = call->importer->scope->graph;
    static const uint8_t yes[] = {1};
    if (*l->variable == 0) {
        const rml_stored stored = rml_stored_plain(yes, RML_BOOL, &(rml_shape){0});
        *out = rml_graph_typed_constant(graph, call->make.name, &stored);
    } else {
        RML_TRY(may_be_ended ? run_if(call, RML_NN_END, l->condition)
                             : run_layers(call, l->condition));
        RML_TRY(rml_nn_find(call->importer, l->variable, out));
        if (*out == RML_NO_VALUE)
            return rml_fail(call->importer->err, RML_ERR_FORMAT,
                            "its condition \"%.64s\" is no blob", l->variable);
        *out = truth_of(graph, *out, call->make.name);
    }
    if (may_be_ended) {
        rml_value_id leaves;
        RML_TRY(rml_nn_find(call->importer, RML_NN_LEAVES, &leaves));
        rml_coreml_maker here = call->make;
        here.graph = graph;
        const rml_value_id runs = rml_coreml_binary(&here, RML_BINARY_LESS, leaves,
                                                    rml_coreml_number(&here, RML_NN_END, RML_F32));
        *out = rml_coreml_binary(&here, RML_BINARY_AND, *out, runs);
    }
    return rml_graph_finish(graph, call->importer->err);
}

// One turn: the layers of the body on what is carried, then the condition on what that became.
static rml_status fill_turn(rml_nn_call *call, const void *of, const void *facts)
{
    const loop *l = of;
    rml_graph *graph = call->importer->scope->graph;
    rml_value_id state[RML_MAX_OUTPUTS], again;
    rml_coreml_begin_turn(graph, facts, (size_t)l->list.count, state);
    RML_TRY(rml_graph_finish(graph, call->importer->err));
    for (int i = 0; i < l->list.count; i++)
        RML_TRY(rml_nn_define(call->importer, l->list.name[i], state[i], true));
    rml_coreml_maker here = call->make;
    here.graph = graph;
    if (l->inside->leaves)
        RML_TRY(rml_nn_define(call->importer, RML_NN_LEAVES, rml_coreml_number(&here, 0, RML_F32),
                              true));
    RML_TRY(run_layers(call, l->inside));
    RML_TRY(go_on(call, l, l->inside->leaves, &again));
    rml_coreml_give(graph, 0, again);
    return give_carried(call, &l->list, 1);
}

// A size stays as long as the state's shape is known; one that a turn changes is not known.
static bool settle(rml_fact *state, const rml_graph_body *body, int count)
{
    bool same = true;
    for (int i = 0; i < count; i++) {
        const rml_fact after = rml_coreml_given(body, (size_t)i + 1);
        if (after.shape.rank != state[i].shape.rank) {
            same = same && state[i].shape.rank == RML_RANK_UNKNOWN;
            state[i].shape.rank = RML_RANK_UNKNOWN;
        }
        for (int d = 0; d < state[i].shape.rank; d++)
            if (after.shape.dim[d] != state[i].shape.dim[d] && state[i].shape.dim[d] != -1) {
                state[i].shape.dim[d] = -1;
                same = false;
            }
    }
    return same;
}

static rml_value_id turns_of(rml_nn_call *call)
{
    const int64_t most = rml_nn_int(call, 1);
    if (call->layer->input_count > 0)
        return rml_coreml_reshape(&call->make, rml_nn_indices(call, call->in[0]), &(rml_shape){0});
    return most > 0 ? rml_coreml_reshape(&call->make, rml_coreml_ints(&call->make, &most, 1),
                                         &(rml_shape){0})
                    : RML_NO_VALUE;
}

// The blobs that turns hand on: those that are there when the condition has been asked once.
static void list_carried(rml_nn_call *call, loop *l)
{
    rml_nn_written written;
    rml_nn_begin_written(call, &written);
    rml_nn_add_written(call, l->condition, &written);
    rml_nn_add_written(call, l->inside, &written);
    carry_known(call, &written, true, &l->list);
    rml_nn_end_written(call, &written);
}

static void import_loop(rml_nn_call *call)
{
    loop l = {&call->layer->inside[0], &call->layer->inside[1], .variable = ""};
    rml_graph_body inside;
    rml_error error = {0};
    const rml_message_reader reader = rml_coreml_messages(call->importer->file, &error);
    const rml_message_want wants[] = {{2, RML_WANT_NAME, "a condition", &l.variable}, {0}};
    rml_value_id in[RML_MAX_OUTPUTS + 2] = {turns_of(call), RML_NO_VALUE};
    if (rml_message_read(&reader, &call->layer->params, wants) != RML_OK)
        rml_coreml_refuse(&call->make, "%s", error.message);
    if (l.condition->leaves)
        rml_coreml_refuse(&call->make, "its condition leaves the loop");
    if (call->make.refused)
        return;
    rml_error *outer = call->importer->err;
    call->importer->err = &error;
    rml_status status = go_on(call, &l, false, &in[1]);
    if (status == RML_OK)
        list_carried(call, &l);
    rml_fact *state = rml_coreml_alloc(&call->make, (size_t)l.list.count + 1, sizeof *state);
    for (int i = 0; i < l.list.count && status == RML_OK && state; i++) {
        status = rml_nn_find(call->importer, l.list.name[i], &in[2 + i]);
        if (in[2 + i] == RML_NN_REFUSED)
            rml_coreml_refuse(&call->make, "it carries what cannot be computed");
        state[i] = rml_coreml_fact(&call->make, in[2 + i]);
        state[i].data = NULL;
    }
    call->importer->err = outer;
    rml_coreml_keep_error(&call->make, status, &error);
    do { // until no turn changes what is known of the states
        if (call->make.refused || !state || !take_body(call, &inside, fill_turn, &l, state))
            return;
    } while (!settle(state, &inside, l.list.count));
    if (l.list.count > 0)
        take_carried(call, &l.list,
                     rml_coreml_loop(&call->make, in, &inside, state, (size_t)l.list.count));
}

// How the turn goes on, for the layers behind and the loop around.
static void import_jump(rml_nn_call *call)
{
    if (!rml_nn_is_written(call->importer, RML_NN_LEAVES))
        rml_coreml_refuse(&call->make, "it is in no loop");
    const rml_value_id how = rml_coreml_number(&call->make, call->option, RML_F32);
    if (how != RML_NO_VALUE && rml_nn_define(call->importer, RML_NN_LEAVES, how, true) != RML_OK)
        rml_graph_fail(call->make.graph, RML_ERR_NOMEM, "out of memory for a blob");
}

const rml_nn_entry rml_nn_control[] = {
    {RML_NN_BRANCH, "branch", import_branch, 0},
    {RML_NN_LOOP, "loop", import_loop, 0},
    {RML_NN_BREAK, "loopBreak", import_jump, RML_NN_END},
    {RML_NN_CONTINUE, "loopContinue", import_jump, RML_NN_NEXT_TURN},
    {0},
};
