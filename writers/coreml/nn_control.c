// Branches and loops: networks inside a layer, which see the blobs around them and give theirs by
// `copy`, the only layer that may write a blob again.
#include "writers/coreml/nn.h"
#include "writers/rewrite.h"

#include <stdio.h>

enum { TURN, CONDITION, STATES };         // inputs of a loop and of its graph
enum { THEN = 1, ELSE = 2 };              // fields of a branch
enum { VARIABLE = 2, ASK = 3, BODY = 4 }; // ... and of a loop

static void copy(rml_net_emitter *e, const char *from, const char *to)
{
    rml_net_plain(e, RML_NET_COPY, &from, 1, to);
}

// A new blob, "<name of the node's output>_<part>".
static const char *part_of(rml_net_emitter *e, const char *name, const char *part)
{
    char text[512];
    snprintf(text, sizeof text, "%.400s_%s", name, part);
    return rml_net_name(e, text);
}

static const char *number(rml_net_emitter *e, float value)
{
    float *one = rml_net_alloc(e, 1);
    if (!one)
        return "";
    *one = value;
    return rml_net_load(e, one, &(rml_shape){0}, true);
}

// ---- networks inside ----------------------------------------------------------------------------

typedef struct around {
    const rml_graph *graph;
    const bool *wide;
    const rml_node *node;
    const char **blob;
} around;

static void begin_network(rml_net_emitter *e, uint32_t field)
{
    rml_fields_begin(&e->m, field);
}

static void end_network(rml_net_emitter *e)
{
    rml_net_int(e, 5, 1); // as in the network around
    rml_net_int(e, 6, 1);
    rml_fields_end(&e->m);
}

// The layers of `body` are written from now on. False after a failure.
static bool enter(rml_net_emitter *e, const rml_graph *body, around *kept)
{
    const char **names = NULL;
    *kept = (around){e->graph, e->wide, e->node, e->blob};
    if (e->status == RML_OK)
        e->status = rml_name_values(body, &e->w->graph.arena, true, &names, e->err);
    for (size_t i = 0; i < body->value_count && e->status == RML_OK; i++)
        names[i] = body->values[i].kind == RML_VALUE_ACTIVATION ? rml_net_name(e, names[i]) : NULL;
    if (e->status != RML_OK)
        return false;
    e->graph = body;
    e->wide = NULL;
    e->node = NULL;
    e->blob = names;
    return true;
}

static void leave(rml_net_emitter *e, const around *kept)
{
    e->graph = kept->graph;
    e->wide = kept->wide;
    e->node = kept->node;
    e->blob = kept->blob;
}

// ---- branches -----------------------------------------------------------------------------------

static void write_branch(rml_net_emitter *e, uint32_t field, const rml_graph *body,
                         const char *const *captures, const char *const *out)
{
    around kept;
    begin_network(e, field);
    if (!enter(e, body, &kept))
        return;
    for (size_t i = 0; i < body->input_count; i++)
        e->blob[body->inputs[i]] = captures[i];
    rml_net_emit_nodes(e);
    for (size_t k = 0; k < body->output_count && e->status == RML_OK; k++)
        copy(e, rml_net_blob(e, body->outputs[k]), out[k]);
    leave(e, &kept);
    end_network(e);
}

// The blobs of a node's inputs, loaded before its networks are written.
static const char **take_inputs(rml_net_emitter *e, const rml_node *node)
{
    const char **in = rml_arena_alloc(&e->w->graph.arena, (size_t)node->in_count + 1, sizeof *in);
    if (!in)
        rml_net_fail(e, RML_ERR_NOMEM, "out of memory for the inputs of a layer");
    for (int i = 0; i < node->in_count && in; i++)
        in[i] = rml_input_given(node, i) ? rml_net_in(e, i) : NULL;
    return in;
}

static void emit_branch(rml_net_emitter *e, const rml_node *node)
{
    const rml_control_attr *attr = &node->attr.control;
    const char *const *in = take_inputs(e, node);
    const char *out[RML_MAX_OUTPUTS];
    if (!in)
        return;
    for (int k = 0; k < node->out_count; k++)
        out[k] = rml_net_out(e, k);
    rml_net_layer(e, RML_NET_BRANCH, in, 1, out, 0);
    write_branch(e, THEN, attr->body[0], in + 1, out);
    write_branch(e, ELSE, attr->body[1], in + 1 + attr->body[0]->input_count, out);
    rml_net_end(e);
}

