// Rows joined into one, and rows each joined to one number.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_neon.h"

#define FOLD_NAME rml_fold_f32_neon
#define FOLD_ROWS_NAME rml_fold_rows_f32_neon
#include "kernels/tmpl/fold.inc"
