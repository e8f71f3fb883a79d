// Batched matrix products on views: what matmul and einsum run on.
#ifndef RML_OPS_MATMUL_PRODUCT_H
#define RML_OPS_MATMUL_PRODUCT_H

#include "ops/op.h"

// y[..., m, n] = sum over k of a[..., m, k] * b[..., k, n], in rising order of k. All three are of
// one type and one rank >= 2; a leading dimension of `a` or `b` may be 1 where that of `y` is not.
// The columns of `y` lie side by side. f32 and f64 run on gemm kernels, whole numbers of 32
// and 64 bits as they are; other types are widened (see ops/elementwise/widen.h). Integers wrap.
typedef struct rml_product {
    rml_tensor a, b, y;
} rml_product;

// Start of matrix number `batch` of an operand that may be broadcast.
char *rml_product_matrix(const rml_tensor *operand, const rml_tensor *y, size_t batch);

size_t rml_product_scratch(const rml_op_args *args, const rml_product *product);

// `scratch` holds rml_product_scratch bytes, 64-byte aligned. Uses args' kernels, threads and pool.
void rml_product_run(const rml_op_args *args, const rml_product *product, char *scratch);

#endif
