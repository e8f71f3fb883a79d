// The functions of an LSTM's gates, in place. Three gates of each row are sigmoids, and a full tile
// has six rows: three vectors in step leave nothing over.
#include "kernels/arm/lstm_gates_neon.h"

#define VF32_STEPS LSTM_GATES_IN_STEP
#include "kernels/simd/f32_neon_steps.h"

#include "kernels/tmpl/math.inc"

void rml_lstm_sigmoid_neon(float *gates, size_t count)
{
    for (size_t i = 0; i < count; i += VF32_LANES)
        vf32_store(gates + i, math_sigmoid(vf32_load(gates + i)));
}

void rml_lstm_tanh_neon(float *gates, size_t count)
{
    for (size_t i = 0; i < count; i += VF32_LANES)
        vf32_store(gates + i, math_tanh(vf32_load(gates + i)));
}
