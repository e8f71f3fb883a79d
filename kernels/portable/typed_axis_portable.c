// Elements of every type along an axis, the definitions.
#include "kernels/kernels_internal.h"

#define TYPED_ADD_SCALED rml_add_scaled_portable
#define TYPED_PICK rml_pick_portable
#define TYPED_SELECT rml_select_portable
#define TYPED_RUNNING rml_running_portable
#define TYPED_SEARCH_LINES rml_search_lines_portable
#define TYPED_SEARCH_ROW rml_search_row_portable
#include "kernels/tmpl/typed_axis.inc"
