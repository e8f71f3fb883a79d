// Operands as pairs of bf16, for products in that precision: what lies in memory as floats, an
// image or a matrix, gets a float in the place of two, so that everything that points at floats
// serves both.
#ifndef RML_OPS_MATMUL_PAIRS_H
#define RML_OPS_MATMUL_PAIRS_H

#include "ops/op.h"

// Whether products are wanted, and can be had, in bf16.
bool rml_wants_bf16(const rml_op_args *args);

static inline size_t rml_pairs(size_t count)
{
    return (count + 1) / 2;
}

// Bytes of the pairs along the channels of a channels-last image.
size_t rml_pairs_bytes(const rml_tensor *image);

// Writes them to `memory`, without gaps, in parallel, and returns their view.
rml_tensor rml_pairs_make(const rml_op_args *args, const rml_tensor *image, char *memory);

// As rml_pack_panel, with pairs along the depth: 2*k and 2*k + 1 of element (t, k, n). `depth`
// counts floats.
void rml_pairs_pack_panel(const rml_kernels *kernels, float *dst, const float *src, size_t taps,
                          size_t depth, size_t count, size_t tap_stride, size_t depth_stride,
                          size_t col_stride);

#endif
