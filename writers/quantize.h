// Weights in fewer bits than they have.
#ifndef RML_WRITERS_QUANTIZE_H
#define RML_WRITERS_QUANTIZE_H

#include "writers/elements.h"

// Which dimension of the node's input `index` its outputs go along, where that is a constant f32
// weight of a product (or a table of rows); -1: it is none.
int rml_weight_axis(const rml_graph *graph, const rml_node *node, int index);

// Whether each has a place between others: what is not finite has no form in fewer bits.
bool rml_are_finite(const float *number, size_t count);

// Numbers as i8 codes of -127 to 127 times a scale for each index of `axis`, which go to `scale`:
// the largest of each is a code of 127. They are finite, in C order, as many as `shape` says.
void rml_quantize(const float *from, const rml_shape *shape, int axis, int8_t *codes, float *scale);

// The same of an f32 constant; refused if it is not finite. `codes` are to be released.
rml_status rml_quantize_weight(rml_elements *codes, const rml_value *constant, int axis,
                               float *scale, const rml_allocator *allocator, rml_error *err);

#endif
