// Elementwise kernels of few operations that compilers do not make of the portable ones.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_neon.h"

#include "kernels/tmpl/math.inc"
#include "kernels/tmpl/elementwise.inc"

UNARY(rml_clamp_f32_neon, lanes_clamp, 2)
UNARY(rml_leaky_relu_f32_neon, lanes_leaky_relu, 1)

BINARY(rml_max_f32_neon, vf32_max)
BINARY(rml_min_f32_neon, vf32_min)

BINARY_SCALAR(rml_max_scalar_f32_neon, vf32_max)
BINARY_SCALAR(rml_min_scalar_f32_neon, vf32_min)
