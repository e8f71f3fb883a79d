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
                rml_nn_refuse(call, "more than %d blobs are written again", MOST_CARRIED);
            else
                out->name[out->count++] = name;
        }
}

static bool read_network(rml_nn_call *call, uint32_t number, rml_nn_network *out)
{
    rml_error error;
    const rml_protobuf inside = rml_nn_inside(call, &call->layer->params, number);
    *out = (rml_nn_network){.layer_count = 0};
    if (!inside.data || call->refused)
        return false;
    if (rml_nn_read(call->importer->file, &inside, out, &error) != RML_OK)
        rml_nn_refuse(call, "%s", error.message);
    return !call->refused;
}

// Errors of a network inside are refusals of its layer, but for those that nothing can go on after.
static void keep_error(rml_nn_call *call, rml_status status, const rml_error *error)
{
    if (status == RML_OK)
        return;
    if (status == RML_ERR_NOMEM || status == RML_ERR_LIMIT || status == RML_ERR_INTERNAL)
        rml_graph_fail(call->graph, status, "%s", error->message);
    rml_nn_refuse(call, "%s", error->message);
}

static rml_status run_layers(rml_nn_call *call, const rml_nn_network *network)
{
    const size_t before = call->importer->refused;
    RML_TRY(rml_nn_import_layers(call->importer, network));
    return call->importer->refused == before
               ? RML_OK
               : rml_fail(call->importer->err, RML_ERR_UNSUPPORTED, "a layer inside cannot be run");
}

static rml_value_id truth_of(rml_graph *graph, rml_value_id number, const char *name)
{
    const rml_op_attr attr = {.cast = {.to = RML_BOOL}};
    number = rml_graph_reshape(graph, number, &(rml_shape){0}, name);
    return rml_graph_node(graph, RML_OP_CAST, &attr, &number, 1, name);
}

// The blob, as an output of the graph inside; what no node computes gets a copy.
static rml_status give(rml_nn_call *call, rml_value_id value, size_t number)
{
    rml_graph *graph = call->importer->scope->graph;
    char name[32];
    snprintf(name, sizeof name, "output %zu", number);
    if (value < graph->value_count && graph->values[value].kind != RML_VALUE_ACTIVATION) {
        const rml_op_attr same = {.cast = {.to = graph->values[value].dtype}};
        value = rml_graph_node(graph, RML_OP_CAST, &same, &value, 1, name);
    }
    rml_graph_output(graph, name, value);
    return rml_graph_finish(graph, call->importer->err);
}

static rml_status give_carried(rml_nn_call *call, const carried *list, size_t first)
{
    for (int i = 0; i < list->count; i++) {
        rml_value_id value;
        RML_TRY(rml_nn_find(call->importer, list->name[i], &value));
        RML_TRY(give(call, value, first + (size_t)i));
    }
    return RML_OK;
}

typedef struct body {
    rml_graph *graph;
    const rml_value_id *captures;
    size_t capture_count;
} body;

static rml_fact fact_in(const rml_graph *graph, size_t output)
{
    const rml_value *value = &graph->values[graph->outputs[output]];
    return (rml_fact){.dtype = value->dtype, .shape = value->shape};
}

// Adds the node, and gives the blobs what it computes.
static void add_node(rml_nn_call *call, rml_op_id op, rml_control_attr *attr,
                     const rml_value_id *in, size_t in_count, const body *bodies, size_t body_count,
                     const carried *list)
{
    size_t count = in_count;
    for (size_t i = 0; i < body_count; i++)
        count += bodies[i].capture_count;
    rml_value_id *all = rml_nn_alloc(call, count + 1, sizeof *all);
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
    const rml_value_id first = rml_nn_node(call, op, &wrapped, all, (int)count);
    for (int k = 0; k < list->count && first != RML_NO_VALUE; k++)
        if (rml_nn_define(call->importer, list->name[k], first + (rml_value_id)k, true) != RML_OK)
            rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for a blob");
}

// ---- branch -------------------------------------------------------------------------------------

