// Conversion between any two element types.
#ifndef RML_TENSOR_CONVERT_H
#define RML_TENSOR_CONVERT_H

#include "runmodel.h"

// Converts `count` consecutive elements; `src` and `dst` are aligned to their types and do not
// overlap. To fewer bits integers wrap; floats are rounded to nearest even where a float is wanted,
// and cut towards zero where an integer is (out of its range: the nearest value of 64 bits, then
// wrapped; not a number: 0). To bool everything but zero is true.
void rml_dtype_convert(rml_dtype from, const void *src, rml_dtype to, void *dst, size_t count);

uint16_t rml_f32_to_f16(float value);
uint16_t rml_f32_to_bf16(float value);

#endif
