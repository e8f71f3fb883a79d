// Which layers of two runs of one network belong together.
#ifndef RML_PIPELINES_COMPARE_ALIGN_H
#define RML_PIPELINES_COMPARE_ALIGN_H

#include "pipelines/compare/layers.h"

typedef enum rml_aligned_how {
    RML_BY_NAME,
    RML_BY_VALUE, // names told nothing, and it gives the same but for RML_ALIKE
    RML_BY_ORDER, // ... and neither did values: the next of this shape. It may be another layer
} rml_aligned_how;

// What two layers that are one differ by at most, of the largest value: weights in fewer bits do
// not move it more, and other layers are not so near.
#define RML_ALIKE 1e-2

// A layer of the first run, and the one of the second that is the same.
typedef struct rml_aligned {
    const rml_layer *left, *right;
    rml_aligned_how how;
} rml_aligned;

// In the order of the first run: by equal keys, or names where those make no key; else by keys that
// are equal but for dots and underscores and a prefix, as converters write them
// ("model_features_0_0" and "features.0.0"). What has weights and no such partner aligns with what
// gives the same values; the rest with what is next to the same layer, by the longest common
// sequence of shapes, sizes of 1 left out. `*out` is of the allocator of `a`; `lonely` is how many
// layers with weights of each run have no partner.
rml_status rml_layers_align(const rml_layers *a, const rml_layers *b, rml_aligned **out,
                            size_t *count, size_t lonely[2], rml_error *err);

// Whether two names are one but for what is neither letter nor digit, which Core ML files write as
// _.
bool rml_layer_same_letters(const char *a, const char *b);

// Whether they have the same dimensions, those of size 1 left out.
bool rml_layer_same_shape(const rml_layer *a, const rml_layer *b);

#endif