// ---- loops --------------------------------------------------------------------------------------

static const char *lacks_loop(const rml_net_node *n)
{
    return rml_loop_lacks(n->graph, n->node);
}

// What goes from turn to turn: the turn, whether to go on, and the states, in blobs of their own;
// the first two only where they are asked for.
typedef struct loop {
    const rml_node *node;
    const rml_graph *body;
    const char *const *in; // of the node
    const char *name, *turn, *again, *state[RML_MAX_OUTPUTS];
} loop;

static void begin_loop(rml_net_emitter *e, loop *l)
{
    const bool asks = rml_loop_asks(e->graph, l->node);
    l->name = rml_net_out(e, 0);
    if (l->in[TURN] || l->body->values[l->body->inputs[TURN]].uses > 0) {
        const char *first = number(e, 0);
        copy(e, first, l->turn = part_of(e, l->name, "turn"));
    }
    if (asks) {
        const char *first = l->in[CONDITION] ? l->in[CONDITION] : number(e, 1);
        copy(e, first, l->again = part_of(e, l->name, "again"));
    }
    for (int k = 0; k < l->node->attr.control.states; k++)
        copy(e, l->in[STATES + k], l->state[k] = part_of(e, l->name, "state"));
}

// What says whether there is another turn: the last layer's output.
static void write_condition(rml_net_emitter *e, const loop *l, const char *go_on)
{
    const char *less = l->again ? part_of(e, l->name, "turns_left") : go_on;
    begin_network(e, ASK);
    if (!l->in[TURN])
        copy(e, l->again, go_on);
    else
        rml_net_binary(e, RML_NET_LESS, l->turn, l->in[TURN], less);
    if (l->in[TURN] && l->again)
        rml_net_binary(e, RML_NET_AND, l->again, less, go_on);
    end_network(e);
}

static void write_turn(rml_net_emitter *e, const loop *l)
{
    const rml_graph *body = l->body;
    const int states = l->node->attr.control.states;
    around kept;
    begin_network(e, BODY);
    if (!enter(e, body, &kept))
        return;
    e->blob[body->inputs[TURN]] = l->turn;
    e->blob[body->inputs[CONDITION]] = l->again;
    if (!l->again && body->values[body->inputs[CONDITION]].uses > 0)
        e->blob[body->inputs[CONDITION]] = number(e, 1);
    for (size_t i = STATES; i < body->input_count; i++)
        e->blob[body->inputs[i]] = i < (size_t)(STATES + states) ? l->state[i - STATES] : l->in[i];
    rml_net_emit_nodes(e);
    // What layers of the turn have written: none of it is a state's own blob.
    for (int k = l->again ? 0 : 1; k <= states && e->status == RML_OK; k++)
        copy(e, rml_net_blob(e, body->outputs[k]), k ? l->state[k - 1] : l->again);
    if (l->turn && e->status == RML_OK) {
        const char *next = part_of(e, l->name, "next_turn");
        rml_net_linear(e, l->turn, 1, 1, next);
        copy(e, next, l->turn);
    }
    leave(e, &kept);
    end_network(e);
}

static void emit_loop(rml_net_emitter *e, const rml_node *node)
{
    loop l = {.node = node, .body = node->attr.control.body[0], .in = take_inputs(e, node)};
    if (!l.in)
        return;
    begin_loop(e, &l);
    const char *go_on = part_of(e, l.name, "go_on");
    rml_net_layer(e, RML_NET_LOOP, NULL, 0, &l.name, 0);
    rml_fields_text(&e->m, VARIABLE, go_on);
    write_condition(e, &l, go_on);
    write_turn(e, &l);
    rml_net_end(e);
    for (int k = 0; k < node->out_count; k++)
        copy(e, l.state[k], rml_net_out(e, k));
}

const rml_net_rule rml_net_control_rules[] = {
    {RML_OP_IF, NULL, emit_branch},
    {RML_OP_LOOP, lacks_loop, emit_loop},
    {RML_OP_COUNT, NULL, NULL},
};
