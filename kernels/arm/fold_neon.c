// Rows joined into one.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_neon.h"

#define FOLD_NAME rml_fold_f32_neon
#include "kernels/tmpl/fold.inc"
