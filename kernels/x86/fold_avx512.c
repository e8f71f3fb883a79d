// Rows joined into one, and rows each joined to one number.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_avx512.h"

#define FOLD_NAME rml_fold_f32_avx512
#define FOLD_ROWS_NAME rml_fold_rows_f32_avx512
#include "kernels/tmpl/fold.inc"
