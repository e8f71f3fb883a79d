// Recurrent layers: blobs of (Seq,B,C,1,1) in and out. Biases of input and state are one here.
#include "writers/coreml/nn.h"

#include "ops/recurrent/rnn.h"

#include <string.h>

enum { MOST_GATES = 4, MOST_OUTPUTS = 5 };
enum { Y, H, C };

#define CELL_CLIP 500.0f // as coremltools writes it: beyond what trained networks reach

// Where each gate's numbers go; gates are in the operator's order.
typedef struct gate_fields {
    uint32_t weight[MOST_GATES], recursion[MOST_GATES], bias[MOST_GATES], peephole[3];
} gate_fields;

static const gate_fields lstm = {{1, 4, 2, 3}, {20, 23, 21, 22}, {40, 43, 41, 42}, {60, 62, 61}};
static const gate_fields torch_lstm = {
    {1, 2, 3, 4}, {20, 21, 22, 23}, {40, 41, 42, 43}, {60, 62, 61}};
static const gate_fields gru = {{30, 31, 32}, {50, 51, 52}, {70, 71, 72}, {0}};
static const gate_fields simple = {{30}, {31}, {32}, {0}};

static const gate_fields *fields_of(const rml_rnn_attr *rnn)
{
    return rnn->kind == RML_RNN_PLAIN ? &simple
           : rnn->kind == RML_RNN_GRU ? &gru
           : rnn->torch_gates         ? &torch_lstm
                                      : &lstm;
}

static size_t gates_of(const rml_rnn_attr *rnn)
{
    return rnn->kind == RML_RNN_PLAIN ? 1 : rnn->kind == RML_RNN_GRU ? 3 : 4;
}

const char *rml_net_lacks_rnn(const rml_net_node *n)
{
    static const int weights[] = {RML_RNN_W, RML_RNN_R, RML_RNN_BIAS, RML_RNN_PEEPHOLES};
    const rml_rnn_attr *rnn = &n->attr->rnn;
    if (rnn->kind == RML_RNN_LSTM &&
        rml_input_given(n->node, RML_RNN_H0) != rml_input_given(n->node, RML_RNN_C0))
        return "one of both states";
    if (rml_input_given(n->node, RML_RNN_LENGTHS))
        return "sequences of their own lengths";
    if (rnn->kind == RML_RNN_GRU && rnn->linear_before_reset)
        return "a reset behind the recursion";
    if (rnn->kind != RML_RNN_LSTM && rnn->directions == 2)
        return "both directions";
    if (rnn->clip < INFINITY)
        return "clipped gates";
    for (int i = 0; i < 4; i++)
        if (rml_input_given(n->node, weights[i]) &&
            n->graph->values[n->node->in[weights[i]]].kind != RML_VALUE_CONSTANT)
            return "weights that are computed";
    for (int i = 0; i < 3; i++)
        if (rnn->directions == 2 && memcmp(&rnn->act[i], &rnn->act[3 + i], sizeof rnn->act[i]) != 0)
            return "functions that differ between directions";
    return NULL;
}

uint32_t rml_net_rnn_layer(const rml_rnn_attr *rnn)
{
    return rnn->kind == RML_RNN_PLAIN ? RML_NET_SIMPLE_RECURRENT
           : rnn->kind == RML_RNN_GRU ? RML_NET_GRU
           : rnn->directions == 2     ? RML_NET_LSTM_BOTH_WAYS
                                      : RML_NET_LSTM;
}

// ---- parameters ---------------------------------------------------------------------------------

static void write_activation(rml_net_emitter *e, uint32_t field, const rml_rnn_activation *act)
{
    static const struct {
        uint32_t field;
        int numbers;
    } kinds[] = {
        [RML_RNN_TANH] = {30, 0},        [RML_RNN_SIGMOID] = {40, 0},
        [RML_RNN_RELU] = {10, 0},        [RML_RNN_AFFINE] = {5, 2},
        [RML_RNN_LEAKY_RELU] = {15, 1},  [RML_RNN_THRESHOLDED_RELU] = {20, 1},
        [RML_RNN_SCALED_TANH] = {31, 2}, [RML_RNN_HARD_SIGMOID] = {41, 2},
        [RML_RNN_ELU] = {50, 1},         [RML_RNN_SOFTSIGN] = {60, 0},
        [RML_RNN_SOFTPLUS] = {70, 0},
    };
    rml_fields_begin(&e->m, field);
    rml_fields_begin(&e->m, kinds[act->function].field);
    if (kinds[act->function].numbers > 0)
        rml_net_float(e, 1, act->alpha);
    if (kinds[act->function].numbers > 1)
        rml_net_float(e, 2, act->beta);
    rml_fields_end(&e->m);
    rml_fields_end(&e->m);
}

