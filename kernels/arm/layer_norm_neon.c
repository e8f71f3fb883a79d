// Layer normalisation.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_neon.h"

#define LAYER_NORM_NAME rml_layer_norm_f32_neon
#include "kernels/tmpl/layer_norm.inc"
