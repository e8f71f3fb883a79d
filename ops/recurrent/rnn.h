// Recurrent layers: what their algorithms share.
#ifndef RML_OPS_RECURRENT_RNN_H
#define RML_OPS_RECURRENT_RNN_H

#include "ops/op.h"

enum {
    RML_RNN_X,
    RML_RNN_W,
    RML_RNN_R,
    RML_RNN_BIAS,
    RML_RNN_LENGTHS,
    RML_RNN_H0,
    RML_RNN_C0,
    RML_RNN_PEEPHOLES
};

typedef struct rml_rnn_dims {
    size_t steps, batch, inputs, hidden, gates, directions;
} rml_rnn_dims;

rml_rnn_dims rml_rnn_dims_of(const rml_op_args *args);

// Strides of a batch item, a step and a direction, in elements; no steps in a state.
typedef struct rml_rnn_strides {
    int64_t item, step, direction;
} rml_rnn_strides;

rml_rnn_strides rml_rnn_strides_of(const rml_op_args *args, const rml_tensor *tensor);

// The input's share of the gates of all steps at once, by the operator `matmul`: x times `rows`
// rows of w. Refers to itself: not to be copied.
typedef struct rml_rnn_projection {
    rml_op_args args;
    rml_op_attr attr;
    rml_tensor in[3], out;
    const rml_constant *constants[3];
    const rml_algorithm *algorithm;
} rml_rnn_projection;

// `with_bias`: there will be one, of [rows]. W is a constant, of which `pack` is given [rows,I].
void rml_rnn_projection_make(rml_rnn_projection *projection, const rml_op_args *args, size_t rows,
                             bool with_bias);
size_t rml_rnn_projection_packed(const rml_rnn_projection *projection);
size_t rml_rnn_projection_scratch(const rml_rnn_projection *projection);
void rml_rnn_projection_run(rml_rnn_projection *projection, const void *packed, const float *bias,
                            float *out, char *scratch);

// The elementwise function that a layer applies; false where there is none that is the same.
bool rml_rnn_unary(const rml_rnn_activation *act, rml_activation *function);

// Whether the input is a constant of f32 as it is stored.
bool rml_rnn_is_weight(const rml_op_args *args, int input);

// ---- LSTM of f32 with constant weights and no extras: fused gates -------------------------------

bool rml_rnn_lstm_accepts(const rml_op_args *args);
size_t rml_rnn_lstm_packed(const rml_op_args *args);
rml_status rml_rnn_lstm_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                             const rml_allocator *allocator, rml_error *err);
size_t rml_rnn_lstm_scratch(const rml_op_args *args);
void rml_rnn_lstm_run(const rml_op_args *args);

// ---- GRU and plain layers of f32 with constant weights: all sequences of a step together --------

bool rml_rnn_steps_accepts(const rml_op_args *args);
size_t rml_rnn_steps_packed(const rml_op_args *args);
rml_status rml_rnn_steps_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                              const rml_allocator *allocator, rml_error *err);
size_t rml_rnn_steps_scratch(const rml_op_args *args);
void rml_rnn_steps_run(const rml_op_args *args);

// ---- everything, a sequence at a time -----------------------------------------------------------

// With the projection where f32 comes with constant input weights.
bool rml_rnn_projected_accepts(const rml_op_args *args);
size_t rml_rnn_projected_packed(const rml_op_args *args);
rml_status rml_rnn_projected_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                                  const rml_allocator *allocator, rml_error *err);
size_t rml_rnn_sequence_scratch(const rml_op_args *args);
void rml_rnn_sequence_run(const rml_op_args *args);

#endif
