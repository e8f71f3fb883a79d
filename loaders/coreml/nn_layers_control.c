// Branches and loops: networks inside a layer become graphs inside a node. A network inside writes
// blobs of the one around, by `copy`; so they are what a branch gives and what a loop carries.
#include "loaders/coreml/nn_importer.h"
#include "loaders/coreml/reader.h"

#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

#define MOST_CARRIED 64

// Blobs that a layer's networks write and that are there before it.
typedef struct carried {
    const char *name[MOST_CARRIED];
    int count;
} carried;

static void add_written(rml_nn_call *call, const rml_nn_network *network, carried *out)
{
    for (size_t i = 0; i < network->layer_count; i++)
        for (size_t k = 0; k < network->layer[i].output_count; k++) {
            const char *name = network->layer[i].output[k].text;
            bool listed = !rml_nn_is_written(call->importer, name);
            for (int j = 0; j < out->count; j++)
                listed = listed || strcmp(out->name[j], name) == 0;
            if (listed)
                continue;
            if (out->count == MOST_CARRIED)
                rml_coreml_refuse(&call->make, "more than %d blobs are written again",
                                  MOST_CARRIED);
            else
                out->name[out->count++] = name;
        }
}

static bool read_network(rml_nn_call *call, uint32_t number, rml_nn_network *out)
{
    rml_error error;
    const rml_protobuf inside = rml_nn_inside(call, &call->layer->params, number);
    *out = (rml_nn_network){.layer_count = 0};
    if (!inside.data || call->make.refused)
        return false;
    if (rml_nn_read(call->importer->file, &inside, out, &error) != RML_OK)
        rml_coreml_refuse(&call->make, "%s", error.message);
    return !call->make.refused;
}

static rml_status cannot_run(const rml_nn_call *call)
{
    return rml_fail(call->importer->err, RML_ERR_UNSUPPORTED, "a layer inside cannot be run");
}

static rml_status run_layers(rml_nn_call *call, const rml_nn_network *network)
{
    const size_t before = call->importer->refusals.count;
    RML_TRY(rml_nn_import_layers(call->importer, network));
    return call->importer->refusals.count == before ? RML_OK : cannot_run(call);
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
    if (!rml_coreml_begin_body(&call->make, out))
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

static void import_branch(rml_nn_call *call)
{
    rml_nn_network networks[2];
    carried list = {.count = 0};
    rml_graph_body bodies[2];
    const rml_value_id x = rml_coreml_unary(&call->make, RML_UNARY_ABS, rml_nn_in(call, 0), 0, 0);
    const rml_value_id least = rml_coreml_number(&call->make, 1e-6, RML_F32);
    const rml_value_id test = rml_coreml_reshape(
        &call->make, rml_coreml_binary(&call->make, RML_BINARY_GREATER, x, least), &(rml_shape){0});
    for (int i = 0; i < 2; i++) {
        read_network(call, (uint32_t)i + 1, &networks[i]);
        add_written(call, &networks[i], &list);
    }
    if (list.count == 0)
        rml_coreml_refuse(&call->make, "its networks write no blob that is there before");
    for (int i = 0; i < 2; i++)
        if (call->make.refused || !take_body(call, &bodies[i], fill_branch, &networks[i], &list))
            return;
    take_carried(call, &list, rml_coreml_if(&call->make, test, bodies, (size_t)list.count));
}

// ---- loop ---------------------------------------------------------------------------------------

typedef struct loop {
    rml_nn_network condition, inside;
    bool has_condition;
    const char *variable; // the blob that says whether to go on
    carried list;
} loop;

// Whether to go on, by the condition's network; true where there is none.
static rml_status go_on(rml_nn_call *call, const loop *l, rml_value_id *out)
{
    rml_graph *graph = call->importer->scope->graph;
    static const uint8_t yes[] = {1};
    if (!l->has_condition) {
        const rml_stored stored = rml_stored_plain(yes, RML_BOOL, &(rml_shape){0});
        *out = rml_graph_typed_constant(graph, call->make.name, &stored);
        return rml_graph_finish(graph, call->importer->err);
    }
    RML_TRY(run_layers(call, &l->condition));
    RML_TRY(rml_nn_find(call->importer, l->variable, out));
    if (*out == RML_NO_VALUE)
        return rml_fail(call->importer->err, RML_ERR_FORMAT, "its condition \"%.64s\" is no blob",
                        l->variable);
    *out = truth_of(graph, *out, call->make.name);
    return rml_graph_finish(graph, call->importer->err);
}

// One turn: the layers of the body on what is carried, then the condition on what that became.
static rml_status fill_turn(rml_nn_call *call, const void *of, const void *facts)
{
    const loop *l = of;
    rml_graph *graph = call->importer->scope->graph;
    rml_value_id state[MOST_CARRIED], again;
    rml_coreml_begin_turn(graph, facts, (size_t)l->list.count, state);
    RML_TRY(rml_graph_finish(graph, call->importer->err));
    for (int i = 0; i < l->list.count; i++)
        RML_TRY(rml_nn_define(call->importer, l->list.name[i], state[i], true));
    RML_TRY(run_layers(call, &l->inside));
    RML_TRY(go_on(call, l, &again));
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

static void import_loop(rml_nn_call *call)
{
    loop l = {.variable = ""};
    rml_graph_body inside;
    rml_error error = {0};
    const rml_message_reader reader = rml_coreml_messages(call->importer->file, &error);
    const rml_message_want wants[] = {{2, RML_WANT_NAME, "a condition", &l.variable}, {0}};
    rml_value_id in[MOST_CARRIED + 2] = {turns_of(call), RML_NO_VALUE};
    if (rml_message_read(&reader, &call->layer->params, wants) != RML_OK)
        rml_coreml_refuse(&call->make, "%s", error.message);
    read_network(call, 3, &l.condition);
    l.has_condition = *l.variable != 0;
    read_network(call, 4, &l.inside);
    add_written(call, &l.condition, &l.list);
    add_written(call, &l.inside, &l.list);
    rml_fact *state = rml_coreml_alloc(&call->make, (size_t)l.list.count + 1, sizeof *state);
    if (call->make.refused || !state)
        return;
    rml_error *outer = call->importer->err;
    call->importer->err = &error;
    rml_status status = go_on(call, &l, &in[1]);
    for (int i = 0; i < l.list.count && status == RML_OK; i++) {
        status = rml_nn_find(call->importer, l.list.name[i], &in[2 + i]);
        if (in[2 + i] == RML_NN_REFUSED)
            rml_coreml_refuse(&call->make, "it carries what cannot be computed");
        state[i] = rml_coreml_fact(&call->make, in[2 + i]);
        state[i].data = NULL;
    }
    call->importer->err = outer;
    rml_coreml_keep_error(&call->make, status, &error);
    do { // until no turn changes what is known of the states
        if (call->make.refused || !take_body(call, &inside, fill_turn, &l, state))
            return;
    } while (!settle(state, &inside, l.list.count));
    take_carried(call, &l.list,
                 rml_coreml_loop(&call->make, in, &inside, state, (size_t)l.list.count));
}

static void import_jump(rml_nn_call *call)
{
    rml_coreml_refuse(&call->make, "leaving a loop in its middle is not supported");
}

const rml_nn_entry rml_nn_control[] = {
    {605, "branch", import_branch, 0},
    {615, "loop", import_loop, 0},
    {620, "loopBreak", import_jump, 0},
    {625, "loopContinue", import_jump, 0},
    {0},
};
