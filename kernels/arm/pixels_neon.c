// Kernels on windows of pixels and on rows.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_neon.h"
#include "kernels/winograd.h"

#define POOL_MAX_NAME rml_pool_max_f32_neon
#define POOL_SUM_NAME rml_pool_sum_f32_neon
#define LERP_NAME rml_lerp_f32_neon
#include "kernels/tmpl/window.inc"

#define CONV_DIRECT_NAME rml_conv_direct_f32_neon
#include "kernels/tmpl/conv_direct.inc"

#define CONV_PLAIN_NAME rml_conv_plain_f32_neon
#define PAD_ROWS_NAME rml_pad_rows_f32_neon
#include "kernels/tmpl/conv_plain.inc"

#define WINOGRAD_INPUT_NAME rml_winograd_input_f32_neon
#define WINOGRAD_OUTPUT_NAME rml_winograd_output_f32_neon
#include "kernels/tmpl/winograd.inc"

#include "kernels/tmpl/math.inc"
#define SOFTMAX_NAME rml_softmax_f32_neon
#include "kernels/tmpl/softmax.inc"

#define SOFTMAX_STEP_NAME rml_softmax_step_f32_neon
#include "kernels/tmpl/softmax_step.inc"

#define MOMENTS_NAME rml_moments_f32_neon
#define AFFINE_NAME rml_affine_f32_neon
#include "kernels/tmpl/moments.inc"

#define L2NORM_NAME rml_l2norm_f32_neon
#include "kernels/tmpl/l2norm.inc"
