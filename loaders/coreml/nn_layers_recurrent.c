// Recurrent layers: (Seq,B,C,1,1) in and out. Gates are put in the operator's order here.
#include "loaders/coreml/nn_handler.h"

#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

enum { MOST_GATES = 4 };

// Where a gate's matrices and vectors lie: fields of the message, in the operator's order.
typedef struct fields {
    uint32_t weight[MOST_GATES], recursion[MOST_GATES], bias[MOST_GATES], peephole[3];
} fields;

static const fields lstm_fields = {{1, 4, 2, 3}, {20, 23, 21, 22}, {40, 43, 41, 42}, {60, 62, 61}};
static const fields gru_fields = {{30, 31, 32}, {50, 51, 52}, {70, 71, 72}, {0}};
static const fields plain_fields = {{30}, {31}, {32}, {0}};

typedef struct layer {
    const fields *fields;
    int gates, directions;
    int64_t in, hidden;
    rml_protobuf weights[2]; // of each direction
} layer;

// A gate's numbers behind those before it; false where the file has none.
static bool take(rml_nn_call *call, const layer *l, int direction, uint32_t number, size_t count,
                 float *to)
{
    const float *from = rml_nn_weight_list(call, &l->weights[direction], number, count);
    if (from)
        memcpy(to, from, count * sizeof *to);
    return from != NULL;
}

static rml_value_id matrices(rml_nn_call *call, const layer *l, const uint32_t *numbers,
                             int64_t columns)
{
    const rml_shape shape = {3, {l->directions, l->gates * l->hidden, columns}};
    const size_t block = (size_t)l->hidden * (size_t)columns;
    float *data =
        rml_coreml_alloc(&call->make, block * (size_t)(l->gates * l->directions), sizeof *data);
    for (int i = 0; data && i < l->directions * l->gates; i++)
        if (!take(call, l, i / l->gates, numbers[i % l->gates], block, data + (size_t)i * block))
            rml_coreml_refuse(&call->make, "it has no matrix of gate %d", i % l->gates);
    return rml_coreml_floats(&call->make, data, &shape);
}

// Biases of the gates, and zeros for those of the states. The forget gate's may be 1 higher.
static rml_value_id biases(rml_nn_call *call, const layer *l, bool has, bool forget)
{
    const size_t hidden = (size_t)l->hidden, all = (size_t)l->gates * hidden;
    const rml_shape shape = {2, {l->directions, 2 * (int64_t)all}};
    float *data = rml_coreml_alloc(&call->make, 2 * all * (size_t)l->directions, sizeof *data);
    for (int i = 0; data && i < l->directions * l->gates; i++) {
        float *to = data + (size_t)(i / l->gates) * 2 * all + (size_t)(i % l->gates) * hidden;
        if (has && !take(call, l, i / l->gates, l->fields->bias[i % l->gates], hidden, to))
            rml_coreml_refuse(&call->make, "it has no bias of gate %d", i % l->gates);
        for (size_t k = 0; k < hidden && forget && i % l->gates == 2; k++)
            to[k] += 1;
    }
    return rml_coreml_floats(&call->make, data, &shape);
}

static rml_value_id peepholes(rml_nn_call *call, const layer *l)
{
    const size_t hidden = (size_t)l->hidden;
    const rml_shape shape = {2, {l->directions, 3 * l->hidden}};
    float *data = rml_coreml_alloc(&call->make, 3 * hidden * (size_t)l->directions, sizeof *data);
    for (int i = 0; data && i < l->directions * 3; i++)
        if (!take(call, l, i / 3, l->fields->peephole[i % 3], hidden, data + (size_t)i * hidden))
            rml_coreml_refuse(&call->make, "it has no peephole of gate %d", i % 3);
    return rml_coreml_floats(&call->make, data, &shape);
}

// ---- activations --------------------------------------------------------------------------------

