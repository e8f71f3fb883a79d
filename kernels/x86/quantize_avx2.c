// Floats to small whole numbers.
#include "kernels/kernels_internal.h"

#define QUANTIZE_NAME rml_quantize_f32_avx2
#include "kernels/tmpl/quantize.inc"