// A matrix (D, gates * H, columns), a gate a field.
static void write_matrices(rml_net_emitter *e, int input, int direction, const uint32_t *fields)
{
    const rml_shape *shape = rml_net_shape(e, input);
    const size_t gates = gates_of(&e->node->attr.rnn), columns = (size_t)shape->dim[2];
    const size_t hidden = (size_t)shape->dim[1] / gates, block = hidden * columns;
    size_t count;
    const float *numbers = rml_net_numbers(e, e->node->in[input], &count);
    for (size_t i = 0; numbers && i < gates; i++)
        rml_net_weights(e, fields[i], numbers + ((size_t)direction * gates + i) * block, block,
                        hidden, columns);
}

// (D, 2 * gates * H): those of the input and those of the state, added.
static void write_biases(rml_net_emitter *e, int direction, size_t hidden, const uint32_t *fields)
{
    const size_t gates = gates_of(&e->node->attr.rnn), all = gates * hidden;
    size_t count;
    const float *numbers = rml_net_numbers(e, e->node->in[RML_RNN_BIAS], &count);
    float *sums = rml_net_alloc(e, all);
    if (!numbers || !sums)
        return;
    numbers += (size_t)direction * 2 * all;
    for (size_t i = 0; i < all; i++)
        sums[i] = numbers[i] + numbers[all + i];
    for (size_t i = 0; i < gates; i++)
        rml_net_vector(e, fields[i], sums + i * hidden, hidden, false);
}

static void write_direction(rml_net_emitter *e, int direction, size_t hidden)
{
    const gate_fields *fields = fields_of(&e->node->attr.rnn);
    write_matrices(e, RML_RNN_W, direction, fields->weight);
    write_matrices(e, RML_RNN_R, direction, fields->recursion);
    if (rml_input_given(e->node, RML_RNN_BIAS))
        write_biases(e, direction, hidden, fields->bias);
    if (!rml_input_given(e->node, RML_RNN_PEEPHOLES))
        return;
    size_t count;
    const float *numbers = rml_net_numbers(e, e->node->in[RML_RNN_PEEPHOLES], &count);
    for (size_t i = 0; numbers && i < 3; i++)
        rml_net_vector(e, fields->peephole[i], numbers + ((size_t)direction * 3 + i) * hidden,
                       hidden, false);
}

static void write_lstm(rml_net_emitter *e, size_t hidden, bool sequence)
{
    const rml_rnn_attr *rnn = &e->node->attr.rnn;
    for (int i = 0; i < 3; i++)
        write_activation(e, 10, &rnn->act[i]);
    for (int i = 0; i < 3 && rnn->directions == 2; i++)
        write_activation(e, 11, &rnn->act[3 + i]);
    rml_fields_begin(&e->m, 15);
    rml_net_int(e, 10, sequence);
    rml_net_int(e, 20, rml_input_given(e->node, RML_RNN_BIAS));
    rml_net_int(e, 40, rml_input_given(e->node, RML_RNN_PEEPHOLES));
    rml_net_int(e, 50, rnn->input_forget);
    rml_fields_float(&e->m, 60, rnn->cell_clip > 0 ? rnn->cell_clip : CELL_CLIP);
    rml_fields_end(&e->m);
    for (int d = 0; d < rnn->directions; d++) {
        rml_fields_begin(&e->m, 20);
        write_direction(e, d, hidden);
        rml_fields_end(&e->m);
    }
    if (rnn->directions == 1)
        rml_net_int(e, 100, rnn->reverse);
}

void rml_net_write_rnn(rml_net_emitter *e, bool sequence)
{
    const rml_rnn_attr *rnn = &e->node->attr.rnn;
    const int64_t hidden = rml_net_shape(e, RML_RNN_R)->dim[2];
    rml_fields_int(&e->m, 1, rml_net_shape(e, RML_RNN_W)->dim[2]);
    rml_fields_int(&e->m, 2, hidden);
    if (rnn->kind == RML_RNN_LSTM) {
        write_lstm(e, (size_t)hidden, sequence);
        return;
    }
    for (int i = 0; i < (rnn->kind == RML_RNN_GRU ? 2 : 1); i++)
        write_activation(e, 10, &rnn->act[i]);
    rml_net_int(e, 15, sequence);
    rml_net_int(e, 20, rml_input_given(e->node, RML_RNN_BIAS));
    write_direction(e, 0, (size_t)hidden);
    rml_net_int(e, 100, rnn->reverse);
}

// ---- blobs --------------------------------------------------------------------------------------

static const char *with_axes(rml_net_emitter *e, uint32_t kind, const char *x, const char *out)
{
    rml_net_one(e, kind, x, out);
    rml_fields_ints(&e->m, 1, (const int64_t[]){3, 4}, 2);
    rml_net_end(e);
    return out;
}

static const char *turned(rml_net_emitter *e, const char *x, const int *order, int rank,
                          const char *out)
{
    rml_net_transpose(e, x, order, rank, out);
    return out;
}