static bool take_branch(rml_nn_call *call, const rml_nn_network *network, const carried *list,
                        body *out)
{
    rml_nn_importer *importer = call->importer;
    rml_nn_scope scope;
    rml_error error = {0};
    rml_error *outer = importer->err;
    out->graph = rml_graph_inside(call->graph);
    if (!out->graph) {
        rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for a branch");
        return false;
    }
    importer->err = &error;
    rml_nn_enter(importer, &scope, out->graph);
    rml_status status = run_layers(call, network);
    if (status == RML_OK)
        status = give_carried(call, list, 0);
    const rml_status left = rml_nn_leave(importer, &out->captures, &out->capture_count);
    importer->err = outer;
    keep_error(call, status == RML_OK ? left : status, &error);
    return !call->refused;
}

static void import_branch(rml_nn_call *call)
{
    rml_nn_network networks[2];
    carried list = {.count = 0};
    body bodies[2] = {{0}};
    const rml_value_id x = rml_nn_unary(call, RML_UNARY_ABS, rml_nn_in(call, 0), 0, 0);
    const rml_value_id test =
        rml_nn_reshape(call, rml_nn_binary(call, RML_BINARY_GREATER, x, rml_nn_number(call, 1e-6)),
                       &(rml_shape){0});
    for (int i = 0; i < 2; i++) {
        read_network(call, (uint32_t)i + 1, &networks[i]);
        add_written(call, &networks[i], &list);
    }
    rml_dtype *types = rml_nn_alloc(call, (size_t)list.count + 1, sizeof *types);
    rml_shape *shapes = rml_nn_alloc(call, (size_t)list.count + 1, sizeof *shapes);
    if (call->refused || !types || !shapes)
        return;
    if (list.count == 0)
        rml_nn_refuse(call, "its networks write no blob that is there before");
    for (int i = 0; i < 2 && !call->refused; i++)
        take_branch(call, &networks[i], &list, &bodies[i]);
    for (int k = 0; k < list.count && !call->refused; k++) {
        const rml_fact a = fact_in(bodies[0].graph, (size_t)k);
        const rml_fact b = fact_in(bodies[1].graph, (size_t)k);
        types[k] = a.dtype;
        shapes[k] = a.shape;
        if (a.shape.rank != b.shape.rank)
            shapes[k].rank = RML_RANK_UNKNOWN;
        for (int i = 0; i < shapes[k].rank; i++)
            if (a.shape.dim[i] != b.shape.dim[i])
                shapes[k].dim[i] = -1;
    }
    rml_control_attr attr = {.body = {bodies[0].graph, bodies[1].graph},
                             .out_count = list.count,
                             .out_types = types,
                             .out_shapes = shapes};
    if (!call->refused)
        add_node(call, RML_OP_IF, &attr, &test, 1, bodies, 2, &list);
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
        *out = rml_graph_typed_constant(graph, call->name, &stored);
        return rml_graph_finish(graph, call->importer->err);
    }
    RML_TRY(run_layers(call, &l->condition));
    RML_TRY(rml_nn_find(call->importer, l->variable, out));
    if (*out == RML_NO_VALUE)
        return rml_fail(call->importer->err, RML_ERR_FORMAT, "its condition \"%.64s\" is no blob",
                        l->variable);
    *out = truth_of(graph, *out, call->name);
    return rml_graph_finish(graph, call->importer->err);
}

// One turn: the layers of the body on what is carried, then the condition on what that became.
static rml_status turn(rml_nn_call *call, const loop *l, const rml_fact *state)
{
    rml_graph *graph = call->importer->scope->graph;
    const rml_shape scalar = {0};
    rml_value_id again;
    rml_graph_typed_input(graph, "turn", RML_I64, &scalar);
    rml_graph_typed_input(graph, "condition", RML_BOOL, &scalar);
    for (int i = 0; i < l->list.count; i++) {
        char name[32];
        snprintf(name, sizeof name, "state %d", i);
        const rml_value_id in = rml_graph_typed_input(graph, name, state[i].dtype, &state[i].shape);
        RML_TRY(rml_nn_define(call->importer, l->list.name[i], in, true));
    }
    RML_TRY(rml_graph_finish(graph, call->importer->err));
    RML_TRY(run_layers(call, &l->inside));
    RML_TRY(go_on(call, l, &again));
    RML_TRY(give(call, again, 0));
    return give_carried(call, &l->list, 1);
}

