// Packed right-hand sides of the indirect GEMM.
//
// `cols` columns are cut into panels of nr; the last panel's pitch is its width rounded up to
// nr_unit, the rest filled with zeros. A panel holds taps*depth rows of `pitch` floats, row (t, k)
// after row (t, k-1). Panel p starts at p * taps*depth * nr floats.
#ifndef RML_KERNELS_PACK_H
#define RML_KERNELS_PACK_H

#include "kernels/kernels.h"

// Pitch of a panel that holds `cols` (1..nr) columns.
static inline size_t rml_pack_pitch(const rml_kernels *kernels, size_t cols)
{
    return (cols + kernels->nr_unit - 1) / kernels->nr_unit * kernels->nr_unit;
}

// Floats of the whole packed matrix, SIZE_MAX when it cannot be addressed.
size_t rml_pack_count(const rml_kernels *kernels, size_t taps, size_t depth, size_t cols);

// Packs columns [first, first + count) of one panel (first is a multiple of nr, count <= nr) to
// `dst`, the start of that panel:
//   element (t, k, n) = src[t*tap_stride + k*depth_stride + n*col_stride]
void rml_pack_panel(const rml_kernels *kernels, float *dst, const float *src, size_t taps,
                    size_t depth, size_t count, size_t tap_stride, size_t depth_stride,
                    size_t col_stride);

#endif
