// Weights in fewer bits than they have.
#ifndef RML_WRITERS_QUANTIZE_H
#define RML_WRITERS_QUANTIZE_H

#include "writers/elements.h"

// Which dimension of the node's input `index` its outputs go along, where that is a constant f32
// weight of a product (or a table of rows); -1: it is none.
int rml_weight_axis(const rml_graph *graph, const rml_node *node, int index);

// An f32 constant as i8 codes of -127 to 127 times a scale for each index of `axis`, which go to
// `scale`: the largest element of each is a code of 127.
rml_status rml_quantize_weight(rml_elements *codes, const rml_value *constant, int axis,
                               float *scale, const rml_allocator *allocator, rml_error *err);

#endif
