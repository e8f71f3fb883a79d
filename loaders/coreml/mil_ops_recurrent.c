// Recurrent layers. The file's gates come in other orders than the operator's, so weights are put
// in order here.
#include "loaders/coreml/mil_handler.h"

#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

enum { MOST_GATES = 4 };

// Which gate of the file each of the operator's is.
static const int lstm_order[] = {0, 2, 1, 3}; // i f o g becomes i o f c
static const int gru_order[] = {2, 0, 1};     // r o z becomes z r h
static const int plain_order[] = {0};

typedef struct layer {
    int gates, directions;
    const int *order;
    int64_t hidden;
} layer;

// Rows of gates (G*H, columns) in the operator's order, for each direction: (D, G*H, columns).
static rml_value_id weights(rml_mil_call *call, const layer *l, const char *name)
{
    char back[64];
    const char *names[] = {name, back};
    const rml_mil_value *first = rml_mil_required(call, name);
    strcat(strcpy(back, name), "_back");
    if (call->make.refused || first->type.shape.rank != 2 ||
        first->type.shape.dim[0] != l->gates * l->hidden) {
        rml_coreml_refuse(&call->make, "its %s has not %d gates of %lld units", name, l->gates,
                          (long long)l->hidden);
        return RML_NO_VALUE;
    }
    const int64_t columns = first->type.shape.dim[1];
    const size_t block = (size_t)l->hidden * (size_t)columns;
    const rml_shape shape = {3, {l->directions, l->gates * l->hidden, columns}};
    float *data = rml_coreml_alloc(&call->make, first->count * (size_t)l->directions, sizeof *data);
    for (int d = 0; d < l->directions && data; d++) {
        const rml_mil_value *from = rml_mil_required(call, names[d]);
        if (!from || from->count != first->count) {
            rml_coreml_refuse(&call->make, "its %s is not of the size of %s", names[d], name);
            return RML_NO_VALUE;
        }
        for (int g = 0; g < l->gates; g++)
            for (size_t i = 0; i < block; i++)
                data[((size_t)d * (size_t)l->gates + (size_t)g) * block + i] =
                    (float)rml_mil_number(from, (size_t)l->order[g] * block + i);
    }
    return rml_coreml_floats(&call->make, data, &shape);
}

// Biases: that of the input and that of the state, (D, 2*G*H).
static rml_value_id biases(rml_mil_call *call, const layer *l, const char *input, const char *state)
{
    const size_t hidden = (size_t)l->hidden, all = (size_t)l->gates * hidden;
    const rml_shape shape = {2, {l->directions, 2 * (int64_t)all}};
    float *data = rml_coreml_alloc(&call->make, 2 * all * (size_t)l->directions, sizeof *data);
    const char *names[2][2] = {{input, state}, {"bias_back", NULL}};
    for (int d = 0; d < l->directions && data; d++)
        for (int part = 0; part < 2; part++) {
            const rml_mil_value *from =
                names[d][part] ? rml_mil_constant(call, names[d][part]) : NULL;
            if (from && from->count != all)
                rml_coreml_refuse(&call->make, "its %s has %zu numbers, and it has %zu",
                                  names[d][part], from->count, all);
            for (size_t i = 0; from && i < all; i++)
                data[((size_t)d * 2 + (size_t)part) * all + i] =
                    (float)rml_mil_number(from, (size_t)l->order[i / hidden] * hidden + i % hidden);
        }
    return rml_coreml_floats(&call->make, data, &shape);
}

static rml_rnn_activation activation(rml_mil_call *call, const char *name, int absent)
{
    static const rml_rnn_activation known[] = {
        {RML_RNN_TANH, 0, 0},
        {RML_RNN_SIGMOID, 0, 0},
        {RML_RNN_RELU, 0, 0},
        {RML_RNN_HARD_SIGMOID, 0.2F, 0.5F},
        {RML_RNN_HARD_SIGMOID, 0.2F, 0.5F},
        {RML_RNN_SCALED_TANH, 1.7159F, 2.0F / 3},
        {RML_RNN_SOFTPLUS, 0, 0},
        {RML_RNN_SOFTSIGN, 0, 0},
        {RML_RNN_AFFINE, 1, 0},
    };
    return known[rml_mil_word(call, name,
                              "tanh sigmoid relu hard_sigmoid sigmoid_hard scaled_tanh softplus "
                              "softsign linear",
                              absent)];
}

static void set_activations(rml_mil_call *call, rml_rnn_attr *rnn, bool has_cell)
{
    rnn->act[0] = activation(call, "recurrent_activation", 1);
    rnn->act[1] = activation(call, has_cell ? "cell_activation" : "activation", 0);
    rnn->act[2] = activation(call, "activation", 0);
    for (int i = 0; i < 3; i++)
        rnn->act[3 + i] = rnn->act[i];
}

// States (B, D*H) as (D, B, H), and back.
static rml_value_id spread_state(rml_mil_call *call, rml_value_id state, const layer *l)
{
    static const int order[] = {1, 0, 2};
    const rml_shape shape = {3, {-1, l->directions, l->hidden}};
    if (call->make.refused)
        return RML_NO_VALUE;
    state = rml_graph_reshape(call->make.graph, state, &shape, call->make.name);
    return rml_graph_transpose(call->make.graph, state, order, 3, call->make.name);
}

static rml_value_id joined_state(rml_mil_call *call, rml_value_id state, const layer *l)
{
    static const int order[] = {1, 0, 2};
    const rml_shape shape = {2, {-1, l->directions * l->hidden}};
    state = rml_graph_transpose(call->make.graph, state, order, 3, call->make.name);
    return rml_graph_reshape(call->make.graph, state, &shape, call->make.name);
}

