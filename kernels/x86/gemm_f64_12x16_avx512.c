// 24 accumulators, 2 weights, 1 broadcast of 32 registers.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f64_avx512.h"

#define GEMM_F64_NAME rml_gemm_f64_avx512
#define GEMM_F64_MR 12
#define ROWS_0_TO_5(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#define GEMM_F64_ROWS(DO) ROWS_0_TO_5(DO) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define CASES_1_TO_6(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#define GEMM_F64_CASES(DO) CASES_1_TO_6(DO) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#include "kernels/tmpl/gemm_f64.inc"