// A size stays as long as the state's shape is known; one that a turn changes is not known.
static bool settle(rml_fact *state, const rml_graph *graph, int count)
{
    bool same = true;
    for (int i = 0; i < count; i++) {
        const rml_fact after = fact_in(graph, (size_t)i + 1);
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

static bool loop_body(rml_nn_call *call, const loop *l, const rml_fact *state, body *out)
{
    rml_nn_importer *importer = call->importer;
    rml_nn_scope scope;
    rml_error error = {0};
    rml_error *outer = importer->err;
    out->graph = rml_graph_inside(call->graph);
    if (!out->graph) {
        rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for a loop");
        return false;
    }
    importer->err = &error;
    rml_nn_enter(importer, &scope, out->graph);
    const rml_status status = turn(call, l, state);
    const rml_status left = rml_nn_leave(importer, &out->captures, &out->capture_count);
    importer->err = outer;
    keep_error(call, status == RML_OK ? left : status, &error);
    return !call->refused;
}

static rml_value_id turns_of(rml_nn_call *call)
{
    const int64_t most = rml_nn_int(call, 1);
    if (call->layer->input_count > 0)
        return rml_nn_reshape(call, rml_nn_indices(call, call->in[0]), &(rml_shape){0});
    return most > 0 ? rml_nn_reshape(call, rml_nn_ints_value(call, &most, 1), &(rml_shape){0})
                    : RML_NO_VALUE;
}

static void import_loop(rml_nn_call *call)
{
    loop l = {.variable = ""};
    body inside = {0};
    rml_error error = {0};
    const rml_message_reader reader = rml_coreml_messages(call->importer->file, &error);
    const rml_message_want wants[] = {{2, RML_WANT_NAME, "a condition", &l.variable}, {0}};
    rml_value_id in[MOST_CARRIED + 2] = {turns_of(call), RML_NO_VALUE};
    if (rml_message_read(&reader, &call->layer->params, wants) != RML_OK)
        rml_nn_refuse(call, "%s", error.message);
    read_network(call, 3, &l.condition);
    l.has_condition = *l.variable != 0;
    read_network(call, 4, &l.inside);
    add_written(call, &l.condition, &l.list);
    add_written(call, &l.inside, &l.list);
    rml_fact *state = rml_nn_alloc(call, (size_t)l.list.count + 1, sizeof *state);
    rml_dtype *types = rml_nn_alloc(call, (size_t)l.list.count + 1, sizeof *types);
    rml_shape *shapes = rml_nn_alloc(call, (size_t)l.list.count + 1, sizeof *shapes);
    if (call->refused || !state || !types || !shapes)
        return;
    rml_error *outer = call->importer->err;
    call->importer->err = &error;
    rml_status status = go_on(call, &l, &in[1]);
    for (int i = 0; i < l.list.count && status == RML_OK; i++) {
        status = rml_nn_find(call->importer, l.list.name[i], &in[2 + i]);
        state[i] = rml_nn_fact(call, in[2 + i]);
        state[i].data = NULL;
    }
    call->importer->err = outer;
    keep_error(call, status, &error);
    do { // until no turn changes what is known of the states
        if (call->refused || !loop_body(call, &l, state, &inside))
            return;
    } while (!settle(state, inside.graph, l.list.count));
    for (int k = 0; k < l.list.count; k++) {
        types[k] = state[k].dtype;
        shapes[k] = state[k].shape;
    }
    rml_control_attr attr = {.body = {inside.graph},
                             .out_count = l.list.count,
                             .out_types = types,
                             .out_shapes = shapes,
                             .states = l.list.count};
    add_node(call, RML_OP_LOOP, &attr, in, (size_t)l.list.count + 2, &inside, 1, &l.list);
}

static void import_jump(rml_nn_call *call)
{
    rml_nn_refuse(call, "leaving a loop in its middle is not supported");
}

const rml_nn_entry rml_nn_control[] = {
    {605, "branch", import_branch, 0},
    {615, "loop", import_loop, 0},
    {620, "loopBreak", import_jump, 0},
    {625, "loopContinue", import_jump, 0},
    {0},
};
