// Elementwise functions of every type but f32 and halves.
#include "kernels/kernels_internal.h"

#define TYPED_BINARY rml_typed_binary_avx2
#define TYPED_UNARY rml_typed_unary_avx2
#include "kernels/tmpl/typed.inc"
