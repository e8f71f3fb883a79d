// Elementwise functions of every type but f32 and halves, the definitions.
#include "kernels/kernels_internal.h"

#define TYPED_BINARY rml_typed_binary_portable
#define TYPED_UNARY rml_typed_unary_portable
#include "kernels/tmpl/typed.inc"
