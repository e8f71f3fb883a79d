// Direct convolution over a window: few channels a group, so that the pixels of a window are met by
// weights as they lie in memory, without the tables of pointers and the panels that a product
// wants. What convolution and its transpose run on where igemm.h has too little to do.
#ifndef RML_OPS_CONV_DIRECT_H
#define RML_OPS_CONV_DIRECT_H

#include "ops/conv/window.h"

typedef struct rml_direct {
    rml_window window;
    const rml_tensor *in, *out; // in: of one group it may be plain
    const rml_tensor *residual; // shape of out, or NULL
    rml_conv_groups groups;
    const float *packed; // see rml_direct_pack
    const float *bias;   // of all channels, or NULL
    const rml_activation *act;
    // As that of rml_algorithm; only for the run.
    void (*activate)(const rml_kernels *kernels, const rml_activation *act, float *x, size_t count);
} rml_direct;

// Channels that go into one of several groups, at most, to be computed here.
#define RML_DIRECT_MAX_DEPTH 16

// Floats of the packed weights of `taps` taps.
size_t rml_direct_floats(const rml_kernels *kernels, const rml_conv_groups *groups, size_t taps);

// Packs the filters of one block of outputs, see rml_conv_block_at: element (t, k, n) of it is
// src[tap[t] + k*depth_stride + n*col_stride]. `dst` is where the block begins.
void rml_direct_pack(const rml_kernels *kernels, const rml_conv_groups *groups, size_t outputs,
                     const float *src, const size_t *tap, size_t taps, size_t depth_stride,
                     size_t col_stride, float *dst);

// Scratch for it; views have no data yet.
size_t rml_direct_scratch_bytes(const rml_op_args *args, const rml_direct *direct);

// Runs it, split over the pool. Uses args' kernels, pool and scratch.
void rml_direct_run(const rml_op_args *args, const rml_direct *direct);

static inline bool rml_direct_reads_planes(const rml_tensor *in)
{
    return in->dim[1] > 1 && in->stride[1] != 1;
}

// The way of several groups and of plain images, and its scratch for each worker; see
// direct_copied.c.
size_t rml_direct_copied_bytes(const rml_op_args *args, const rml_direct *direct);
void rml_direct_copied_run(const rml_op_args *args, const rml_direct *direct);

// Applies an activation that the kernel does not have to pixels that follow each other.
void rml_direct_activate(const rml_op_args *args, const rml_direct *direct, float *first,
                         size_t pixels);

#endif
