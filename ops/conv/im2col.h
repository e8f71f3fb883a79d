// Convolution as a product of its weight, as it is stored, with columns made on the way: for
// weights that are no constants, for any number of dimensions, and for what the columns are made of
// otherwise. Everything is plain; nothing is packed before the run.
#ifndef RML_OPS_CONV_IM2COL_H
#define RML_OPS_CONV_IM2COL_H

#include "ops/conv/conv.h"

struct rml_im2col;

// A panel of columns: `pixels` output pixels from `pixel` on of one image, and the input channels
// [channel, channel + channels).
typedef struct rml_im2col_part {
    size_t image, channel, channels, pixel, pixels, pitch;
    float *dst;    // row (channel, tap) at dst + ((channel - first) * taps + tap) * pitch
    char *scratch; // RML_IM2COL_PIXEL_BYTES for each pixel
} rml_im2col_part;

#define RML_IM2COL_PIXEL_BYTES ((RML_MAX_SPATIAL + 4) * sizeof(int64_t))

// out[n][o][pixel] = bias[o] + sum over the group's channels and taps of weight * column
typedef struct rml_im2col {
    const rml_op_args *args;
    rml_window window;
    size_t taps, pixels;        // of a window; of an output image
    size_t groups, depth, rows; // input channels and output channels of a group
    const rml_tensor *in, *weight, *out;
    const float *bias; // or NULL
    bool epilogue;     // of a convolution, see rml_conv_epilogue
    void (*fill)(const struct rml_im2col *columns, const rml_im2col_part *part);
} rml_im2col;

size_t rml_im2col_scratch_bytes(const rml_op_args *args);

// Everything but `fill`, of a convolution with its bias at input `bias`.
rml_im2col rml_im2col_make(const rml_op_args *args, int bias);

// Uses args' kernels, pool and scratch.
void rml_im2col_run(const rml_im2col *columns);

#endif
