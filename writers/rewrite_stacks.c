// Loops that stack a value of every turn, where nothing tells how often they turn at most, or what
// sizes the values have: a stack that grows from turn to turn.
#include "writers/rewrite.h"

#include "tensor/dtype.h"

#include <stdio.h>
#include <string.h>

#define P(part) rml_part_name(l, node, part)

enum { TURN, CONDITION, STATES }; // inputs of a loop and of its graph

// What is stacked: rows of known sizes as (turns, sizes), others as one row of all elements, beside
// the sizes of the last one. A first row of zeros stands in front, for there are no tensors without
// elements.
typedef struct stack {
    rml_shape row; // of a value
    rml_dtype dtype;
    bool truth, open; // truth is stacked as numbers; sizes are not known
    int sizes;        // which state they are
} stack;

typedef struct growing {
    const rml_node *node;
    rml_graph *body;
    stack stack[RML_MAX_OUTPUTS];
    int count, added; // of stacks, and of states besides those the loop had
    rml_control_attr attr;
} growing;

static bool take_stacks(rml_lowering *l, growing *g)
{
    const rml_control_attr *attr = &g->node->attr.control;
    const rml_graph *body = attr->body[0];
    if (attr->out_count == attr->states ||
        (g->node->in[TURN] == RML_NO_VALUE && !rml_loop_asks(l->to, g->node)))
        return false;
    g->added = g->count = attr->out_count - attr->states;
    for (int k = 0; k < g->count; k++) {
        const rml_value *value = &body->values[body->outputs[1 + attr->states + k]];
        stack *s = &g->stack[k];
        *s = (stack){.row = value->shape,
                     .dtype = value->dtype == RML_BOOL ? RML_I64 : value->dtype,
                     .truth = value->dtype == RML_BOOL,
                     .open = !rml_shape_known(&value->shape)};
        if (value->shape.rank < 0 || value->shape.rank + 1 >= RML_MAX_RANK)
            return false;
        if (s->open)
            s->sizes = attr->states + g->added++;
    }
    return attr->states + g->added <= RML_MAX_OUTPUTS - STATES;
}

// Of the state that holds a stack; with `count` rows, -1 where they are many.
static rml_shape shape_of(const stack *s, int64_t count)
{
    rml_shape shape = {1, {count}};
    for (int i = 0; i < s->row.rank && !s->open; i++)
        shape.dim[shape.rank++] = s->row.dim[i];
    return shape;
}

// ---- a turn -------------------------------------------------------------------------------------

static rml_value_id grown(rml_lowering *inside, const growing *g, int k, rml_value_id before)
{
    rml_lowering *l = inside;
    const rml_node *node = g->node;
    const stack *s = &g->stack[k];
    const rml_op_attr first = {.concat = {0}}, whole = {.cast = {.to = RML_I64}};
    const rml_shape row = shape_of(s, s->open ? -1 : 1);
    rml_value_id value = g->body->outputs[1 + node->attr.control.states + k];
    if (s->truth)
        value = rml_lower_node(l, RML_OP_CAST, &whole, &value, 1, P("number"));
    const rml_value_id in[2] = {before, rml_lower_reshape(l, value, &row, P("row"))};
    return rml_lower_node(l, RML_OP_CONCAT, &first, in, 2, P("grown"));
}

static void write_turn(rml_lowering *l, growing *g)
{
    const rml_node *node = g->node;
    const size_t states = (size_t)node->attr.control.states;
    rml_lowering inside = *l;
    char name[32]; // inputs of a graph have different ones
    inside.to = g->body;
    inside.wave.conv = RML_NO_VALUE;
    rml_value_id values[RML_MAX_OUTPUTS];
    for (int k = 0; k < g->count; k++) {
        const stack *s = &g->stack[k];
        const rml_shape many = shape_of(s, -1);
        values[k] = g->body->outputs[1 + states + (size_t)k];
        snprintf(name, sizeof name, "stack_%d", k);
        const rml_value_id before =
            rml_loop_add_input(g->body, P(name), s->dtype, &many, STATES + states + (size_t)k);
        g->body->outputs[1 + states + (size_t)k] = grown(&inside, g, k, before);
    }
    for (int k = 0; k < g->count; k++) {
        const stack *s = &g->stack[k];
        if (!s->open)
            continue;
        const rml_shape list = {1, {s->row.rank}};
        snprintf(name, sizeof name, "sizes_%d", k);
        rml_loop_add_input(g->body, P(name), RML_I64, &list, STATES + (size_t)s->sizes);
        snprintf(name, sizeof name, "sizes_after_%d", k);
        rml_graph_output(g->body, P(name),
                         rml_lower_node(&inside, RML_OP_SHAPE, NULL, &values[k], 1, P("sizes")));
    }
    rml_error error;
    rml_status status = rml_graph_finish(g->body, &error);
    if (status == RML_OK)
        status = rml_graph_ports_changed(g->body, &error);
    if (status != RML_OK)
        rml_graph_fail(l->to, status, "%s", error.message);
    rml_graph_count_uses(g->body);
}

