// What numbers are quantized to.
#ifndef RML_OPS_MATMUL_QUANTIZE_H
#define RML_OPS_MATMUL_QUANTIZE_H

#include "ops/op.h"

// Lowest and highest code of a type; false for what nothing is quantized to.
bool rml_code_range(rml_dtype dtype, double *low, double *high);

#endif
