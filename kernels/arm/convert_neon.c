// Conversions of elements.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_neon.h"

#define CONVERT_NAME rml_convert_neon
#include "kernels/tmpl/convert.inc"
