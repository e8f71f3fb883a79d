// Indirect GEMM over a window: what convolution, its transpose and the linear operators run on.
//
// There is no im2col buffer: the kernel gets a pointer to each input pixel a tile of output pixels
// reads, so padding, stride, dilation and gaps between pixels cost a few pointers a tile.
#ifndef RML_OPS_CONV_IGEMM_H
#define RML_OPS_CONV_IGEMM_H

#include "ops/conv/window.h"

// One product: output channels [out_channel, out_channel + cols) from input channels [in_channel,
// in_channel + depth) over the taps of a window.
typedef struct rml_igemm {
    rml_window window;
    const rml_tensor *in, *out;
    const rml_tensor *residual; // shape of out, or NULL
    int64_t in_channel, out_channel;
    size_t depth, cols;   // depth is a multiple of kr
    const rml_gemm *gemm; // of the type of `in` and `packed`
    const void *packed;   // all panels, see kernels/pack.h
    const float *bias;    // [cols] or NULL
    const rml_activation *act;
    // As that of rml_algorithm.
    void (*activate)(const rml_kernels *kernels, const rml_activation *act, float *x, size_t count);
} rml_igemm;

// Whether pixel follows pixel in the memory of a view, without gaps between rows or images.
bool rml_igemm_is_flat(const rml_tensor *view);

// Scratch for a product of at most `taps` taps and `depth` channels.
size_t rml_igemm_scratch_bytes(const rml_gemm *gemm, int threads, size_t taps, size_t depth);

// Runs the product, split over the pool. Uses args' kernels, pool and scratch.
void rml_igemm_run(const rml_op_args *args, const rml_igemm *product);

#endif
