// Branches and loops: graphs inside a node become blocks of an operation, which see the values
// around them by name.
#include "writers/coreml/mil.h"
#include "writers/rewrite.h"

#include <string.h>

enum { BLOCKS = 4, TURN = 0, CONDITION = 1, STATES = 2 }; // inputs of a loop and of its graph

// ---- looking ------------------------------------------------------------------------------------

// What no block can hold, though each operation can be written by itself.
static const char *lacks_inside(const rml_graph *body)
{
    for (size_t i = 0; i < body->node_count; i++) {
        const rml_node *node = &body->nodes[i];
        for (int k = 0; k < node->out_count && !node->dead; k++) {
            const rml_value *value = &body->values[node->out + (rml_value_id)k];
            if (value->shape.rank < 0 || value->shape.rank > RML_EMIT_MAX_RANK)
                return "a value inside has more than 5 dimensions, or a number of them that only a "
                       "run tells";
        }
    }
    for (size_t k = 0; k < body->output_count; k++)
        if (!rml_emit_type_fits(body->values[body->outputs[k]].dtype))
            return "what a graph inside gives is of a type that programs have not";
    return NULL;
}

static const char *if_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    (void)opset;
    (void)graph;
    const char *why = lacks_inside(node->attr.control.body[0]);
    return why ? why : lacks_inside(node->attr.control.body[1]);
}

static const char *loop_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    (void)opset;
    const rml_control_attr *attr = &node->attr.control;
    const char *why = rml_loop_lacks(graph, node);
    if (!why && attr->states + STATES > RML_MAX_OUTPUTS)
        why = "too many values go from turn to turn";
    return why ? why : lacks_inside(attr->body[0]);
}

// ---- blocks -------------------------------------------------------------------------------------

// What the emitter has of the graph around.
typedef struct around {
    const rml_graph *graph;
    const bool *wide;
    rml_operand *operand, *view;
    rml_value_names names;
} around;

// The nodes of `body` are written from now on. False after a failure.
static bool enter(rml_emitter *e, const rml_graph *body, around *kept)
{
    *kept = (around){e->graph, e->wide, e->operand, e->view, e->names};
    rml_operand *operand = rml_emit_alloc(e, body->value_count, sizeof *operand);
    rml_operand *view = rml_emit_alloc(e, body->value_count, sizeof *view);
    rml_value_names names = {0};
    if (e->status == RML_OK)
        e->status = rml_name_graph(&e->naming, body, NULL, &names, &e->error);
    if (e->status != RML_OK)
        return false;
    e->graph = body;
    e->wide = NULL;
    e->operand = operand;
    e->view = view;
    e->names = names;
    return true;
}

static void leave(rml_emitter *e, const around *kept)
{
    e->graph = kept->graph;
    e->wide = kept->wide;
    e->operand = kept->operand;
    e->view = kept->view;
    e->names = kept->names;
}

// A value without dimensions, of one element.
static rml_operand scalar(rml_emitter *e, rml_operand x, const char *name)
{
    const rml_operand out = {rml_emit_name(e, name), x.dtype, {0}};
    int64_t axes[RML_MAX_RANK];
    if (x.shape.rank == 0)
        return x;
    for (int i = 0; i < x.shape.rank; i++)
        axes[i] = i;
    rml_emit_op op = rml_emit_begin(e, "squeeze", out);
    rml_emit_value(&op, "x", x);
    rml_emit_ints(&op, "axes", axes, x.shape.rank);
    return rml_emit_end(&op);
}

// Output `index` of the graph in hand, as a value that this block computes: a view may be of one
// around it.
static rml_operand given(rml_emitter *e, size_t index)
{
    const rml_value_id id = e->graph->outputs[index];
    rml_operand own = rml_emit_operand(e, id), out = own;
    out.name = e->names.value[id];
    return own.name == out.name ? own : rml_emit_unary(e, "identity", own, out);
}

