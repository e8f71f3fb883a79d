// Pieces of convolution that lie in files of their own.
#ifndef RML_OPS_CONV_CONV_H
#define RML_OPS_CONV_CONV_H

#include "ops/op.h"

// Checks input, weight and bias of a convolution (out_axis 0) or its transpose (out_axis 1).
rml_status rml_conv_check(const rml_op_attr *attr, const rml_shape *in, int in_count, int out_axis,
                          int64_t *out_channels, rml_error *err);
rml_status rml_conv_check_residual(const rml_shape *in, int in_count, const rml_shape *out,
                                   rml_error *err);

static inline const float *rml_conv_bias(const rml_op_args *args)
{
    return args->in_count > 2 && args->in[2].rank >= 0 ? args->in[2].data : NULL;
}

static inline const rml_tensor *rml_conv_residual(const rml_op_args *args)
{
    return args->in_count > 3 && args->in[3].rank >= 0 ? &args->in[3] : NULL;
}

// Depthwise: groups == channels == outputs, clamp activations, no residual.
bool rml_conv_dw_accepts(const rml_op_args *args);
size_t rml_conv_dw_packed_bytes(const rml_op_args *args);
rml_status rml_conv_dw_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                            const rml_allocator *allocator, rml_error *err);
size_t rml_conv_dw_scratch_bytes(const rml_op_args *args);
void rml_conv_dw_run(const rml_op_args *args);

// To few channels: taps are columns of one product.
bool rml_conv_few_accepts(const rml_op_args *args);
size_t rml_conv_few_packed_bytes(const rml_op_args *args);
rml_status rml_conv_few_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                             const rml_allocator *allocator, rml_error *err);
size_t rml_conv_few_scratch_bytes(const rml_op_args *args);
void rml_conv_few_run(const rml_op_args *args);

// Indirect, in bf16.
bool rml_conv_bf16_accepts(const rml_op_args *args);
size_t rml_conv_bf16_packed_bytes(const rml_op_args *args);
rml_status rml_conv_bf16_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                              const rml_allocator *allocator, rml_error *err);
size_t rml_conv_bf16_scratch_bytes(const rml_op_args *args);
void rml_conv_bf16_run(const rml_op_args *args);

// Winograd F(4x4, 3x3), in f32 and in bf16.
bool rml_conv_winograd_accepts(const rml_op_args *args);
size_t rml_conv_winograd_packed_bytes(const rml_op_args *args);
rml_status rml_conv_winograd_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                                  const rml_allocator *allocator, rml_error *err);
size_t rml_conv_winograd_scratch_bytes(const rml_op_args *args);
void rml_conv_winograd_run(const rml_op_args *args);
bool rml_conv_winograd_bf16_accepts(const rml_op_args *args);
size_t rml_conv_winograd_bf16_packed_bytes(const rml_op_args *args);
rml_status rml_conv_winograd_bf16_pack(const rml_op_args *args, const rml_constant *weight,
                                       void *packed, const rml_allocator *allocator,
                                       rml_error *err);
size_t rml_conv_winograd_bf16_scratch_bytes(const rml_op_args *args);
void rml_conv_winograd_bf16_run(const rml_op_args *args);

#endif
