// 8 gates, 4 weights, 2 broadcasts of 16 registers.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_avx2.h"

#include "kernels/tmpl/math.inc"

#define LSTM_NAME rml_lstm_f32_avx2
#define LSTM_ROWS 2
#define LSTM_EACH(DO, arg) DO(0, arg) DO(1, arg)
#define LSTM_CASES(DO) DO(1) DO(2)
#include "kernels/tmpl/lstm.inc"
