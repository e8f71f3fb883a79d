// Windows over images of any number of dimensions, with sizes put in: what the operators for
// everything but two-dimensional f32 images stand on. ops/conv/window.h is their fast sibling.
#ifndef RML_OPS_CONV_WINDOWS_H
#define RML_OPS_CONV_WINDOWS_H

#include "ops/op.h"

typedef struct rml_windows {
    int rank;                                          // spatial axes
    int64_t in[RML_MAX_SPATIAL], out[RML_MAX_SPATIAL]; // -1: not known
    int64_t kernel[RML_MAX_SPATIAL], stride[RML_MAX_SPATIAL], dilation[RML_MAX_SPATIAL];
    int64_t before[RML_MAX_SPATIAL], after[RML_MAX_SPATIAL];
} rml_windows;

// For an image of known rank. `kernel` holds the window's sizes where attr's are 0, or is NULL.
// Sizes that are not known give -1; padding that depends on them is 0 then.
rml_status rml_windows_make(const rml_windows_attr *attr, const rml_shape *image,
                            const int64_t *kernel, rml_windows *windows, rml_error *err);

// Checks one axis' numbers, and that the window's span with its dilation can be added to a size.
rml_status rml_windows_check(const rml_windows *windows, rml_error *err);

static inline int64_t rml_windows_span(const rml_windows *windows, int axis)
{
    return windows->dilation[axis] * (windows->kernel[axis] - 1) + 1;
}

// Elements of a list of known sizes.
size_t rml_sizes_count(const int64_t *size, int rank);

// The coordinates of element `index` in C order.
void rml_sizes_seek(const int64_t *size, int rank, size_t index, int64_t *at);

// To the next element; back at the start after the last one.
void rml_sizes_next(const int64_t *size, int rank, int64_t *at);

#endif
