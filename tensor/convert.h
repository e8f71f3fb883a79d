// Conversion to the short floats; between any two types: rml_dtype_convert in runmodel.h.
#ifndef RML_TENSOR_CONVERT_H
#define RML_TENSOR_CONVERT_H

#include "runmodel.h"

uint16_t rml_f32_to_f16(float value);
uint16_t rml_f32_to_bf16(float value);

#endif
