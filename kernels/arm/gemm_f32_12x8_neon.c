// 24 accumulators, 4 weights, and pairs of elements of a row, of 32 registers. Multiply-adds take
// the lanes of a pair as they are: a load that broadcasts would need the pipes that multiply.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_neon.h"

#define GEMM_NAME rml_gemm_f32_neon
#define GEMM_MR 12
#define ROWS_0_TO_5(DO, arg) DO(0, arg) DO(1, arg) DO(2, arg) DO(3, arg) DO(4, arg) DO(5, arg)
#define ROWS_6_TO_9(DO, arg) DO(6, arg) DO(7, arg) DO(8, arg) DO(9, arg)
#define GEMM_ROWS(DO, arg) ROWS_0_TO_5(DO, arg) ROWS_6_TO_9(DO, arg) DO(10, arg) DO(11, arg)
#define GEMM_CASES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)

#define GEMM_MULTIPLY_TWO(i, at)                                                                   \
    if (rows > (i)) {                                                                              \
        float32x2_t x = vld1_f32(a##i + (at));                                                     \
        KEEP_IN_REGISTER(x);                                                                       \
        lo##i = vfmaq_lane_f32(lo##i, lo_0, x, 0);                                                 \
        if (wide)                                                                                  \
            hi##i = vfmaq_lane_f32(hi##i, hi_0, x, 0);                                             \
        lo##i = vfmaq_lane_f32(lo##i, lo_1, x, 1);                                                 \
        if (wide)                                                                                  \
            hi##i = vfmaq_lane_f32(hi##i, hi_1, x, 1);                                             \
    }

#define GEMM_TWO_STEPS(at, row)                                                                    \
    {                                                                                              \
        const float *second = (row) + pitch;                                                       \
        const vf32 lo_0 = vf32_load(row), hi_0 = wide ? vf32_load((row) + VF32_LANES) : lo_0;      \
        const vf32 lo_1 = vf32_load(second), hi_1 = wide ? vf32_load(second + VF32_LANES) : lo_1;  \
        vf32_prefetch((row) + GEMM_AHEAD * pitch);                                                 \
        GEMM_ROWS(GEMM_MULTIPLY_TWO, at)                                                           \
    }
#include "kernels/tmpl/gemm.inc"
