// Scans as loops: a turn picks its slices of what is scanned, and what it gives is stacked.
#include "writers/rewrite.h"

#include "tensor/tensor.h"

#include <string.h>

#define P(part) rml_part_name(l, node, part)

#define MOST_TURNS ((int64_t)1 << 20) // whose places may be listed in the file

enum { TURN, CONDITION, STATES }; // inputs of a loop and of its graph

typedef struct scan {
    const rml_node *node;
    const rml_graph *from; // its body
    int64_t turns;         // below 0: only a run tells
    rml_value_id *map;     // of from's values in the loop's body
    rml_value_id *in;      // of the loop
    rml_control_attr attr; // ... and what it is
} scan;

// Along which axis, from the front, of `rank` dimensions, scanned value or stack `k` goes.
static rml_scan_way way_of(const rml_control_attr *attr, int k, int rank)
{
    rml_scan_way way = attr->scan ? attr->scan[k] : (rml_scan_way){0, false};
    way.axis += way.axis < 0 ? rank : 0;
    return way;
}

// Of one length, which all that is scanned has, if only a run tells it.
static bool find_turns(const rml_lowering *l, scan *s)
{
    const rml_control_attr *attr = &s->node->attr.control;
    for (int k = 0; k < attr->scanned; k++) {
        const rml_shape shape = rml_lowered_shape(l, s->node->in[attr->states + k]);
        const int axis = way_of(attr, k, shape.rank).axis;
        if (axis < 0 || axis >= shape.rank || shape.dim[axis] == 0 ||
            (k && shape.dim[axis] >= 0 && s->turns >= 0 && shape.dim[axis] != s->turns))
            return false;
        if (k == 0 || s->turns < 0)
            s->turns = shape.dim[axis];
    }
    return attr->scanned > 0 && s->turns <= MOST_TURNS;
}

// ---- the body -----------------------------------------------------------------------------------

static rml_value_id copied(scan *s, rml_graph *to, rml_value_id id)
{
    if (id == RML_NO_VALUE)
        return id;
    if (s->map[id] == RML_NO_VALUE && s->from->values[id].kind == RML_VALUE_CONSTANT)
        s->map[id] = rml_graph_copy_constant(to, &s->from->values[id]);
    return s->map[id];
}

// The slice of input `k` that is scanned, of which the body has all.
static rml_value_id slice_of(rml_lowering *inside, const scan *s, rml_value_id all, int k)
{
    rml_lowering *l = inside;
    const rml_node *node = s->node;
    const rml_scan_way way = way_of(&node->attr.control, k, rml_lowered_shape(inside, all).rank);
    rml_value_id in[2] = {all, inside->to->inputs[TURN]};
    if (way.reverse && s->turns >= 0) // else it is turned around before
        in[1] = rml_lower_binary(inside, RML_BINARY_SUB,
                                 rml_lower_number(inside, in[1], (double)(s->turns - 1), P("end")),
                                 in[1], P("place"));
    const rml_op_attr axis = {.axis = {.axis = way.axis}};
    return rml_lower_node(inside, RML_OP_GATHER, &axis, in, 2, P("slice"));
}

// Inputs: the turn and the condition of a loop, the states, and what is read from around, which is
// what is scanned, too.
static void take_inputs(rml_lowering *inside, scan *s)
{
    const rml_control_attr *attr = &s->node->attr.control;
    rml_lowering *l = inside;
    const rml_node *node = s->node;
    rml_graph *to = inside->to;
    const rml_shape scalar = {0};
    rml_graph_typed_input(to, P("turn"), RML_I64, &scalar);
    rml_graph_typed_input(to, P("condition"), RML_BOOL, &scalar);
    for (size_t i = 0; i < s->from->input_count; i++) {
        const rml_value *value = &s->from->values[s->from->inputs[i]];
        const bool scanned = (int)i >= attr->states && (int)i < attr->states + attr->scanned;
        s->map[s->from->inputs[i]] = rml_graph_typed_input(
            to, value->name, value->dtype, scanned ? &s->attr.out_shapes[i] : &value->shape);
    }
    for (int k = 0; k < attr->scanned && to->error.status == RML_OK; k++) {
        rml_value_id *own = &s->map[s->from->inputs[attr->states + k]];
        *own = slice_of(inside, s, *own, k);
    }
}

