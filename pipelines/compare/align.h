// Which layers of two runs of one network belong together.
#ifndef RML_PIPELINES_COMPARE_ALIGN_H
#define RML_PIPELINES_COMPARE_ALIGN_H

#include "pipelines/compare/layers.h"

// A layer of the first run, and the one of the second that is the same.
typedef struct rml_aligned {
    const rml_layer *left, *right;
    bool by_order; // names told nothing: the next of this shape, see below
} rml_aligned;

// In the order of the first run: by equal keys, or names where those make no key; else by keys that
// are equal but for dots and underscores and a prefix, as converters write them
// ("model_features_0_0" and "features.0.0"). What has weights and no such partner aligns by shape
// and order: the longest common sequence of shapes, sizes of 1 left out. `*out` is of the allocator
// of `a`.
rml_status rml_layers_align(const rml_layers *a, const rml_layers *b, rml_aligned **out,
                            size_t *count, rml_error *err);

#endif
