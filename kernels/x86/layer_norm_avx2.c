// Layer normalisation.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_avx2.h"

#define LAYER_NORM_NAME rml_layer_norm_f32_avx2
#include "kernels/tmpl/layer_norm.inc"
