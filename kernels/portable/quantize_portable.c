// Floats to small whole numbers, the definition.
#include "kernels/kernels_internal.h"

#define QUANTIZE_NAME rml_quantize_f32_portable
#include "kernels/tmpl/quantize.inc"
