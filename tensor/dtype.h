// Element types: sizes, names and conversion.
#ifndef RML_TENSOR_DTYPE_H
#define RML_TENSOR_DTYPE_H

#include "runmodel.h"

static inline bool rml_dtype_is_float(rml_dtype dtype)
{
    return dtype == RML_F32 || dtype == RML_F16 || dtype == RML_BF16 || dtype == RML_F64;
}

static inline bool rml_dtype_is_half(rml_dtype dtype)
{
    return dtype == RML_F16 || dtype == RML_BF16;
}

// Converts one element at `src` (any alignment) to f32. Integers and f64 round to nearest even.
float rml_dtype_load_f32(rml_dtype dtype, const void *src);

// Converts `count` consecutive elements at `src` (any alignment) to `dst`.
void rml_dtype_to_f32(rml_dtype dtype, const void *src, float *dst, size_t count);

float rml_f16_to_f32(uint16_t half);
float rml_bf16_to_f32(uint16_t bfloat);

// Rounded once, to the nearest, ties to even.
uint16_t rml_f32_to_f16(float value);
uint16_t rml_f32_to_bf16(float value);
uint16_t rml_f64_to_f16(double value);
uint16_t rml_f64_to_bf16(double value);

#endif
