// Attributes of the first convolution of speech networks, see ops/conv/wave.c.
#ifndef RML_OPS_ATTR_WAVE_H
#define RML_OPS_ATTR_WAVE_H

#include "ops/attr/basic.h"

typedef struct rml_wave_attr {
    int64_t stride;     // in samples, of the convolution
    float eps;          // wave_norm: added to the variance
    rml_activation act; // wave_conv
} rml_wave_attr;

#endif
