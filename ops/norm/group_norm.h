// Group norm in parts, for channels-last images that never lie in memory as a whole. The parts give
// the bits of the whole:
//   1. the moments of every block of RML_NORM_BLOCK neighbouring pixels of an item, each once, in
//      any order; the last block of an item may be shorter
//   2. join, once an item
//   3. apply, to any pixels of the item
// `args` are those of the whole; of in[0] and out[0] only the shape is looked at. What the parts
// tell each other lies in args->scratch.
#ifndef RML_OPS_NORM_GROUP_NORM_H
#define RML_OPS_NORM_GROUP_NORM_H

#include "ops/op.h"

#define RML_NORM_BLOCK 128

// Blocks [first, first + count) of the item, whose pixels begin at `pixels` and lie without gaps.
void rml_group_norm_blocks(const rml_op_args *args, size_t item, size_t first, size_t count,
                           const float *pixels);
void rml_group_norm_join(const rml_op_args *args, size_t item);
void rml_group_norm_apply(const rml_op_args *args, size_t item, const float *src, float *dst,
                          size_t pixels);

// ---- its algorithms, and what they share ------------------------------------------------------

size_t rml_group_norm_groups(const rml_op_args *args);
size_t rml_group_norm_scratch(const rml_op_args *args); // of f32
void rml_group_norm_run(const rml_op_args *args);
bool rml_group_norm_is_half(const rml_op_args *args);
size_t rml_group_norm_half_scratch(const rml_op_args *args);
void rml_group_norm_run_half(const rml_op_args *args);
void rml_group_norm_run_wide(const rml_op_args *args);

#endif
