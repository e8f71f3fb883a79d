// Pieces of convolution that lie in files of their own.
#ifndef RML_OPS_CONV_CONV_H
#define RML_OPS_CONV_CONV_H

#include "ops/conv/window.h"

// Shape rule by shapes alone, whose ranks are known; the bias is input `bias`. An input 3 behind it
// is the residual.
rml_status rml_conv_infer(const rml_conv_attr *conv, const rml_shape *in, int in_count, int bias,
                          bool transposed, rml_shape *out, rml_error *err);
// The same of a node: a rank of x that is not known is the weight's.
rml_status rml_conv_infer_node(const rml_op_node *node, bool transposed, rml_shape *out,
                               rml_error *err);
// Whether the node has a constant weight of one or two dimensions, to be packed, and images
// to meet it.
bool rml_conv_takes_images(const rml_op_attr *attr, const rml_fact *in, int in_count);
rml_window rml_conv_window(const rml_op_args *args);
uint64_t rml_conv_macs(const rml_op_args *args);

// Taps of an image's filter.
static inline size_t rml_conv_taps(const rml_op_args *args)
{
    return (size_t)(args->in[1].dim[2] * args->in[1].dim[3]);
}

static inline const float *rml_conv_bias(const rml_op_args *args)
{
    return rml_op_input(args, 2) ? args->in[2].data : NULL;
}

static inline const rml_tensor *rml_conv_residual(const rml_op_args *args)
{
    return rml_op_input(args, 3);
}

// One dimension, as an image of one row.
bool rml_conv_row_accepts(const rml_op_args *args);
size_t rml_conv_row_packed_bytes(const rml_op_args *args);
rml_status rml_conv_row_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                             const rml_allocator *allocator, rml_error *err);
size_t rml_conv_row_scratch_bytes(const rml_op_args *args);
void rml_conv_row_run(const rml_op_args *args);

// Direct: few channels a group. Of one group, images of more than one row of taps may be plain.
bool rml_conv_direct_accepts(const rml_op_args *args);
bool rml_conv_direct_takes_planes(const rml_op_attr *attr, const rml_fact *in, int in_count);
size_t rml_conv_direct_packed_bytes(const rml_op_args *args);
rml_status rml_conv_direct_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                                const rml_allocator *allocator, rml_error *err);
size_t rml_conv_direct_scratch_bytes(const rml_op_args *args);
void rml_conv_direct_run(const rml_op_args *args);

// To few output channels: kn2row.
bool rml_conv_small_oc_accepts(const rml_op_args *args);
size_t rml_conv_small_oc_packed_bytes(const rml_op_args *args);
rml_status rml_conv_small_oc_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                                  const rml_allocator *allocator, rml_error *err);
size_t rml_conv_small_oc_scratch_bytes(const rml_op_args *args);
void rml_conv_small_oc_run(const rml_op_args *args);

// Indirect GEMM. What fits bf16 is accepted where it is the fastest way, see conv_winograd.c.
bool rml_conv_bf16_fits(const rml_op_args *args);
bool rml_conv_bf16_accepts(const rml_op_args *args);
size_t rml_conv_indirect_packed_bytes(const rml_op_args *args);
rml_status rml_conv_indirect_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                                  const rml_allocator *allocator, rml_error *err);
size_t rml_conv_indirect_scratch_bytes(const rml_op_args *args);
void rml_conv_indirect_run(const rml_op_args *args);

// Winograd F(4x4, 3x3), in f32 and in bf16.
bool rml_conv_winograd_accepts(const rml_op_args *args);
size_t rml_conv_winograd_packed_bytes(const rml_op_args *args);
rml_status rml_conv_winograd_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                                  const rml_allocator *allocator, rml_error *err);
size_t rml_conv_winograd_scratch_bytes(const rml_op_args *args);
void rml_conv_winograd_run(const rml_op_args *args);
bool rml_conv_winograd_bf16_accepts(const rml_op_args *args);

// Plain, from few channels or to few. `fits`: where that is as fast as to reorder a plain image
// before and behind.
bool rml_conv_plain_fits(const rml_op_attr *attr, const rml_fact *in, int in_count);
bool rml_conv_plain_accepts(const rml_op_args *args);
size_t rml_conv_plain_bytes(const rml_op_args *args);
void rml_conv_plain_run(const rml_op_args *args);

// Generic: any number of dimensions, weights that are computed.
size_t rml_conv_generic_scratch_bytes(const rml_op_args *args);
void rml_conv_generic_run(const rml_op_args *args);
void rml_conv_transpose_generic_run(const rml_op_args *args);

// The window of a transposed convolution, seen from its input: `out` is the size of its output, and
// `before` may be negative, when the output begins with what no input reaches.
rml_status rml_conv_transpose_make(const rml_conv_attr *conv, const rml_shape *x,
                                   const rml_shape *weight, rml_window *window, rml_error *err);
rml_window rml_conv_transpose_window(const rml_op_args *args);

// The epilogue of generic ways: adds the residual to `count` outputs that are computed, and applies
// the activation.
void rml_conv_epilogue(const rml_op_args *args, float *y, size_t count);

#endif
