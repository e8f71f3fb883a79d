// Recurrent layers of both directions as one of each; and gated ones that reset behind the
// recursion, as PyTorch's do, as scans.
#include "ops/recurrent/rnn.h"
#include "writers/rewrite.h"

#include <math.h>
#include <string.h>

#define P(part) rml_part_name(l, node, part)

enum { INPUTS = RML_RNN_PEEPHOLES + 1 };

static bool is_given(const rml_node *node, int index)
{
    return index < node->in_count && node->in[index] != RML_NO_VALUE;
}

// Weights and biases are constants where they are given.
static bool has_weights(const rml_lowering *l, const rml_node *node)
{
    static const int weights[] = {RML_RNN_W, RML_RNN_R, RML_RNN_BIAS, RML_RNN_PEEPHOLES};
    for (int i = 0; i < 4; i++)
        if (is_given(node, weights[i]) &&
            l->to->values[node->in[weights[i]]].kind != RML_VALUE_CONSTANT)
            return false;
    return true;
}

// All elements of a constant; NULL when memory is out.
static float *numbers_of(rml_lowering *l, rml_value_id id, size_t *count)
{
    const rml_value *value = &l->to->values[id];
    *count = 0;
    float *numbers = rml_shape_count(&value->shape, count)
                         ? rml_arena_alloc(&l->to->arena, *count + 1, sizeof *numbers)
                         : NULL;
    if (!numbers)
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for weights");
    else
        rml_constant_copy(value->constant, RML_F32, numbers);
    return numbers;
}

static rml_value_id weight(rml_graph *graph, const float *numbers, const rml_shape *shape,
                           const char *name)
{
    const rml_stored stored = rml_stored_f32(numbers, shape);
    return numbers ? rml_graph_typed_constant(graph, name, &stored) : RML_NO_VALUE;
}

// ---- directions ---------------------------------------------------------------------------------

// What an input has of one direction.
static rml_value_id part_of(rml_lowering *l, const rml_node *node, int index, int direction)
{
    const rml_value_id id = node->in[index];
    rml_shape shape = rml_lowered_shape(l, id);
    size_t count;
    if (l->to->values[id].kind != RML_VALUE_CONSTANT)
        return rml_lower_slice(l, id, 0, direction, direction + 1, P("state"));
    const float *numbers = numbers_of(l, id, &count);
    shape.dim[0] = 1;
    return weight(l->to, numbers ? numbers + (size_t)direction * (count / 2) : NULL, &shape,
                  P(direction ? "backwards" : "forwards"));
}

bool rml_rewrite_directions(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    const rml_rnn_attr *rnn = &node->attr.rnn;
    if (node->op != RML_OP_RNN || rnn->directions != 2 || rnn->batch_first ||
        rnn->kind == RML_RNN_LSTM || is_given(node, RML_RNN_LENGTHS) || !has_weights(l, node))
        return false;
    rml_value_id made[2][RML_MAX_OUTPUTS];
    for (int d = 0; d < 2; d++) {
        rml_value_id in[INPUTS];
        rml_op_attr attr = node->attr;
        attr.rnn.directions = 1;
        attr.rnn.reverse = d == 1;
        memcpy(attr.rnn.act, rnn->act + 3 * d, 3 * sizeof *rnn->act);
        in[RML_RNN_X] = node->in[RML_RNN_X];
        for (int k = 1; k < node->in_count; k++)
            in[k] = is_given(node, k) ? part_of(l, node, k, d) : RML_NO_VALUE;
        rml_lower_outputs(l, RML_OP_RNN, &attr, in, node->in_count, P(d ? "back" : "forth"),
                          made[d]);
    }
    for (int k = 0; k < node->out_count; k++) {
        const rml_op_attr attr = {.concat = {k == 0 ? 1 : 0}}; // [T,D,N,H] or [D,N,H]
        const rml_value_id both[2] = {made[0][k], made[1][k]};
        out[k] = rml_lower_node(l, RML_OP_CONCAT, &attr, both, 2, k == 0 ? node->name : P("last"));
    }
    return true;
}

// ---- gated recurrent units ----------------------------------------------------------------------

