// 12 accumulators, 2 weights, 1 broadcast of 16 registers.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_avx2.h"

#define GEMM_NAME rml_gemm_f32_avx2
#define GEMM_MR 6
#define GEMM_ROWS(DO, arg) DO(0, arg) DO(1, arg) DO(2, arg) DO(3, arg) DO(4, arg) DO(5, arg)
#define GEMM_CASES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#include "kernels/tmpl/gemm.inc"
