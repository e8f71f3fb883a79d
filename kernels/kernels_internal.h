// Declarations of every implementation, for the files of kernels/ only.
#ifndef RML_KERNELS_KERNELS_INTERNAL_H
#define RML_KERNELS_KERNELS_INTERNAL_H

#include "kernels/kernels.h"

#define DECLARE(type, base) type base##_portable, base##_neon, base##_avx2, base##_avx512
#define KERNEL(type, place, base, ...) DECLARE(type, base);
#define UNARY_KERNEL(kind, base, ...) DECLARE(rml_unary_f32_fn, base);
#define BINARY_KERNEL(kind, base, ...) DECLARE(rml_binary_f32_fn, base);
#define SCALAR_KERNEL(kind, base, ...) DECLARE(rml_binary_scalar_f32_fn, base);
#include "kernels/kernels.inc"
DECLARE(rml_gemm_fn, rml_gemm_f32);
DECLARE(rml_gemm_f64_fn, rml_gemm_f64);
rml_gemm_fn rml_gemm_bf16_avx512bf16, rml_gemm_bf16_amxbf16;
rml_to_bf16_fn rml_to_bf16_avx512bf16;
rml_winograd_input_bf16_fn rml_winograd_complex_input_bf16_avx512bf16;
rml_winograd_output_f32_fn rml_winograd_complex_output_bf16_avx512bf16;

rml_pack_fn rml_pack_f32, rml_pack_bf16; // in portable C only
void rml_gemm_begin_amxbf16(void);
void rml_gemm_end_amxbf16(void);

// NaN passes through: both comparisons are false. Where the bounds cross, the upper one counts.
static inline float clamp_f32(float value, float low, float high)
{
    value = value < low ? low : value;
    return value > high ? high : value;
}

// NaN in either operand wins.
static inline float max_f32(float a, float b)
{
    return a > b || a != a ? a : b;
}

static inline float min_f32(float a, float b)
{
    return a < b || a != a ? a : b;
}

#endif
