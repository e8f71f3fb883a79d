// Operators that know fewer ways than those of the same number in op.h, and link no more: what
// networks that a program names one by one are made of. Each takes f32 and trained weights, and
// computes the bits of the whole operator in the ways that it has.
#ifndef RML_OPS_ALONE_H
#define RML_OPS_ALONE_H

#include "ops/op.h"

// CONV of images: for depthwise ones and those of one tap or with a stride it has all the ways; for
// others the whole one has faster ways, of other bits.
extern const rml_op rml_op_conv_alone;
extern const rml_op rml_op_unary_alone;   // functions with a kernel
extern const rml_op rml_op_binary_alone;  // the same
extern const rml_op rml_op_mean_alone;    // POOL: the mean of all pixels of an image
extern const rml_op rml_op_softmax_alone; // and its logarithm

#endif
