// Pieces of resizing that lie in files of their own.
#ifndef RML_OPS_IMAGE_RESIZE_H
#define RML_OPS_IMAGE_RESIZE_H

#include "ops/image/resize_axis.h"

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
