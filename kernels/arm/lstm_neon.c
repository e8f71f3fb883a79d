// 24 gates, 4 weights, 1 broadcast of 32 registers.
#include "kernels/arm/lstm_gates_neon.h"
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_neon.h"

#define LSTM_SIGMOID rml_lstm_sigmoid_neon
#define LSTM_TANH rml_lstm_tanh_neon
#define LSTM_NAME rml_lstm_f32_neon
#define LSTM_ROWS 6
#define LSTM_EACH(DO, arg) DO(0, arg) DO(1, arg) DO(2, arg) DO(3, arg) DO(4, arg) DO(5, arg)
#define LSTM_CASES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#include "kernels/tmpl/lstm.inc"