typedef struct gru {
    const rml_node *node;
    rml_lowering *around; // whose values the node's inputs are
    rml_activation gate, candidate;
    rml_shape x;    // [T,N,I]
    int64_t hidden; // H
} gru;

// x times a weight [1,3H,columns] of the node, and its half of the biases [1,6H].
static rml_value_id product(rml_lowering *l, const gru *g, rml_value_id x, rml_value_id rows,
                            rml_value_id bias, int half, const char *name)
{
    const rml_node *node = g->node;
    const size_t all = 3 * (size_t)g->hidden;
    size_t count;
    const float *from = numbers_of(g->around, rows, &count);
    float *turned = rml_arena_alloc(&l->to->arena, count + 1, sizeof *turned);
    if (!from || !turned)
        return rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for weights");
    const size_t columns = count / all;
    for (size_t i = 0; i < all; i++)
        for (size_t k = 0; k < columns; k++)
            turned[k * all + i] = from[i * columns + k];
    const rml_op_attr attr = {.matmul = rml_matmul_plain(false, false)};
    const rml_shape matrix = {2, {(int64_t)columns, (int64_t)all}}, row = {1, {(int64_t)all}};
    const rml_value_id in[2] = {x, weight(l->to, turned, &matrix, P("weight"))};
    const rml_value_id y = rml_lower_node(l, RML_OP_MATMUL, &attr, in, 2, name);
    const float *biases = bias == RML_NO_VALUE ? NULL : numbers_of(g->around, bias, &count);
    return !biases ? y
                   : rml_lower_binary(l, RML_BINARY_ADD, y,
                                      weight(l->to, biases + (size_t)half * all, &row, P("bias")),
                                      P("biased"));
}

static rml_value_id activated(rml_lowering *l, const rml_activation *act, rml_value_id x,
                              const char *name)
{
    const rml_op_attr attr = {.unary = *act};
    return rml_lower_node(l, RML_OP_UNARY, &attr, &x, 1, name);
}

// A step: gates z and r, the candidate, and what lies between it and the state by z.
static rml_graph *make_step(gru *g, const rml_shape *state, const rml_shape *share)
{
    const rml_node *node = g->node;
    const int64_t units = g->hidden;
    rml_lowering inside = *g->around, *l = &inside;
    inside.wave.conv = RML_NO_VALUE;
    inside.to = rml_graph_inside(g->around->to);
    if (!inside.to)
        return NULL;
    const rml_value_id bias = is_given(node, RML_RNN_BIAS) ? node->in[RML_RNN_BIAS] : RML_NO_VALUE;
    const rml_value_id h = rml_graph_typed_input(inside.to, P("state"), RML_F32, state);
    const rml_value_id x = rml_graph_typed_input(inside.to, P("share"), RML_F32, share);
    const rml_value_id y = product(l, g, h, node->in[RML_RNN_R], bias, 1, P("recursion"));
    const rml_value_id sum =
        rml_lower_binary(l, RML_BINARY_ADD, rml_lower_slice(l, x, 1, 0, 2 * units, P("input_part")),
                         rml_lower_slice(l, y, 1, 0, 2 * units, P("state_part")), P("gates_sum"));
    const rml_value_id gates = activated(l, &g->gate, sum, P("gates"));
    const rml_value_id update = rml_lower_slice(l, gates, 1, 0, units, P("update"));
    const rml_value_id kept = rml_lower_binary(
        l, RML_BINARY_MUL, rml_lower_slice(l, gates, 1, units, 2 * units, P("reset")),
        rml_lower_slice(l, y, 1, 2 * units, 3 * units, P("state_candidate")), P("kept"));
    const rml_value_id fresh =
        activated(l, &g->candidate,
                  rml_lower_binary(l, RML_BINARY_ADD,
                                   rml_lower_slice(l, x, 1, 2 * units, 3 * units, P("candidate")),
                                   kept, P("candidate_sum")),
                  P("fresh"));
    const rml_value_id way = rml_lower_binary(l, RML_BINARY_SUB, h, fresh, P("way"));
    const rml_value_id next =
        rml_lower_binary(l, RML_BINARY_ADD, fresh,
                         rml_lower_binary(l, RML_BINARY_MUL, update, way, P("part")), P("next"));
    rml_graph_output(inside.to, P("next"), next);
    rml_graph_output(inside.to, P("step"), next);
    rml_error error;
    const rml_status status = rml_graph_finish(inside.to, &error);
    if (status != RML_OK)
        rml_graph_fail(g->around->to, status, "%s", error.message);
    rml_graph_count_uses(inside.to);
    return inside.to;
}