static void begin_block(rml_emitter *e, const rml_operand *in, int count)
{
    rml_fields_begin(e->m, BLOCKS);
    for (int i = 0; i < count; i++)
        rml_emit_named_type(e->m, RML_MIL_BLOCK_INPUT, &in[i]);
}

// The outputs may stand behind the operations: they are fields of another number.
static void end_block(rml_emitter *e, const rml_operand *out, int count)
{
    for (int i = 0; i < count; i++)
        rml_fields_text(e->m, RML_MIL_BLOCK_OUTPUT, out[i].name);
    rml_fields_end(e->m);
}

// ---- branches -----------------------------------------------------------------------------------

static void write_branch(rml_emitter *e, const rml_graph *body, const rml_operand *captures)
{
    around kept;
    rml_operand out[RML_MAX_OUTPUTS];
    if (!enter(e, body, &kept))
        return;
    for (size_t i = 0; i < body->input_count; i++)
        e->operand[body->inputs[i]] = captures[i];
    begin_block(e, NULL, 0);
    rml_emit_nodes(e);
    for (size_t k = 0; k < body->output_count && e->status == RML_OK; k++)
        out[k] = given(e, k);
    if (e->status == RML_OK)
        end_block(e, out, (int)body->output_count);
    leave(e, &kept);
}

// All inputs of a node, written before its blocks are.
static rml_operand *take_inputs(rml_emitter *e, const rml_node *node)
{
    rml_operand *in = rml_emit_alloc(e, (size_t)node->in_count, sizeof *in);
    for (int i = 0; i < node->in_count && in; i++)
        if (rml_input_given(node, i))
            in[i] = rml_emit_in(e, node, i);
    return in;
}

static void emit_if(rml_emitter *e, const rml_node *node)
{
    const rml_control_attr *attr = &node->attr.control;
    rml_operand *in = take_inputs(e, node);
    if (!in)
        return;
    const rml_operand out = rml_emit_out(e, node, 0);
    const rml_operand pred = scalar(e, in[0], rml_emit_joined(e, out.name, "pred"));
    rml_emit_op op = rml_emit_begin(e, "cond", out);
    for (int k = 1; k < node->out_count; k++)
        rml_emit_also(&op, rml_emit_out(e, node, k));
    rml_emit_value(&op, "pred", pred);
    rml_emit_open(&op);
    write_branch(e, attr->body[0], in + 1);
    write_branch(e, attr->body[1], in + 1 + attr->body[0]->input_count);
    rml_emit_close(&op);
}

// ---- loops --------------------------------------------------------------------------------------

// What goes from turn to turn: the turn, whether to go on, and the states; the first two only where
// they are asked for.
typedef struct loop {
    const rml_node *node;
    const rml_graph *body;
    const rml_operand *in; // of the node
    const char *name;
    bool counts, asks;
    int count;                           // of variables
    rml_operand before[RML_MAX_OUTPUTS]; // the first turn
    rml_operand most;                    // turns, where there is such a number
} loop;

static rml_operand truth(rml_emitter *e, const loop *l, const char *part)
{
    return rml_emit_number(e, rml_emit_joined(e, l->name, part), 1, RML_BOOL);
}

static void take_loop(rml_emitter *e, loop *l)
{
    const bool limited = rml_input_given(l->node, TURN);
    l->counts = limited || l->body->values[l->body->inputs[TURN]].uses > 0;
    l->asks = rml_loop_asks(e->graph, l->node);
    if (limited)
        l->most = scalar(e, l->in[TURN], rml_emit_joined(e, l->name, "turns"));
    if (l->counts)
        l->before[l->count++] =
            rml_emit_number(e, rml_emit_joined(e, l->name, "first_turn"), 0, RML_I32);
    if (l->asks)
        l->before[l->count++] =
            rml_input_given(l->node, CONDITION)
                ? scalar(e, l->in[CONDITION], rml_emit_joined(e, l->name, "at_first"))
                : truth(e, l, "at_first");
    for (int k = 0; k < l->node->attr.control.states; k++)
        l->before[l->count++] = l->in[STATES + k];
}