static void copy_nodes(scan *s, rml_graph *to)
{
    for (size_t i = 0; i < s->from->node_count && to->error.status == RML_OK; i++) {
        const rml_node *node = &s->from->nodes[i];
        if (node->dead)
            continue;
        rml_value_id *in = rml_arena_alloc(&to->arena, (size_t)node->in_count + 1, sizeof *in);
        if (!in) {
            rml_graph_fail(to, RML_ERR_NOMEM, "out of memory for the body of a loop");
            return;
        }
        for (int k = 0; k < node->in_count; k++)
            in[k] = copied(s, to, node->in[k]);
        const rml_value_id out =
            rml_graph_node(to, node->op, &node->attr, in, node->in_count, node->name);
        for (int k = 0; k < node->out_count && out != RML_NO_VALUE; k++) {
            const rml_value_id id = node->out + (rml_value_id)k;
            s->map[id] = out + (rml_value_id)k;
            to->values[s->map[id]].shape = s->from->values[id].shape;
        }
    }
}

static rml_graph *make_body(rml_lowering *l, scan *s)
{
    const rml_node *node = s->node;
    const rml_op_attr same = {.cast = {.to = RML_BOOL}};
    rml_lowering inside = *l;
    inside.wave.conv = RML_NO_VALUE;
    inside.to = rml_graph_inside(l->to);
    if (!inside.to) {
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for the body of a loop");
        return NULL;
    }
    memset(s->map, 0xff, s->from->value_count * sizeof *s->map); // RML_NO_VALUE
    take_inputs(&inside, s);
    copy_nodes(s, inside.to);
    if (inside.to->error.status == RML_OK) {
        const rml_value_id go = inside.to->inputs[CONDITION];
        rml_graph_output(inside.to, P("again"),
                         rml_lower_node(&inside, RML_OP_CAST, &same, &go, 1, P("again")));
    }
    for (size_t i = 0; i < s->from->output_count && inside.to->error.status == RML_OK; i++)
        rml_graph_output(inside.to, s->from->output_names[i],
                         copied(s, inside.to, s->from->outputs[i]));
    rml_error error;
    const rml_status status = rml_graph_finish(inside.to, &error);
    if (status != RML_OK)
        rml_graph_fail(l->to, status, "%s", error.message);
    else
        rml_graph_count_uses(inside.to);
    return status == RML_OK ? inside.to : NULL;
}

// ---- the loop -----------------------------------------------------------------------------------

// Shapes of what is scanned while the body is made, and then of the loop's outputs.
static bool make_room(rml_lowering *l, scan *s)
{
    const rml_control_attr *attr = &s->node->attr.control;
    const size_t in_count = (size_t)s->node->in_count,
                 most = in_count > (size_t)attr->out_count ? in_count : (size_t)attr->out_count;
    rml_shape *shapes = rml_arena_alloc(&l->to->arena, most + 1, sizeof *shapes);
    s->map = rml_arena_alloc(&l->to->arena, s->from->value_count + 1, sizeof *s->map);
    s->in = rml_arena_alloc(&l->to->arena, in_count + STATES, sizeof *s->in);
    if (!shapes || !s->map || !s->in) {
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for a scan");
        return false;
    }
    for (size_t i = 0; i < in_count; i++)
        shapes[i] = rml_lowered_shape(l, s->node->in[i]);
    s->attr = (rml_control_attr){.out_count = attr->out_count,
                                 .out_types = attr->out_types,
                                 .out_shapes = shapes,
                                 .states = attr->states};
    return true;
}

static void describe_outputs(scan *s, rml_shape *shapes)
{
    const rml_control_attr *attr = &s->node->attr.control;
    for (int k = 0; k < attr->out_count; k++) {
        const rml_shape *turn = &s->from->values[s->from->outputs[k]].shape;
        shapes[k] = *turn;
        if (k < attr->states || turn->rank < 0 || turn->rank == RML_MAX_RANK)
            continue;
        shapes[k].rank++;
        shapes[k].dim[0] = s->turns;
        memcpy(shapes[k].dim + 1, turn->dim, (size_t)turn->rank * sizeof *turn->dim);
    }
}

