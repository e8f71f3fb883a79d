// Conversion to the short floats; between any two types: rml_dtype_convert in runmodel.h.
#ifndef RML_TENSOR_CONVERT_H
#define RML_TENSOR_CONVERT_H

#include "runmodel.h"

// Rounded once, to the nearest, ties to even.
uint16_t rml_f32_to_f16(float value);
uint16_t rml_f32_to_bf16(float value);
uint16_t rml_f64_to_f16(double value);
uint16_t rml_f64_to_bf16(double value);

#endif
