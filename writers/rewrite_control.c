// Loops that stack a value of every turn, as loops that write it to its place. The room for it is a
// constant where the most turns are one, and else made when the loop begins.
#include "writers/rewrite.h"

#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

#define P(part) rml_part_name(l, node, part)
#define MOST_STACKED ((size_t)1 << 20) // elements, which are zeros in the file

enum { TURN, CONDITION, STATES }; // inputs of a loop and of its graph

// ---- looking ------------------------------------------------------------------------------------

// The one element of a constant.
static bool take_one(const rml_graph *graph, rml_value_id id, rml_dtype dtype, void *out)
{
    const rml_value *value = id == RML_NO_VALUE ? NULL : &graph->values[id];
    size_t count;
    if (!value || value->kind != RML_VALUE_CONSTANT || value->dtype != dtype ||
        !rml_shape_count(&value->shape, &count) || count != 1)
        return false;
    rml_constant_copy(value->constant, dtype, out);
    return true;
}

// What a value is: outputs of graphs are what a node computes, be it a cast to the same type.
static rml_value_id source_of(const rml_graph *graph, rml_value_id id)
{
    while (graph->values[id].kind == RML_VALUE_ACTIVATION) {
        const rml_node *node = &graph->nodes[graph->values[id].producer];
        if (node->op != RML_OP_CAST || graph->values[node->in[0]].dtype != graph->values[id].dtype)
            break;
        id = node->in[0];
    }
    return id;
}

static bool is_true(const rml_graph *graph, rml_value_id id)
{
    uint8_t truth = 0;
    return id == RML_NO_VALUE || (take_one(graph, id, RML_BOOL, &truth) && truth);
}

bool rml_loop_asks(const rml_graph *graph, const rml_node *node)
{
    const rml_graph *body = node->attr.control.body[0];
    const rml_value_id again = source_of(body, body->outputs[0]);
    return !is_true(graph, node->in[CONDITION]) ||
           (!is_true(body, again) && again != body->inputs[CONDITION]);
}

const char *rml_loop_lacks(const rml_graph *graph, const rml_node *node)
{
    const rml_control_attr *attr = &node->attr.control;
    if (attr->out_count > attr->states)
        return node->in[TURN] == RML_NO_VALUE && !rml_loop_asks(graph, node)
                   ? "nothing ends it"
                   : "it stacks values of a number of dimensions that only the run tells, or too "
                     "many of them";
    return node->in[TURN] == RML_NO_VALUE && !rml_loop_asks(graph, node) ? "nothing ends it" : NULL;
}

// The room for what output `output` of the turns gives: (turns, sizes of one). False where the
// sizes are not known, or it is large.
static bool find_room(const rml_graph *body, size_t output, int64_t turns, rml_shape *room)
{
    const rml_value *value = &body->values[body->outputs[output]];
    size_t count;
    if (!rml_shape_known(&value->shape) || value->shape.rank >= RML_MAX_RANK ||
        value->dtype == RML_BOOL)
        return false;
    room->rank = value->shape.rank + 1;
    room->dim[0] = turns;
    memcpy(room->dim + 1, value->shape.dim, (size_t)value->shape.rank * sizeof *room->dim);
    if (turns < 0)
        room->dim[0] = 1; // a row at least
    const bool fits = rml_shape_count(room, &count) && count > 0 && count <= MOST_STACKED;
    room->dim[0] = turns;
    return fits;
}

// ---- stacks -------------------------------------------------------------------------------------

typedef struct stacks {
    const rml_node *node;
    rml_graph *body;
    int count;     // of stacked values
    int64_t turns; // -1: only a run tells
    bool ends;     // ... at most: how many turns there were is a state of its own
    rml_shape room[RML_MAX_OUTPUTS];
    rml_control_attr attr; // of the new loop
} stacks;