// The inputs of a block, with names of its own.
static void name_variables(rml_emitter *e, const loop *l, const char *part, rml_operand *out)
{
    const int states = l->count - l->node->attr.control.states;
    for (int i = 0; i < l->count; i++) {
        const rml_shape *shape = i < states
                                     ? &l->before[i].shape
                                     : &l->body->values[l->body->inputs[STATES + i - states]].shape;
        const rml_operand named = {l->name, l->before[i].dtype, {0}};
        out[i] = rml_emit_part(e, &named, part, shape);
    }
}

static void write_condition(rml_emitter *e, const loop *l)
{
    rml_operand in[RML_MAX_OUTPUTS];
    const rml_operand named = {l->name, RML_BOOL, {0}};
    name_variables(e, l, "asked", in);
    begin_block(e, in, l->count);
    const rml_operand again = l->asks ? in[l->counts] : in[0];
    rml_operand out = rml_emit_part(e, &named, "again", &(rml_shape){0});
    if (!rml_input_given(l->node, TURN)) {
        rml_emit_unary(e, "identity", again, out);
    } else if (!l->asks) {
        rml_emit_binary(e, "less", in[0], l->most, out);
    } else {
        const rml_operand less = rml_emit_binary(
            e, "less", in[0], l->most, rml_emit_part(e, &named, "turns_left", &(rml_shape){0}));
        rml_emit_binary(e, "logical_and", again, less, out);
    }
    end_block(e, &out, 1);
}

static void write_turn(rml_emitter *e, const loop *l)
{
    const rml_graph *body = l->body;
    const int states = l->node->attr.control.states;
    rml_operand in[RML_MAX_OUTPUTS], out[RML_MAX_OUTPUTS];
    around kept;
    int at = 0;
    name_variables(e, l, "turn", in);
    if (!enter(e, body, &kept))
        return;
    begin_block(e, in, l->count);
    if (l->counts)
        e->operand[body->inputs[TURN]] = in[at++];
    if (l->asks)
        e->operand[body->inputs[CONDITION]] = in[at++];
    else if (body->values[body->inputs[CONDITION]].uses > 0)
        e->operand[body->inputs[CONDITION]] = truth(e, l, "always");
    for (size_t i = STATES; i < body->input_count; i++)
        e->operand[body->inputs[i]] = i < (size_t)(STATES + states) ? in[at++] : l->in[i];
    rml_emit_nodes(e);
    at = 0;
    if (l->counts && e->status == RML_OK)
        out[at++] =
            rml_emit_with(e, "add", in[0], 1, rml_emit_part(e, &in[0], "next", &(rml_shape){0}));
    if (l->asks && e->status == RML_OK)
        out[at++] = scalar(e, given(e, 0), rml_emit_joined(e, l->name, "next"));
    for (int k = 0; k < states && e->status == RML_OK; k++)
        out[at++] = given(e, (size_t)k + 1);
    if (e->status == RML_OK)
        end_block(e, out, l->count);
    leave(e, &kept);
}

static void emit_loop(rml_emitter *e, const rml_node *node)
{
    loop l = {.node = node, .body = node->attr.control.body[0], .in = take_inputs(e, node)};
    if (!l.in)
        return;
    l.name = rml_emit_out(e, node, 0).name;
    take_loop(e, &l);
    const int first = l.count - node->attr.control.states;
    rml_emit_op op = {.e = e, .type = "while_loop"};
    for (int i = 0; i < l.count; i++)
        rml_emit_also(&op, i >= first
                               ? rml_emit_out(e, node, i - first)
                               : rml_emit_part(e, &(rml_operand){l.name, l.before[i].dtype, {0}},
                                               "last", &(rml_shape){0}));
    rml_emit_tuple(&op, "loop_vars", l.before, l.count);
    rml_emit_open(&op);
    write_condition(e, &l);
    write_turn(e, &l);
    rml_emit_close(&op);
}

const rml_emit_row rml_emit_control[] = {
    {RML_OP_IF, if_lacks, emit_if},
    {RML_OP_LOOP, loop_lacks, emit_loop},
    {0},
};
