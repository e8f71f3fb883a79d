// Conversions of elements.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_avx512.h"

#define CONVERT_NAME rml_convert_avx512
#include "kernels/tmpl/convert.inc"
