// Of lstm_neon.c alone: functions of gates, several vectors at once.
#ifndef RML_KERNELS_ARM_LSTM_GATES_NEON_H
#define RML_KERNELS_ARM_LSTM_GATES_NEON_H

#include <stddef.h>

#define LSTM_GATES_IN_STEP 3 // vectors

// In place, of floats up to the next multiple of so many vectors from `count` on.
void rml_lstm_sigmoid_neon(float *gates, size_t count);
void rml_lstm_tanh_neon(float *gates, size_t count);

#endif
