// Operands in bf16, for products in that precision.
#ifndef RML_OPS_MATMUL_BF16_H
#define RML_OPS_MATMUL_BF16_H

#include "ops/op.h"

// Whether products are wanted in bf16, and the CPU's are faster than those of f32.
bool rml_wants_bf16(const rml_op_args *args);

// What a row of a product takes in bf16, rounding it `rounds` times included, in multiply-adds of
// gemm_f32, where f32 takes depth * cols; and whether that, once rounded, is clearly less.
#define RML_BF16_GAIN 0.9f
float rml_bf16_cost(const rml_op_args *args, size_t depth, size_t cols, float rounds);
bool rml_bf16_gains(const rml_op_args *args, size_t depth, size_t cols);

// The product that the chosen algorithm runs on: its functions may serve both precisions.
static inline bool rml_runs_bf16(const rml_op_args *args)
{
    return args->algorithm->precision == RML_PRECISION_BF16;
}

static inline const rml_gemm *rml_gemm_of(const rml_op_args *args, bool bf16)
{
    return bf16 ? &RML_KERNEL(args->kernels, gemm_bf16) : &RML_KERNEL(args->kernels, gemm_f32);
}

// Bytes of a channels-last image in bf16, its channels rounded up to what the product wants.
size_t rml_bf16_image_bytes(const rml_op_args *args, const rml_tensor *image);

// Writes it to `memory`, without gaps, in parallel, and returns its view.
rml_tensor rml_bf16_image(const rml_op_args *args, const rml_tensor *image, void *memory);

#endif