// x along an axis from its end.
static rml_value_id backwards(rml_lowering *l, const scan *s, rml_value_id x, int along)
{
    const rml_node *node = s->node;
    const rml_op_attr axis = {.axis = {.axis = along}};
    const rml_shape scalar = {0};
    rml_value_id in[2] = {x, RML_NO_VALUE};
    if (s->turns < 0) {
        const rml_value_id turns = rml_lower_reshape(
            l, rml_lower_sizes(l, x, along, along + 1, P("size")), &scalar, P("size"));
        const rml_value_id ends[3] = {
            rml_lower_by_number(l, RML_BINARY_ADD, turns, -1, P("last_place")),
            rml_lower_number(l, turns, -1, P("end")), rml_lower_number(l, turns, -1, P("step"))};
        in[1] = rml_lower_node(l, RML_OP_RANGE, NULL, ends, 3, P("places"));
    } else {
        int64_t *places = rml_arena_alloc(&l->to->arena, (size_t)s->turns, sizeof *places);
        if (!places)
            return rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for a scan");
        for (int64_t i = 0; i < s->turns; i++)
            places[i] = s->turns - 1 - i;
        in[1] = rml_lower_ints(l, places, (size_t)s->turns, P("places"));
    }
    return rml_lower_node(l, RML_OP_GATHER, &axis, in, 2, P("backwards"));
}

// What is scanned, and how often it turns.
static void give_inputs(rml_lowering *l, scan *s)
{
    const rml_node *node = s->node;
    const rml_control_attr *attr = &node->attr.control;
    memcpy(s->in + STATES, node->in, (size_t)node->in_count * sizeof *s->in);
    s->in[CONDITION] = RML_NO_VALUE;
    if (s->turns >= 0) {
        s->in[TURN] = rml_lower_ints(l, &s->turns, 1, P("turns"));
        return;
    }
    for (int k = attr->scanned; k-- > 0;) {
        rml_value_id *x = &s->in[STATES + attr->states + k];
        const rml_scan_way way = way_of(attr, k, rml_lowered_shape(l, *x).rank);
        s->in[TURN] = rml_lower_sizes(l, *x, way.axis, way.axis + 1, P("turns"));
        if (way.reverse)
            *x = backwards(l, s, *x, way.axis);
    }
}

// What the turns stacked along the first axis, along the axis and in the order of the scan.
static rml_value_id laid(rml_lowering *l, const scan *s, rml_value_id x, int stack)
{
    const rml_node *node = s->node;
    const int rank = rml_lowered_shape(l, x).rank;
    const rml_scan_way way = way_of(&node->attr.control, node->attr.control.scanned + stack, rank);
    if (way.reverse)
        x = backwards(l, s, x, 0);
    int order[RML_MAX_RANK];
    for (int i = 0; i < rank; i++)
        order[i] = i == way.axis ? 0 : i < way.axis ? i + 1 : i;
    return way.axis ? rml_lower_transpose(l, x, order, rank, P("stacked")) : x;
}

bool rml_rewrite_scan(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    scan s = {.node = node, .from = node->attr.control.body[0]};
    if (node->op != RML_OP_SCAN || !find_turns(l, &s) || !make_room(l, &s))
        return false;
    s.attr.body[0] = make_body(l, &s);
    if (!s.attr.body[0])
        return true; // which the graph tells
    describe_outputs(&s, (rml_shape *)(uintptr_t)s.attr.out_shapes);
    give_inputs(l, &s);
    const rml_op_attr attr = {.control = s.attr};
    rml_lower_outputs(l, RML_OP_LOOP, &attr, s.in, node->in_count + STATES, node->name, out);
    for (int k = s.attr.states; k < s.attr.out_count && l->to->error.status == RML_OK; k++)
        out[k] = laid(l, &s, out[k], k - s.attr.states);
    return true;
}
