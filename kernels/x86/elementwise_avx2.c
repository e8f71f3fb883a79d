// Elementwise kernels.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_avx2.h"

#include "kernels/tmpl/math.inc"
#include "kernels/tmpl/elementwise.inc"

UNARY(rml_clamp_f32_avx2, lanes_clamp, 2)
UNARY(rml_leaky_relu_f32_avx2, lanes_leaky_relu, 1)
UNARY(rml_sigmoid_f32_avx2, lanes_sigmoid, 0)
UNARY(rml_tanh_f32_avx2, lanes_tanh, 0)
UNARY(rml_exp_f32_avx2, lanes_exp, 0)
UNARY(rml_silu_f32_avx2, lanes_silu, 0)
UNARY(rml_gelu_f32_avx2, lanes_gelu, 0)
UNARY(rml_erf_f32_avx2, lanes_erf, 0)
UNARY(rml_gelu_tanh_f32_avx2, lanes_gelu_tanh, 0)
UNARY(rml_elu_f32_avx2, lanes_elu, 1)
UNARY(rml_abs_f32_avx2, lanes_abs, 0)
UNARY(rml_neg_f32_avx2, lanes_neg, 0)
UNARY(rml_sqrt_f32_avx2, lanes_sqrt, 0)
UNARY(rml_square_f32_avx2, lanes_square, 0)

BINARY(rml_add_f32_avx2, vf32_add)
BINARY(rml_sub_f32_avx2, vf32_sub)
BINARY(rml_mul_f32_avx2, vf32_mul)
BINARY(rml_div_f32_avx2, vf32_div)
BINARY(rml_max_f32_avx2, vf32_max)
BINARY(rml_min_f32_avx2, vf32_min)

BINARY_SCALAR(rml_add_scalar_f32_avx2, vf32_add)
BINARY_SCALAR(rml_sub_scalar_f32_avx2, vf32_sub)
BINARY_SCALAR(rml_mul_scalar_f32_avx2, vf32_mul)
BINARY_SCALAR(rml_div_scalar_f32_avx2, vf32_div)
BINARY_SCALAR(rml_max_scalar_f32_avx2, vf32_max)
BINARY_SCALAR(rml_min_scalar_f32_avx2, vf32_min)