// 0, 1, .. below `turns`, which has one element.
static rml_value_id places(rml_lowering *l, rml_value_id turns, const char *name)
{
    const rml_shape scalar = {0};
    if (rml_lowered_shape(l, turns).rank != 0)
        turns = rml_lower_reshape(l, turns, &scalar, name);
    const rml_value_id ends[3] = {rml_lower_number(l, turns, 0, name), turns,
                                  rml_lower_number(l, turns, 1, name)};
    return rml_lower_node(l, RML_OP_RANGE, NULL, ends, 3, name);
}

// Rows of zeros, of which there are as many as turns.
static rml_value_id make_room(rml_lowering *l, const stacks *s, rml_dtype dtype,
                              const rml_shape *room)
{
    const rml_node *node = s->node;
    const rml_op_attr axis = {.axis = {.axis = 0}};
    rml_shape shape = *room;
    size_t count = 0;
    if (s->turns < 0)
        shape.dim[0] = 1;
    rml_shape_count(&shape, &count);
    void *data = rml_arena_alloc(&l->to->arena, count, rml_dtype_size(dtype));
    if (!data)
        return rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for a constant");
    const rml_stored stored = rml_stored_plain(data, dtype, &shape);
    const rml_value_id rows = rml_graph_typed_constant(l->to, P("rows"), &stored);
    if (s->turns >= 0)
        return rows;
    const rml_value_id first = rml_lower_by_number(
        l, RML_BINARY_MUL, places(l, node->in[TURN], P("turn")), 0, P("first_row"));
    const rml_value_id in[2] = {rows, first};
    return rml_lower_node(l, RML_OP_GATHER, &axis, in, 2, P("room"));
}

rml_value_id rml_loop_add_input(rml_graph *body, const char *name, rml_dtype dtype,
                                const rml_shape *shape, size_t place)
{
    const rml_value_id id = rml_graph_typed_input(body, name, dtype, shape);
    if (id == RML_NO_VALUE)
        return id;
    memmove(body->inputs + place + 1, body->inputs + place,
            (body->input_count - 1 - place) * sizeof *body->inputs);
    body->inputs[place] = id;
    return id;
}

// A turn writes its values to their places.
static void write_places(rml_lowering *l, stacks *s)
{
    const rml_node *node = s->node;
    const size_t states = (size_t)node->attr.control.states;
    const rml_shape one = {2, {1, 1}}, scalar = {0};
    const rml_op_attr set = {.scatter = {.kind = RML_SCATTER_SET}};
    rml_lowering inside = *l;
    inside.to = s->body;
    inside.wave.conv = RML_NO_VALUE;
    const rml_value_id turn = s->body->inputs[TURN];
    const rml_value_id place = rml_lower_reshape(&inside, turn, &one, P("place"));
    for (int k = 0; k < s->count; k++) {
        const size_t output = 1 + states + (size_t)k;
        const rml_value_id value = s->body->outputs[output];
        rml_shape row = s->room[k];
        char name[32]; // inputs of a graph have different ones
        snprintf(name, sizeof name, "stack_%d", k);
        row.dim[0] = 1;
        const rml_value_id in[3] = {rml_loop_add_input(s->body, P(name),
                                                       s->body->values[value].dtype, &s->room[k],
                                                       STATES + states + (size_t)k),
                                    place, rml_lower_reshape(&inside, value, &row, P("row"))};
        s->body->outputs[output] =
            rml_lower_node(&inside, RML_OP_SCATTER_ND, &set, in, 3, P("stacked"));
    }
    if (s->ends) {
        rml_loop_add_input(s->body, P("turns"), RML_I64, &scalar,
                           STATES + states + (size_t)s->count);
        rml_graph_output(s->body, P("turns_after"),
                         rml_lower_by_number(&inside, RML_BINARY_ADD, turn, 1, P("count")));
    }
    rml_error error;
    rml_status status = rml_graph_finish(s->body, &error);
    if (status == RML_OK)
        status = rml_graph_ports_changed(s->body, &error);
    if (status != RML_OK)
        rml_graph_fail(l->to, status, "%s", error.message);
}

