// From the numbers of a classifier to its answer.
#ifndef RML_PIPELINES_CLASSIFY_TOP_CLASSES_H
#define RML_PIPELINES_CLASSIFY_TOP_CLASSES_H

typedef struct rml_top_class {
    int index;
    float probability;
} rml_top_class;

// Writes the softmax of `count` logits over them. Where one is not finite, all become NaN.
void rml_softmax(float *values, int count);

// The `most` largest of `count` values to `top`, the largest first, equal ones and those that are
// not numbers by index, the latter last. Returns how many there are: `most`, but not above `count`.
int rml_top_classes(const float *values, int count, rml_top_class *top, int most);

#endif
