// 12 accumulators, 2 weights, 1 broadcast of 16 registers.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f64_avx2.h"

#define GEMM_F64_NAME rml_gemm_f64_avx2
#define GEMM_F64_MR 6
#define GEMM_F64_ROWS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#define GEMM_F64_CASES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#include "kernels/tmpl/gemm_f64.inc"