static bool describe_loop(rml_lowering *l, stacks *s)
{
    const rml_control_attr *old = &s->node->attr.control;
    const size_t count = (size_t)s->attr.out_count;
    rml_dtype *types = rml_arena_alloc(&l->to->arena, count, sizeof *types);
    rml_shape *shapes = rml_arena_alloc(&l->to->arena, count, sizeof *shapes);
    if (!types || !shapes) {
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for the outputs of a loop");
        return false;
    }
    memcpy(types, old->out_types, (size_t)old->out_count * sizeof *types);
    memcpy(shapes, old->out_shapes, (size_t)old->out_count * sizeof *shapes);
    memcpy(shapes + old->states, s->room, (size_t)s->count * sizeof *shapes);
    if (s->ends) {
        types[count - 1] = RML_I64;
        shapes[count - 1] = (rml_shape){0};
    }
    s->attr.out_types = types;
    s->attr.out_shapes = shapes;
    return true;
}

// The rows of as many turns as there were.
static rml_value_id first_rows(rml_lowering *l, rml_value_id stack, rml_value_id turns,
                               const char *name, const char *part)
{
    const rml_op_attr axis = {.axis = {.axis = 0}};
    const rml_value_id in[2] = {stack, places(l, turns, part)};
    return rml_lower_node(l, RML_OP_GATHER, &axis, in, 2, name);
}

bool rml_rewrite_loop(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    const rml_control_attr *attr = &node->attr.control;
    stacks s = {.node = node};
    if (node->op != RML_OP_LOOP || attr->out_count == attr->states ||
        node->in[TURN] == RML_NO_VALUE)
        return false;
    s.count = attr->out_count - attr->states;
    s.ends = rml_loop_asks(l->to, node);
    if (l->to->values[node->in[TURN]].kind != RML_VALUE_CONSTANT && !s.ends)
        s.turns = -1;
    else if (!take_one(l->to, node->in[TURN], RML_I64, &s.turns) || s.turns < 1)
        return false;
    for (int k = 0; k < s.count; k++)
        if (!find_room(attr->body[0], (size_t)(1 + attr->states + k), s.turns, &s.room[k]))
            return false;
    s.attr = *attr;
    s.attr.states = s.attr.out_count = attr->out_count + s.ends;
    const int in_count = node->in_count + s.count + s.ends;
    rml_value_id *in = rml_arena_alloc(&l->to->arena, (size_t)in_count, sizeof *in);
    if (!in)
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for the inputs of a loop");
    if (s.attr.states > RML_MAX_OUTPUTS || !in || !describe_loop(l, &s))
        return false;
    // The body is one that lowering has just made for this node.
    s.body = (rml_graph *)(uintptr_t)attr->body[0];
    write_places(l, &s);
    const int old = STATES + attr->states;
    int at = old;
    memcpy(in, node->in, (size_t)old * sizeof *in);
    for (int k = 0; k < s.count; k++)
        in[at++] = make_room(l, &s, attr->out_types[attr->states + k], &s.room[k]);
    if (s.ends)
        in[at++] = rml_lower_number(l, node->in[TURN], 0, P("none"));
    memcpy(in + at, node->in + old, (size_t)(node->in_count - old) * sizeof *in);
    rml_value_id made[RML_MAX_OUTPUTS];
    const rml_op_attr wrapped = {.control = s.attr};
    rml_graph_count_uses(s.body);
    rml_lower_outputs(l, RML_OP_LOOP, &wrapped, in, in_count, node->name, made);
    for (int k = 0; k < attr->out_count; k++)
        out[k] = s.ends && k >= attr->states
                     ? first_rows(l, made[k], made[s.attr.states - 1], P("stacked"), P("turn"))
                     : made[k];
    return true;
}
