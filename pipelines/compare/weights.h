// Whether two layers that give the same have the same weights: what stands behind an input that is
// 0 gives the same whatever it is.
#ifndef RML_PIPELINES_COMPARE_WEIGHTS_H
#define RML_PIPELINES_COMPARE_WEIGHTS_H

#include "runmodel.h"

// Weights of f32 that are the same differ by no more: they are rounded once more, where batch norm
// was made part of them elsewhere.
#define RML_SAME_WEIGHTS 1e-6

// By how much the sums of squares of the constants of two nodes differ at most, as a part of the
// larger: of those of which either node has one of as many elements. So weights may be transposed,
// permuted and of the other sign, and one node may be several.
rml_status rml_weights_difference(const rml_model *a, const char *node_a, const rml_model *b,
                                  const char *node_b, double *difference, rml_error *err);

#endif
