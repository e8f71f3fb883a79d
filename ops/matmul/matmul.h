// Matrix products: what other operators ask of them.
#ifndef RML_OPS_MATMUL_MATMUL_H
#define RML_OPS_MATMUL_MATMUL_H

#include "ops/matmul/product.h"

// Whether a product with a constant f32 matrix of shape `b`, and with `c` (NULL: none), also adds a
// residual and applies an activation.
bool rml_matmul_fuses(const rml_matmul_attr *matmul, const rml_shape *b, const rml_shape *c);

// Both operands and the result as matrices, with the same number of leading dimensions.
rml_product rml_matmul_product(const rml_op_args *args, bool transpose_a, bool transpose_b);

#endif
