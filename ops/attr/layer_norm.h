// Attributes of the layer norms, see ops/norm/layer_norm.c.
#ifndef RML_OPS_ATTR_LAYER_NORM_H
#define RML_OPS_ATTR_LAYER_NORM_H

#include <stdbool.h>

typedef struct rml_layer_norm_attr {
    int axis;  // the first normalised dimension; negative counts from the end
    float eps; // added to the variance
    bool rms;  // the mean is taken as 0
} rml_layer_norm_attr;

#endif
