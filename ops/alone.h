// Operators that know fewer ways than those of the same number in op.h, and link no more: what
// networks that a program names one by one are made of. Each takes f32 and trained weights, and
// computes the bits of the whole operator in the ways that it has.
#ifndef RML_OPS_ALONE_H
#define RML_OPS_ALONE_H

#include "ops/op.h"

// CONV of images: for depthwise ones and those of one tap or with a stride it has all the ways; for
// others the whole one has faster ways, of other bits. No activations but a clamp.
extern const rml_op rml_op_conv_alone;
extern const rml_op rml_op_inverted_alone; // INVERTED_RESIDUAL of three of them
extern const rml_op rml_op_clamp_alone;    // UNARY
extern const rml_op rml_op_add_alone;      // BINARY, without an activation
extern const rml_op rml_op_mean_alone;     // POOL: the mean of all pixels of an image
extern const rml_op rml_op_softmax_alone;  // and its logarithm

#endif
