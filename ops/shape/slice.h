// What a slice keeps, for those that read it in place.
#ifndef RML_OPS_SHAPE_SLICE_H
#define RML_OPS_SHAPE_SLICE_H

#include "ops/op.h"

// The part of the first input that a slice node copies; false where nothing is kept.
bool rml_slice_part(const rml_op_args *args, rml_tensor *part);

#endif
