// Pieces of resizing that lie in files of their own.
#ifndef RML_OPS_IMAGE_RESIZE_H
#define RML_OPS_IMAGE_RESIZE_H

#include "ops/op.h"

// ---- one axis: where output coordinates lie in the input, and which elements count how much -----

typedef struct rml_resize_axis {
    int64_t in, out;
    double scale;      // output size / input size before it was rounded
    double begin, end; // of the part that is taken, in input sizes; CROP only
} rml_resize_axis;

// True when nothing changes along this axis.
bool rml_resize_axis_is_same(const rml_resize_attr *attr, const rml_resize_axis *axis);

// The element that nearest takes for output `i`; -1: the value outside.
int64_t rml_resize_nearest(const rml_resize_attr *attr, const rml_resize_axis *axis, int64_t i);

// At most so many elements count for one output: from sizes alone, for all scales that give them.
size_t rml_resize_taps(const rml_resize_attr *attr, int64_t in, int64_t out);

// Output i is the sum over t < count[i] of weight[i*taps + t] * in[first[i] + t]; count 0: the
// value outside.
typedef struct rml_resize_table {
    size_t taps;
    int64_t *first, *count; // [out]
    double *weight;         // [out][taps]
} rml_resize_table;

void rml_resize_weights(const rml_resize_attr *attr, const rml_resize_axis *axis,
                        const rml_resize_table *table);

// ---- all of them
// ---------------------------------------------------------------------------------

// Of every axis, what becomes of it.
typedef struct rml_resize_plan {
    int rank;
    rml_resize_axis axis[RML_MAX_RANK];
} rml_resize_plan;

rml_resize_plan rml_resize_plan_of(const rml_op_args *args);

// Whether an image's pixels are repeated a whole number of times along both axes, as far as is
// known of the inputs; a size that is given by another image may cut the last ones.
bool rml_resize_repeats(const rml_resize_attr *attr, const rml_fact *in, int in_count,
                        int64_t times[2]);

// Images, channels-last: nearest and linear.
void rml_resize_image_nearest(const rml_op_args *args);
size_t rml_resize_image_scratch_bytes(const rml_op_args *args);
void rml_resize_image_linear(const rml_op_args *args);

// Generic: any number of dimensions; linear and cubic go one axis after the other.
size_t rml_resize_nearest_scratch_bytes(const rml_op_args *args);
void rml_resize_nearest_run(const rml_op_args *args);
size_t rml_resize_axes_scratch_bytes(const rml_op_args *args);
void rml_resize_axes_run(const rml_op_args *args);

#endif
