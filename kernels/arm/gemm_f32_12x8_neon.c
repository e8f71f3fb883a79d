// 24 accumulators, 2 weights, 1 broadcast of 32 registers.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_neon.h"

#define GEMM_NAME rml_gemm_f32_neon
#define GEMM_MR 12
#define ROWS_0_TO_5(DO, arg) DO(0, arg) DO(1, arg) DO(2, arg) DO(3, arg) DO(4, arg) DO(5, arg)
#define ROWS_6_TO_9(DO, arg) DO(6, arg) DO(7, arg) DO(8, arg) DO(9, arg)
#define GEMM_ROWS(DO, arg) ROWS_0_TO_5(DO, arg) ROWS_6_TO_9(DO, arg) DO(10, arg) DO(11, arg)
#define GEMM_CASES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#include "kernels/tmpl/gemm.inc"