// [N,H] at first: what is given, or zeros.
static rml_value_id first_state(rml_lowering *l, const gru *g, const rml_shape *state)
{
    const rml_node *node = g->node;
    size_t count = 0;
    if (is_given(node, RML_RNN_H0))
        return rml_lower_reshape(l, node->in[RML_RNN_H0], state, P("first"));
    rml_shape_count(state, &count);
    const float *zeros = rml_arena_alloc(&l->to->arena, count + 1, sizeof *zeros);
    if (!zeros)
        return rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for a state");
    return weight(l->to, zeros, state, P("first"));
}

// Whether the layer is such a one; fills `g`.
static bool find_gru(rml_lowering *l, const rml_node *node, gru *g)
{
    const rml_rnn_attr *rnn = &node->attr.rnn;
    *g = (gru){.node = node, .around = l};
    if (node->op != RML_OP_RNN || rnn->kind != RML_RNN_GRU || !rnn->linear_before_reset ||
        rnn->directions != 1 || rnn->batch_first || rnn->clip < INFINITY ||
        is_given(node, RML_RNN_LENGTHS) || !has_weights(l, node) ||
        !rml_rnn_unary(&rnn->act[0], &g->gate) || !rml_rnn_unary(&rnn->act[1], &g->candidate))
        return false;
    g->x = rml_lowered_shape(l, node->in[RML_RNN_X]);
    g->hidden = rml_lowered_shape(l, node->in[RML_RNN_R]).dim[2];
    const bool steps_of_one_size = g->x.rank == 3 && g->x.dim[1] >= 0 && g->x.dim[2] >= 0;
    return steps_of_one_size && g->hidden > 0;
}

// What the scan's attributes point to.
typedef struct lists {
    rml_shape shapes[2];
    rml_scan_way ways[2];
    rml_dtype types[2];
} lists;

bool rml_rewrite_gru(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    gru g;
    if (!find_gru(l, node, &g))
        return false;
    const int64_t steps = g.x.dim[0], batch = g.x.dim[1], units = g.hidden;
    const bool reverse = node->attr.rnn.reverse;
    const rml_shape state = {2, {batch, units}}, share = {2, {batch, 3 * units}},
                    last = {3, {1, batch, units}}, all = {4, {steps, 1, batch, units}};
    lists *kept = rml_arena_alloc(&l->to->arena, 1, sizeof *kept);
    const rml_graph *step = make_step(&g, &state, &share);
    if (!kept || !step) {
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for the steps of a layer");
        return true;
    }
    *kept = (lists){
        {state, {3, {steps, batch, units}}}, {{0, reverse}, {0, reverse}}, {RML_F32, RML_F32}};
    const rml_op_attr attr = {.control = {.body = {step},
                                          .out_count = 2,
                                          .out_types = kept->types,
                                          .out_shapes = kept->shapes,
                                          .states = 1,
                                          .scanned = 1,
                                          .scan = kept->ways}};
    const rml_value_id bias = is_given(node, RML_RNN_BIAS) ? node->in[RML_RNN_BIAS] : RML_NO_VALUE;
    const rml_value_id in[2] = {
        first_state(l, &g, &state),
        product(l, &g, node->in[RML_RNN_X], node->in[RML_RNN_W], bias, 0, P("shares"))};
    rml_value_id made[RML_MAX_OUTPUTS];
    rml_lower_outputs(l, RML_OP_SCAN, &attr, in, 2, P("steps"), made);
    out[0] = rml_lower_reshape(l, made[1], &all, node->name);
    out[1] = rml_lower_reshape(l, made[0], &last, P("last"));
    return true;
}
