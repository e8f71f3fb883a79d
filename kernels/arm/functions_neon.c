// Elementwise kernels of functions, which take many operations an element.
#include "kernels/kernels_internal.h"

#define VF32_STEPS 4
#include "kernels/simd/f32_neon_steps.h"

#include "kernels/tmpl/math.inc"
#include "kernels/tmpl/elementwise.inc"

UNARY(rml_sigmoid_f32_neon, lanes_sigmoid, 0)
UNARY(rml_tanh_f32_neon, lanes_tanh, 0)
UNARY(rml_exp_f32_neon, lanes_exp, 0)
UNARY(rml_silu_f32_neon, lanes_silu, 0)
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