// A state of all directions as a blob for each.
static void split_state(rml_net_emitter *e, int input, const char *out[2])
{
    const rml_rnn_attr *rnn = &e->node->attr.rnn;
    const rml_shape *all = rml_net_shape(e, input);
    const int64_t batch = all->dim[rnn->batch_first ? 0 : 1];
    const rml_shape one = {5, {1, batch, all->dim[2], 1, 1}};
    const char *in = rml_net_in(e, input), *parts[2] = {in, in};
    if (rnn->directions == 2) {
        parts[0] = rml_net_between(e);
        parts[1] = rml_net_between(e);
        rml_net_layer(e, RML_NET_SPLIT, &in, 1, parts, 2);
        rml_net_int(e, 1, rnn->batch_first ? 1 : 0);
        rml_fields_int(&e->m, 2, 2);
        rml_net_end(e);
    }
    for (int d = 0; d < rnn->directions; d++) {
        out[d] = rml_net_between(e);
        rml_net_reshape(e, parts[d], &one, out[d]);
    }
}

// Steps of a layer that goes backwards, which come in its order, as those of its input.
static const char *in_order(rml_net_emitter *e, const char *y)
{
    const char *out = rml_net_between(e);
    rml_net_one(e, RML_NET_REVERSE, y, out);
    rml_fields_ints(&e->m, 1, (const int64_t[]){1, 0, 0, 0, 0}, 5); // a flag for each axis
    rml_net_end(e);
    return out;
}

// (Seq,B,D*H,1,1) as (Seq,D,B,H), or (B,Seq,D,H).
static void join_steps(rml_net_emitter *e, const char *y)
{
    static const int batch_first[] = {1, 0, 2, 3}, direction_first[] = {0, 2, 1, 3};
    const rml_rnn_attr *rnn = &e->node->attr.rnn;
    const rml_shape *out = rml_net_out_shape(e, Y);
    const rml_shape apart = {4,
                             {out->dim[rnn->batch_first ? 1 : 0],
                              out->dim[rnn->batch_first ? 0 : 2], rnn->directions, out->dim[3]}};
    const char *steps = rml_net_between(e);
    rml_net_reshape(e, y, &apart, steps);
    turned(e, steps, rnn->batch_first ? batch_first : direction_first, 4, rml_net_out(e, Y));
}

// (1,B,H,1,1) of each direction as (D,B,H), or (B,D,H).
static void join_states(rml_net_emitter *e, const char *const *states, int output)
{
    const rml_rnn_attr *rnn = &e->node->attr.rnn;
    const rml_shape *out = rml_net_out_shape(e, output);
    rml_shape one = *out;
    const char *parts[2], *to = rml_net_out(e, output);
    one.dim[rnn->batch_first ? 1 : 0] = 1;
    for (int d = 0; d < rnn->directions; d++) {
        parts[d] = rnn->directions == 1 ? to : rml_net_between(e);
        rml_net_reshape(e, states[d], &one, parts[d]);
    }
    if (rnn->directions == 1)
        return;
    rml_net_layer(e, RML_NET_CONCAT, parts, 2, &to, 1);
    rml_net_int(e, 1, rnn->batch_first ? 1 : 0);
    rml_net_end(e);
}

static void emit_rnn(rml_net_emitter *e, const rml_node *node)
{
    static const int steps_first[] = {1, 0, 2};
    const rml_rnn_attr *rnn = &node->attr.rnn;
    const bool is_lstm = rnn->kind == RML_RNN_LSTM, sequence = rml_net_is_read(e, Y);
    const char *in[MOST_OUTPUTS], *out[MOST_OUTPUTS], *h[2], *c[2] = {NULL, NULL};
    const int step = is_lstm ? 2 : 1;
    int in_count = 1;
    in[0] = rml_net_in(e, RML_RNN_X);
    if (rnn->batch_first)
        in[0] = turned(e, in[0], steps_first, 3, rml_net_between(e));
    in[0] = with_axes(e, RML_NET_EXPAND_DIMS, in[0], rml_net_between(e));
    if (rml_input_given(node, RML_RNN_H0)) {
        split_state(e, RML_RNN_H0, h);
        if (is_lstm)
            split_state(e, RML_RNN_C0, c);
        for (int d = 0; d < rnn->directions; d++) {
            in[1 + d * step] = h[d];
            if (is_lstm)
                in[2 + d * step] = c[d];
        }
        in_count = 1 + rnn->directions * step;
    }
    const int out_count = 1 + rnn->directions * step;
    for (int k = 0; k < out_count; k++)
        out[k] = rml_net_between(e);
    rml_net_layer(e, rml_net_rnn_layer(rnn), in, in_count, out, out_count);
    rml_net_write_rnn(e, sequence);
    rml_net_end(e);
    for (int d = 0; d < rnn->directions; d++) {
        h[d] = out[1 + d * step];
        c[d] = out[is_lstm ? 2 + d * step : 0];
    }
    if (sequence)
        join_steps(e, rnn->directions == 1 && rnn->reverse ? in_order(e, out[0]) : out[0]);
    if (rml_net_is_read(e, H))
        join_states(e, h, H);
    if (is_lstm && rml_net_is_read(e, C))
        join_states(e, c, C);
}

const rml_net_rule rml_net_recurrent_rules[] = {
    {RML_OP_RNN, rml_net_lacks_rnn, emit_rnn},
    {RML_OP_COUNT, NULL, NULL},
};
