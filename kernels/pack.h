// Packed right-hand sides of the indirect GEMM.
//
// `cols` columns are cut into panels of nr; the last panel's pitch is its width rounded up to
// nr_unit, the rest filled with zeros. The depth of each tap is rounded up to kr, with zeros. A
// panel of floats holds taps*depth rows of `pitch`, row (t, k) after row (t, k-1); one of bf16 half
// as many rows of pitch pairs, those of k and k + 1. Panel p starts at p * taps*depth * nr
// elements.
#ifndef RML_KERNELS_PACK_H
#define RML_KERNELS_PACK_H

#include "kernels/kernels.h"
#include "tensor/size.h"

// Pitch of a panel that holds `cols` (1..nr) columns.
static inline size_t rml_pack_pitch(const rml_gemm *gemm, size_t cols)
{
    return (cols + gemm->nr_unit - 1) / gemm->nr_unit * gemm->nr_unit;
}

// What `depth` is rounded up to.
static inline size_t rml_pack_depth(const rml_gemm *gemm, size_t depth)
{
    return rml_round_up(depth, gemm->kr);
}

// Panels of `cols` columns.
static inline size_t rml_pack_panels(const rml_gemm *gemm, size_t cols)
{
    return (cols + gemm->nr - 1) / gemm->nr;
}

static inline void rml_pack_panel(const rml_gemm *gemm, void *dst, const float *src, size_t taps,
                                  size_t depth, size_t count, size_t tap_stride,
                                  size_t depth_stride, size_t col_stride)
{
    gemm->pack(gemm, dst, src, taps, depth, count, tap_stride, depth_stride, col_stride);
}

// Elements and bytes of the whole packed matrix, SIZE_MAX when it cannot be addressed.
size_t rml_pack_count(const rml_gemm *gemm, size_t taps, size_t depth, size_t cols);
size_t rml_pack_bytes(const rml_gemm *gemm, size_t taps, size_t depth, size_t cols);

// Element `index` of packed memory.
static inline void *rml_pack_at(const rml_gemm *gemm, const void *packed, size_t index)
{
    return (char *)(uintptr_t)packed + index * gemm->element_bytes;
}

#endif
