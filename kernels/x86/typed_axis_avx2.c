// Elements of every type along an axis.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f64_avx2.h"

#define TYPED_ADD_SCALED rml_add_scaled_avx2
#define TYPED_PICK rml_pick_avx2
#define TYPED_SELECT rml_select_avx2
#define TYPED_RUNNING rml_running_avx2
#define TYPED_SEARCH_LINES rml_search_lines_avx2
#define TYPED_SEARCH_ROW rml_search_row_avx2
#include "kernels/tmpl/typed_axis.inc"
