// Elementwise kernels that compilers do not make of the portable ones by themselves.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_neon.h"

#include "kernels/tmpl/math.inc"
#include "kernels/tmpl/elementwise.inc"

UNARY(rml_clamp_f32_neon, lanes_clamp, 2)
UNARY(rml_leaky_relu_f32_neon, lanes_leaky_relu, 1)
UNARY_HALVES(rml_sigmoid_f32_neon, math_sigmoid_begin, math_sigmoid_end)
UNARY_HALVES(rml_tanh_f32_neon, math_tanh_begin, math_tanh_end)
UNARY_HALVES(rml_exp_f32_neon, math_exp_begin, lanes_exp_end)
UNARY_HALVES(rml_silu_f32_neon, math_sigmoid_begin, lanes_silu_end)
UNARY(rml_gelu_f32_neon, lanes_gelu, 0)
UNARY(rml_erf_f32_neon, lanes_erf, 0)
UNARY(rml_gelu_tanh_f32_neon, lanes_gelu_tanh, 0)
UNARY(rml_elu_f32_neon, lanes_elu, 1)
UNARY(rml_celu_f32_neon, lanes_celu, 1)
UNARY(rml_selu_f32_neon, lanes_selu, 2)
UNARY(rml_swish_f32_neon, lanes_swish, 1)
UNARY(rml_log_f32_neon, lanes_log, 0)
UNARY(rml_softplus_f32_neon, lanes_softplus, 0)
UNARY(rml_mish_f32_neon, lanes_mish, 0)
UNARY(rml_atan_f32_neon, lanes_atan, 0)

BINARY(rml_max_f32_neon, vf32_max)
BINARY(rml_min_f32_neon, vf32_min)

BINARY_SCALAR(rml_max_scalar_f32_neon, vf32_max)
BINARY_SCALAR(rml_min_scalar_f32_neon, vf32_min)
