// Convolution as a product of its weight, as it is stored, with columns made on the way: for
// weights that are no constants, for any number of dimensions, and for what the columns are made of
// otherwise. Everything is plain; nothing is packed before the run.
#ifndef RML_OPS_COLUMNS_H
#define RML_OPS_COLUMNS_H

#include "ops/windows.h"

struct rml_columns;

// A panel of columns: `pixels` output pixels from `pixel` on of one image, and the input channels
// [channel, channel + channels).
typedef struct rml_columns_part {
    size_t image, channel, channels, pixel, pixels, pitch;
    float *dst;    // row (channel, tap) at dst + ((channel - first) * taps + tap) * pitch
    char *scratch; // RML_COLUMNS_PIXEL_BYTES for each pixel
} rml_columns_part;

#define RML_COLUMNS_PIXEL_BYTES ((RML_MAX_SPATIAL + 4) * sizeof(int64_t))

// out[n][o][pixel] = bias[o] + sum over the group's channels and taps of weight * column
typedef struct rml_columns {
    const rml_op_args *args;
    rml_windows windows;
    size_t taps, pixels;        // of a window; of an output image
    size_t groups, depth, rows; // input channels and output channels of a group
    const rml_tensor *in, *weight, *out;
    const float *bias; // or NULL
    void (*fill)(const struct rml_columns *columns, const rml_columns_part *part);
} rml_columns;

size_t rml_columns_scratch_bytes(const rml_op_args *args, size_t taps, size_t depth);

// Uses args' kernels, pool and scratch.
void rml_columns_run(const rml_columns *columns);

#endif