static rml_rnn_activation activation(rml_nn_call *call, const rml_protobuf *message)
{
    static const struct {
        uint32_t number;
        rml_rnn_activation function;
    } known[] = {
        {10, {RML_RNN_RELU, 0, 0}},     {30, {RML_RNN_TANH, 0, 0}},
        {40, {RML_RNN_SIGMOID, 0, 0}},  {60, {RML_RNN_SOFTSIGN, 0, 0}},
        {70, {RML_RNN_SOFTPLUS, 0, 0}},
    };
    static const struct {
        uint32_t number;
        rml_rnn_function function;
    } with_numbers[] = {
        {5, RML_RNN_AFFINE},       {15, RML_RNN_LEAKY_RELU},   {20, RML_RNN_THRESHOLDED_RELU},
        {31, RML_RNN_SCALED_TANH}, {41, RML_RNN_HARD_SIGMOID}, {50, RML_RNN_ELU}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (rml_nn_has(call, message, known[i].number))
            return known[i].function;
    for (size_t i = 0; i < sizeof with_numbers / sizeof *with_numbers; i++) {
        const rml_protobuf inside = rml_nn_inside(call, message, with_numbers[i].number);
        if (inside.data)
            return (rml_rnn_activation){with_numbers[i].function,
                                        (float)rml_nn_float_in(call, &inside, 1),
                                        (float)rml_nn_float_in(call, &inside, 2)};
    }
    rml_coreml_refuse(&call->make, "an activation is not known");
    return known[1].function;
}

// `count` of them in fields of this number; those of the second direction are the same.
static void read_activations(rml_nn_call *call, uint32_t number, int count, rml_rnn_attr *rnn)
{
    rml_protobuf rest = call->layer->params, inside = {0};
    rml_error error;
    bool more = true;
    for (int i = 0; i < count && !call->make.refused; i++) {
        if (rml_message_inside(&rest, number, "an activation", &inside, &more, &error) != RML_OK)
            rml_coreml_refuse(&call->make, "%s", error.message);
        else if (!more)
            rml_coreml_refuse(&call->make, "it has %d activations, and needs %d", i, count);
        else
            rnn->act[i] = rnn->act[3 + i] = activation(call, &inside);
    }
}

// ---- values -------------------------------------------------------------------------------------

// (1,B,H,1,1) as the state of each direction, (D,B,H).
static rml_value_id states(rml_nn_call *call, const layer *l, int first, int step)
{
    rml_value_id parts[2];
    const rml_shape shape = {3, {1, -1, l->hidden}};
    if ((size_t)(first + (l->directions - 1) * step) >= call->layer->input_count)
        return RML_NO_VALUE; // zeros
    for (int d = 0; d < l->directions; d++)
        parts[d] = rml_coreml_reshape(&call->make, call->in[first + d * step], &shape);
    return call->make.refused || l->directions == 1
               ? parts[0]
               : rml_graph_concat(call->make.graph, parts, 2, 0, call->make.name);
}

// One direction of the states as (1,B,H,1,1).
static rml_value_id state_of(rml_nn_call *call, const layer *l, rml_value_id value, int direction)
{
    const rml_shape shape = {5, {1, -1, l->hidden, 1, 1}};
    if (call->make.refused)
        return RML_NO_VALUE;
    return rml_coreml_reshape(
        &call->make,
        rml_graph_slice(call->make.graph, value, 0, direction, direction + 1, 1, call->make.name),
        &shape);
}

// All steps (T,D,B,H) as (T,B,D*H,1,1), or the states behind the last one. A layer that goes from
// the end to the start alone gives steps in that order, as layers of Keras that it was made for.
static rml_value_id result(rml_nn_call *call, const layer *l, rml_value_id y, rml_value_id h,
                           bool sequence, bool reverse)
{
    static const int of_steps[] = {0, 2, 1, 3}, of_states[] = {1, 0, 2};
    const rml_shape all = {5, {0, 0, l->directions * l->hidden, 1, 1}};
    const rml_shape last = {5, {1, -1, l->directions * l->hidden, 1, 1}};
    if (call->make.refused)
        return RML_NO_VALUE;
    if (!sequence)
        return rml_coreml_reshape(
            &call->make, rml_graph_transpose(call->make.graph, h, of_states, 3, call->make.name),
            &last);
    y = rml_graph_transpose(call->make.graph, y, of_steps, 4, call->make.name);
    y = rml_coreml_reshape(&call->make, y, &all);
    return reverse ? rml_coreml_reverse(&call->make, y, (const bool[RML_MAX_RANK]){true}) : y;
}

// Whether the messages of weights can hold the matrices, of a bit at least for each number: before
// memory is taken for them.
static bool has_room(const layer *l)
{
    const int64_t larger = l->in > l->hidden ? l->in : l->hidden;
    for (int d = 0; d < l->directions; d++)
        if ((uint64_t)(l->hidden * larger / 8) > l->weights[d].end - l->weights[d].at)
            return false;
    return true;
}

typedef struct switches {
    bool sequence, biases, forget, peepholes;
} switches;

static void add_layer(rml_nn_call *call, const layer *l, rml_rnn_attr *rnn, const switches *s)
{
    const bool is_lstm = rnn->kind == RML_RNN_LSTM;
    const rml_value_id x = rml_nn_in(call, 0);
    const rml_shape flat = {3, {0, 0, l->in}};
    if (l->in < 1 || l->hidden < 1 || !has_room(l) || rml_coreml_rank(&call->make, x) != 5)
        rml_coreml_refuse(&call->make,
                          "%lld features in, %lld units, and an input of %d dimensions",
                          (long long)l->in, (long long)l->hidden, rml_coreml_rank(&call->make, x));
    if (call->make.refused)
        return;
    rnn->directions = l->directions;
    const int step = is_lstm ? 2 : 1;
    const rml_value_id in[] = {rml_coreml_reshape(&call->make, x, &flat),
                               matrices(call, l, l->fields->weight, l->in),
                               matrices(call, l, l->fields->recursion, l->hidden),
                               biases(call, l, s->biases, s->forget),
                               RML_NO_VALUE,
                               states(call, l, 1, step),
                               is_lstm ? states(call, l, 2, step) : RML_NO_VALUE,
                               s->peepholes ? peepholes(call, l) : RML_NO_VALUE};
    const rml_op_attr attr = {.rnn = *rnn};
    const rml_value_id y = rml_coreml_node(&call->make, RML_OP_RNN, &attr, in, is_lstm ? 8 : 6);
    if (y == RML_NO_VALUE)
        return;
    call->out[0] = result(call, l, y, y + 1, s->sequence, rnn->reverse);
    for (size_t k = 1; k < call->layer->output_count; k++) {
        const int at = (int)k - 1, direction = at / step;
        if (direction < l->directions)
            call->out[k] =
                state_of(call, l, y + 1 + (rml_value_id)(is_lstm ? at % 2 : 0), direction);
    }
}

// ---- layers -------------------------------------------------------------------------------------

static layer read_layer(rml_nn_call *call, const fields *of, int gates)
{
    return (layer){.fields = of,
                   .gates = gates,
                   .directions = 1,
                   .in = rml_nn_int(call, 1),
                   .hidden = rml_nn_int(call, 2),
                   .weights = {call->layer->params}};
}

static void import_simple(rml_nn_call *call)
{
    const layer l = read_layer(call, &plain_fields, 1);
    rml_rnn_attr rnn = {.kind = RML_RNN_PLAIN, .clip = INFINITY, .reverse = rml_nn_flag(call, 100)};
    const switches s = {.sequence = rml_nn_flag(call, 15), .biases = rml_nn_flag(call, 20)};
    read_activations(call, 10, 1, &rnn);
    add_layer(call, &l, &rnn, &s);
}

static void import_gru(rml_nn_call *call)
{
    const layer l = read_layer(call, &gru_fields, 3);
    rml_rnn_attr rnn = {.kind = RML_RNN_GRU, .clip = INFINITY, .reverse = rml_nn_flag(call, 100)};
    const switches s = {.sequence = rml_nn_flag(call, 15), .biases = rml_nn_flag(call, 20)};
    read_activations(call, 10, 2, &rnn);
    add_layer(call, &l, &rnn, &s);
}

// What cells are clipped to, 0 where none can grow so far: by a step they grow by 1 at most.
static float cell_clip(rml_nn_call *call, const rml_protobuf *params, const rml_rnn_attr *rnn)
{
    const double told = rml_nn_float_in(call, params, 60), most = told > 0 ? told : 50;
    const rml_shape x = rml_coreml_fact(&call->make, rml_nn_in(call, 0)).shape;
    const bool from_zero = call->layer->input_count < 3;
    const bool usual =
        rnn->act[0].function == RML_RNN_SIGMOID && rnn->act[1].function == RML_RNN_TANH;
    const bool small = x.rank > 0 && x.dim[0] >= 0 && (double)x.dim[0] <= most;
    return from_zero && usual && small ? 0 : (float)most;
}

// Weights of the directions lie in messages of their own.
static void import_lstm(rml_nn_call *call)
{
    const bool both = call->option != 0;
    layer l = read_layer(call, &lstm_fields, 4);
    const rml_protobuf params = rml_nn_inside(call, &call->layer->params, 15);
    rml_protobuf rest = call->layer->params;
    rml_error error;
    bool more = true;
    rml_rnn_attr rnn = {.kind = RML_RNN_LSTM,
                        .clip = INFINITY,
                        .reverse = !both && rml_nn_flag(call, 100),
                        .input_forget = rml_nn_int_in(call, &params, 50) != 0};
    const switches s = {.sequence = rml_nn_int_in(call, &params, 10) != 0,
                        .biases = rml_nn_int_in(call, &params, 20) != 0,
                        .forget = rml_nn_int_in(call, &params, 30) != 0,
                        .peepholes = rml_nn_int_in(call, &params, 40) != 0};
    l.directions = both ? 2 : 1;
    for (int d = 0; d < l.directions && !call->make.refused; d++) {
        if (rml_message_inside(&rest, 20, "weights", &l.weights[d], &more, &error) != RML_OK)
            rml_coreml_refuse(&call->make, "%s", error.message);
        else if (!more)
            rml_coreml_refuse(&call->make, "it has weights of %d directions, and %d", d,
                              l.directions);
    }
    read_activations(call, 10, 3, &rnn);
    rnn.cell_clip = cell_clip(call, &params, &rnn);
    add_layer(call, &l, &rnn, &s);
}

const rml_nn_entry rml_nn_recurrent[] = {
    {400, "simpleRecurrent", import_simple, 0},
    {410, "gru", import_gru, 0},
    {420, "uniDirectionalLSTM", import_lstm, 0},
    {430, "biDirectionalLSTM", import_lstm, 1},
    {0},
};
