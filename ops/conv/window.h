// The taps that an output pixel reads: shared by convolution, its transpose and pooling.
#ifndef RML_OPS_CONV_WINDOW_H
#define RML_OPS_CONV_WINDOW_H

#include "ops/op.h"

// A grid of output pixels, rows x cols in each image, and the input pixels each reads. Output grid
// position (j, i) reads input (j*step[0] + first[0] + ty*tap_step[0], i*step[1] + first[1] + ...)
// for ty < taps[0], tx < taps[1], and stands in the output at (origin + j*out_step, ...).
typedef struct rml_window {
    int64_t rows, cols;
    int64_t step[2];
    int64_t first[2], taps[2], tap_step[2]; // tap_step > 0
    int64_t origin[2], out_step[2];
} rml_window;

rml_window rml_window_conv(const rml_tensor *out, const int64_t kernel[2], const int64_t stride[2],
                           const int64_t pad[4], const int64_t dilation[2]);

// Checks attributes and gives the size of the output along one axis (0: height, 1: width); -1 where
// the input's is unknown. `ceil_mode` as in torch's pooling.
rml_status rml_window_size(int64_t in, int axis, const int64_t kernel[2], const int64_t stride[2],
                           const int64_t pad[4], const int64_t dilation[2], bool ceil_mode,
                           int64_t *out, rml_error *err);

// A position in the grid, walked in order of images, rows, columns.
typedef struct rml_window_at {
    int64_t image, row, col;
} rml_window_at;

rml_window_at rml_window_seek(const rml_window *window, size_t pixel);
void rml_window_next(const rml_window *window, rml_window_at *at);

// First element of the pixel at grid position `at` in the output view (or one of the same shape).
float *rml_window_out(const rml_window *window, const rml_window_at *at, const rml_tensor *out);

// True when all taps of this position lie inside the input's width.
bool rml_window_inside_cols(const rml_window *window, const rml_window_at *at,
                            const rml_tensor *in);

// Writes the taps' pointers, ptr[tap * pitch], tap = ty*taps[1] + tx, plus `channel` elements of
// the view's type; taps outside the input point at `zeros`. With `merge`, one pointer for each row
// of taps: the pixels of the row must be adjacent in memory and inside the width.
void rml_window_pointers(const rml_window *window, const rml_window_at *at, const rml_tensor *in,
                         int64_t channel, const void *zeros, bool merge, const void **ptr,
                         size_t pitch);

#endif
