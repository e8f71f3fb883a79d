// Windows over images of any number of dimensions, with sizes put in: what convolution, its
// transpose and pooling stand on. The second half is for images of two dimensions, channels-last.
#ifndef RML_OPS_CONV_WINDOW_H
#define RML_OPS_CONV_WINDOW_H

#include "ops/op.h"

// Output position o reads, along each axis, the inputs o * stride - before + tap * dilation.
typedef struct rml_window {
    int rank;                                          // spatial axes
    int64_t in[RML_MAX_SPATIAL], out[RML_MAX_SPATIAL]; // -1: not known
    int64_t kernel[RML_MAX_SPATIAL], stride[RML_MAX_SPATIAL], dilation[RML_MAX_SPATIAL];
    int64_t before[RML_MAX_SPATIAL], after[RML_MAX_SPATIAL]; // padding
} rml_window;

// For an image of known rank. `kernel` holds the window's sizes where attr's are 0, or is NULL.
// Sizes that are not known give -1; padding that depends on them is 0 then.
rml_status rml_window_make(const rml_window_attr *attr, const rml_shape *image,
                           const int64_t *kernel, rml_window *window, rml_error *err);

// Attributes that give the same window for the same image.
rml_window_attr rml_window_explicit(const rml_window *window);

// 1 x `taps` over an image of one row.
rml_window rml_window_row(int64_t taps, int64_t stride, int64_t size);

static inline int64_t rml_window_span(const rml_window *window, int axis)
{
    return window->dilation[axis] * (window->kernel[axis] - 1) + 1;
}

// Elements of a list of known sizes.
size_t rml_sizes_count(const int64_t *size, int rank);

// The coordinates of element `index` in C order.
void rml_sizes_seek(const int64_t *size, int rank, size_t index, int64_t *at);

// To the next element; back at the start after the last one.
void rml_sizes_next(const int64_t *size, int rank, int64_t *at);

// ---- two dimensions -----------------------------------------------------------------------------

// An output pixel, walked in order of images, rows, columns.
typedef struct rml_window_at {
    int64_t image, row, col;
} rml_window_at;

rml_window_at rml_window_seek(const rml_window *window, size_t pixel);
void rml_window_next(const rml_window *window, rml_window_at *at);

// First element of the pixel in a view of the output's shape.
float *rml_window_out(const rml_window_at *at, const rml_tensor *out);

// True when all taps of this position lie inside the input's width.
bool rml_window_inside_cols(const rml_window *window, const rml_window_at *at,
                            const rml_tensor *in);

// Writes the taps' pointers, ptr[tap * pitch], tap = ty*kernel[1] + tx, plus `channel` elements of
// the view's type; taps outside the input point at `zeros`. With `merge`, one pointer for each row
// of taps: the pixels of the row must be adjacent in memory and inside the width.
void rml_window_pointers(const rml_window *window, const rml_window_at *at, const rml_tensor *in,
                         int64_t channel, const void *zeros, bool merge, const void **ptr,
                         size_t pitch);

#endif
