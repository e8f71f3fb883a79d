// Lowering the graphs inside nodes.
#include "writers/lower_inside.h"

#include "graph/passes/passes.h"
#include "tensor/tensor.h"

#include <string.h>

// Inputs of a body in front of its states: the turn and the condition of a loop.
static int first_state(const rml_node *node)
{
    return node->op == RML_OP_LOOP ? 2 : 0;
}

// Inputs of a body that its node gives by rule; those behind them are captured.
static size_t own_inputs(const rml_node *node)
{
    const rml_control_attr *attr = &node->attr.control;
    return (size_t)(first_state(node) + attr->states + attr->scanned);
}

// ---- what goes from turn to turn ----------------------------------------------------------------

// The shapes that states have at first; they keep them unless a turn says otherwise.
static void begin_states(const rml_lowering *l, const rml_node *node, const rml_value_id *in,
                         rml_given *given)
{
    const int first = first_state(node);
    for (int k = first; k < first + node->attr.control.states; k++)
        given[k].shape = l->to->values[in[k]].shape;
}

// Whether a turn leaves the states in the shapes that it got them in. Sizes that it changes are
// not known from then on.
static bool keeps_states(const rml_node *node, const rml_graph *body, rml_given *given)
{
    const int first = first_state(node), out = node->op == RML_OP_LOOP ? 1 : 0;
    bool same = true;
    for (int k = 0; k < node->attr.control.states; k++) {
        rml_shape *before = &given[first + k].shape;
        const rml_shape after =
            rml_graph_common_shape(before, &body->values[body->outputs[out + k]].shape);
        same = same && rml_shape_equal(before, &after);
        *before = after;
    }
    return same;
}

// ---- bodies -------------------------------------------------------------------------------------

// One body of the node, whose captures begin at in[captures].
static rml_status lower_body(rml_lowering *l, rml_node *node, int number, const rml_value_id *in,
                             const rml_value_id *captures, rml_given *given, rml_error *err)
{
    const rml_graph *from = node->attr.control.body[number];
    const size_t own = own_inputs(node), refused = l->refused->count;
    size_t changed = 0;
    for (size_t i = 0; i < from->input_count; i++)
        given[i] = (rml_given){.shape = {.rank = RML_RANK_UNKNOWN}};
    for (size_t i = own; i < from->input_count; i++) {
        const rml_value *value = &l->to->values[captures[i - own]];
        given[i].shape = value->shape;
        if (l->target->fixed_weights && value->kind == RML_VALUE_CONSTANT)
            given[i].constant = value;
    }
    begin_states(l, node, in, given);
    for (;;) {
        rml_lowering inside = *l;
        inside.wave.conv = RML_NO_VALUE; // which is of the graph around
        inside.to = rml_graph_inside(l->to);
        if (!inside.to)
            return rml_fail_nomem(err, sizeof *inside.to, "a graph to be written");
        RML_TRY(rml_lower_graph(&inside, from, given, err));
        RML_TRY(rml_pass_fold_const(inside.to, &changed, err));
        RML_TRY(rml_pass_dce(inside.to, &changed, err));
        rml_graph_count_uses(inside.to);
        node->attr.control.body[number] = inside.to;
        if (keeps_states(node, inside.to, given))
            return RML_OK;
        l->refused->count = refused; // it is looked at again
    }
}

static const rml_shape *output_shape(const rml_graph *body, int k)
{
    return &body->values[body->outputs[k]].shape;
}

// What both branches have in common is known of the outputs, and of states what all turns have.
static rml_status infer_outputs(rml_lowering *l, rml_node *node, const rml_given *given,
                                rml_error *err)
{
    rml_control_attr *attr = &node->attr.control;
    const rml_given *states = given + first_state(node);
    rml_shape *shapes = rml_arena_alloc(&l->to->arena, (size_t)attr->out_count, sizeof *shapes);
    if (!shapes)
        return rml_fail_nomem(err, sizeof *shapes, "a graph to be written");
    for (int k = 0; k < attr->out_count; k++)
        shapes[k] = node->op == RML_OP_IF ? rml_graph_common_shape(output_shape(attr->body[0], k),
                                                                   output_shape(attr->body[1], k))
                    : k < attr->states    ? states[k].shape
                                          : attr->out_shapes[k];
    attr->out_shapes = shapes;
    return RML_OK;
}

rml_status rml_lower_inside(rml_lowering *l, rml_node *node, rml_value_id *in, rml_error *err)
{
    rml_control_attr *attr = &node->attr.control;
    size_t most = 0, at = node->op == RML_OP_IF ? 1 : own_inputs(node), kept = at;
    for (int k = 0; k < 2 && attr->body[k]; k++)
        most = attr->body[k]->input_count > most ? attr->body[k]->input_count : most;
    rml_given *given = rml_arena_alloc(&l->to->arena, most + 1, sizeof *given);
    if (!given)
        return rml_fail_nomem(err, most * sizeof *given, "a graph to be written");
    for (int k = 0; k < 2 && attr->body[k]; k++) {
        const size_t own = own_inputs(node), count = attr->body[k]->input_count;
        RML_TRY(lower_body(l, node, k, in, in + at, given, err));
        for (size_t i = own; i < count; i++, at++)
            if (!given[i].constant)
                in[kept++] = in[at];
    }
    node->in_count = (int)kept;
    return infer_outputs(l, node, given, err);
}
