// What conv_nd and deform_conv share.
#ifndef RML_OPS_CONV_CONV_ND_H
#define RML_OPS_CONV_CONV_ND_H

#include "ops/conv/im2col.h"

// Checks input, weight and the bias at input `bias`, whose ranks are known.
rml_status rml_conv_nd_check(const rml_conv_nd_attr *conv, const rml_shape *in, int in_count,
                             int bias, rml_windows *windows, rml_error *err);
rml_shape rml_conv_nd_shape(const rml_shape *in, const rml_windows *windows);

// Everything but `fill`.
rml_im2col rml_conv_nd_columns(const rml_op_args *args, int bias);
uint64_t rml_conv_nd_macs(const rml_op_args *args);
size_t rml_conv_nd_scratch_bytes(const rml_op_args *args);

#endif
