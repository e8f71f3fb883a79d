// Declarations of every implementation, for the files of kernels/ only.
#ifndef RML_KERNELS_KERNELS_INTERNAL_H
#define RML_KERNELS_KERNELS_INTERNAL_H

#include "kernels/kernels.h"

#define KERNEL(isa, type, field, function) type function;
#include "kernels/kernels.inc"
#undef KERNEL

rml_pack_fn rml_pack_f32, rml_pack_bf16; // in portable C only
void rml_gemm_begin_amxbf16(void);
void rml_gemm_end_amxbf16(void);
#define RML_PACK_BYTES_f32 sizeof(float)
#define RML_PACK_BYTES_bf16 sizeof(uint16_t)

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