// ---- the loop -----------------------------------------------------------------------------------

static bool describe_loop(rml_lowering *l, growing *g)
{
    const rml_control_attr *old = &g->node->attr.control;
    const size_t count = (size_t)(old->states + g->added);
    rml_dtype *types = rml_arena_alloc(&l->to->arena, count, sizeof *types);
    rml_shape *shapes = rml_arena_alloc(&l->to->arena, count, sizeof *shapes);
    if (!types || !shapes) {
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for the outputs of a loop");
        return false;
    }
    memcpy(types, old->out_types, (size_t)old->states * sizeof *types);
    memcpy(shapes, old->out_shapes, (size_t)old->states * sizeof *shapes);
    for (int k = 0; k < g->count; k++) {
        const stack *s = &g->stack[k];
        types[old->states + k] = s->dtype;
        shapes[old->states + k] = shape_of(s, -1);
        if (s->open) {
            types[s->sizes] = RML_I64;
            shapes[s->sizes] = (rml_shape){1, {s->row.rank}};
        }
    }
    g->attr = *old;
    g->attr.states = g->attr.out_count = (int)count;
    g->attr.out_types = types;
    g->attr.out_shapes = shapes;
    return true;
}

// The row that stands in front, and sizes for no turn at all.
static void give_first(rml_lowering *l, const growing *g, rml_value_id *in)
{
    static const int64_t ones[RML_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
    const rml_node *node = g->node;
    for (int k = 0; k < g->count; k++) {
        const stack *s = &g->stack[k];
        const rml_shape shape = shape_of(s, 1);
        size_t count = 1;
        rml_shape_count(&shape, &count);
        void *zeros = rml_arena_alloc(&l->to->arena, count + 1, rml_dtype_size(s->dtype));
        if (!zeros) {
            rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for a constant");
            return;
        }
        const rml_stored stored = rml_stored_plain(zeros, s->dtype, &shape);
        in[STATES + node->attr.control.states + k] =
            rml_graph_typed_constant(l->to, P("none"), &stored);
        if (s->open)
            in[STATES + s->sizes] = rml_lower_ints(l, ones, (size_t)s->row.rank, P("no_sizes"));
    }
}

// Without the first row, in the shape and type that the loop gives.
static rml_value_id given(rml_lowering *l, const growing *g, int k, const rml_value_id *made)
{
    static const int64_t turns[1] = {-1};
    const rml_node *node = g->node;
    const stack *s = &g->stack[k];
    const rml_op_attr first = {.concat = {0}}, truth = {.cast = {.to = RML_BOOL}};
    rml_value_id rows = rml_lower_slice(l, made[node->attr.control.states + k], 0, 1, INT32_MAX,
                                        s->open ? P("elements") : P("stacked"));
    if (s->open) {
        const rml_value_id sizes[2] = {rml_lower_ints(l, turns, 1, P("turns")), made[s->sizes]};
        const rml_value_id in[2] = {rows,
                                    rml_lower_node(l, RML_OP_CONCAT, &first, sizes, 2, P("shape"))};
        rows = rml_lower_node(l, RML_OP_RESHAPE, NULL, in, 2, P("stacked"));
    }
    return s->truth ? rml_lower_node(l, RML_OP_CAST, &truth, &rows, 1, P("truth")) : rows;
}

bool rml_rewrite_stacks(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    const rml_control_attr *attr = &node->attr.control;
    growing g = {.node = node};
    if (node->op != RML_OP_LOOP || !take_stacks(l, &g) || !describe_loop(l, &g))
        return false;
    const int in_count = node->in_count + g.added, old = STATES + attr->states;
    rml_value_id *in = rml_arena_alloc(&l->to->arena, (size_t)in_count, sizeof *in);
    if (!in) {
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for the inputs of a loop");
        return false;
    }
    // The body is one that lowering has just made for this node.
    g.body = (rml_graph *)(uintptr_t)attr->body[0];
    write_turn(l, &g);
    memcpy(in, node->in, (size_t)old * sizeof *in);
    give_first(l, &g, in);
    memcpy(in + old + g.added, node->in + old, (size_t)(node->in_count - old) * sizeof *in);
    rml_value_id made[RML_MAX_OUTPUTS];
    const rml_op_attr wrapped = {.control = g.attr};
    rml_lower_outputs(l, RML_OP_LOOP, &wrapped, in, in_count, node->name, made);
    for (int k = 0; k < attr->out_count && l->to->error.status == RML_OK; k++)
        out[k] = k < attr->states ? made[k] : given(l, &g, k - attr->states, made);
    return true;
}