// All steps (T,D,B,H) as (T,B,D*H). A layer that goes from the end to the start alone gives them in
// that order: Apple's tests of it compare with a layer of the reversed input.
static rml_value_id joined_steps(rml_mil_call *call, rml_value_id y, const layer *l, bool reverse)
{
    static const int order[] = {0, 2, 1, 3};
    const rml_shape shape = {3, {0, 0, l->directions * l->hidden}};
    y = rml_graph_transpose(call->make.graph, y, order, 4, call->make.name);
    y = rml_graph_reshape(call->make.graph, y, &shape, call->make.name);
    return reverse ? rml_coreml_reverse(&call->make, y, (const bool[RML_MAX_RANK]){true}) : y;
}

static layer read_layer(rml_mil_call *call, rml_rnn_attr *rnn)
{
    layer l = {.directions = 1, .hidden = 1};
    static const struct {
        int gates;
        const int *order;
    } kinds[] = {[RML_RNN_PLAIN] = {1, plain_order},
                 [RML_RNN_GRU] = {3, gru_order},
                 [RML_RNN_LSTM] = {4, lstm_order}};
    const int direction = rml_mil_word(call, "direction", "forward reverse bidirectional", 0);
    const rml_mil_value *recurrent = rml_mil_required(call, "weight_hh");
    l.gates = kinds[rnn->kind].gates;
    l.order = kinds[rnn->kind].order;
    if (recurrent && recurrent->type.shape.rank == 2 && recurrent->count > 0)
        l.hidden = recurrent->type.shape.dim[1];
    l.directions = direction == 2 ? 2 : 1;
    if (l.directions == 2 && rnn->kind != RML_RNN_LSTM)
        rml_coreml_refuse(&call->make, "it has two directions");
    rnn->directions = l.directions;
    rnn->reverse = direction == 1;
    return l;
}

// Peepholes i f o of each direction as i o f.
static rml_value_id peepholes(rml_mil_call *call, const layer *l)
{
    static const char *const names[] = {"peephole", "peephole_back"};
    static const size_t order[] = {0, 2, 1};
    const size_t hidden = (size_t)l->hidden;
    const rml_shape shape = {2, {l->directions, 3 * l->hidden}};
    if (!rml_mil_has(call, names[0]) && !rml_mil_has(call, names[1]))
        return RML_NO_VALUE;
    float *data = rml_coreml_alloc(&call->make, 3 * hidden * (size_t)l->directions, sizeof *data);
    for (int d = 0; d < l->directions && data; d++) {
        const rml_mil_value *from = rml_mil_constant(call, names[d]);
        if (from && from->count != 3 * hidden)
            rml_coreml_refuse(&call->make, "its %s has %zu numbers, and it has %zu units", names[d],
                              from->count, hidden);
        for (size_t i = 0; from && i < 3 * hidden; i++)
            data[(size_t)d * 3 * hidden + i] =
                (float)rml_mil_number(from, order[i / hidden] * hidden + i % hidden);
    }
    return rml_coreml_floats(&call->make, data, &shape);
}

static void import_recurrent(rml_mil_call *call)
{
    rml_op_attr attr = {.rnn = {.kind = (rml_rnn_kind)call->option, .clip = INFINITY}};
    const bool is_lstm = attr.rnn.kind == RML_RNN_LSTM;
    const layer l = read_layer(call, &attr.rnn);
    const bool all = rml_mil_flag(call, "output_sequence", false);
    if (attr.rnn.kind == RML_RNN_PLAIN)
        attr.rnn.act[0] = attr.rnn.act[3] = activation(call, "activation", 0);
    else
        set_activations(call, &attr.rnn, is_lstm);
    attr.rnn.linear_before_reset =
        attr.rnn.kind == RML_RNN_GRU && rml_mil_flag(call, "reset_after", false);
    if (is_lstm && rml_mil_has(call, "clip")) {
        attr.rnn.cell_clip = (float)rml_mil_float(call, "clip", 0);
        if (!(attr.rnn.cell_clip > 0))
            rml_coreml_refuse(&call->make, "cells are clipped to %g", (double)attr.rnn.cell_clip);
    }
    // Without reset_after there is one bias; with it "bias" is that of the state.
    const bool two = attr.rnn.linear_before_reset || rml_mil_has(call, "input_bias");
    const rml_value_id in[] = {
        rml_mil_in(call, "x"),
        weights(call, &l, "weight_ih"),
        weights(call, &l, "weight_hh"),
        two ? biases(call, &l, "input_bias", "bias") : biases(call, &l, "bias", NULL),
        RML_NO_VALUE,
        spread_state(call, rml_mil_in(call, "initial_h"), &l),
        is_lstm ? spread_state(call, rml_mil_in(call, "initial_c"), &l) : RML_NO_VALUE,
        is_lstm ? peepholes(call, &l) : RML_NO_VALUE,
    };
    const rml_value_id y = rml_coreml_node(&call->make, RML_OP_RNN, &attr, in, is_lstm ? 8 : 6);
    if (y == RML_NO_VALUE)
        return;
    const rml_value_id h = joined_state(call, y + 1, &l);
    call->out[1] = h;
    call->out[0] = all ? joined_steps(call, y, &l, attr.rnn.reverse)
                       : rml_coreml_insert_dims(&call->make, h, &(int64_t){0}, 1);
    if (is_lstm)
        call->out[2] = joined_state(call, y + 2, &l);
}

const rml_mil_entry rml_mil_recurrent[] = {
    {"lstm", import_recurrent, RML_RNN_LSTM},
    {"gru", import_recurrent, RML_RNN_GRU},
    {"rnn", import_recurrent, RML_RNN_PLAIN},
    {0},
};
