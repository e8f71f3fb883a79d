// Inputs that nobody gave: sizes for what a model leaves open, and numbers. One rule for all that
// is tried, compared, measured and told.
#ifndef RML_PIPELINES_MADE_UP_H
#define RML_PIPELINES_MADE_UP_H

#include "runmodel.h"

// Small enough to keep all layers of a network, large enough to be halved six times.
#define RML_OPEN_SIDE 64

// Of dimension `axis`: one of a batch, and RML_OPEN_SIDE of others.
static inline int64_t rml_open_size(int axis)
{
    return axis == 0 ? 1 : RML_OPEN_SIDE;
}

typedef struct rml_made_up {
    uint32_t seed;             // the same numbers every time
    float low, high;           // of floats: from `low` to below `high`
    float least_pixel, pixels; // of images, and how many from it on
} rml_made_up;

// Numbers from 0 to 1, and all pixels.
#define RML_MADE_UP ((rml_made_up){1, 0, 1, 0, 256})
// Others: what is behind an activation that gave 0 shows. Of dark pictures few networks are too
// sure to tell much.
#define RML_MADE_UP_OTHER ((rml_made_up){2, -1, 1, 0, 16})

// Pixels where it is an image, or numbers of a type, and 0 and 1, which any table of two or more
// has, of whole ones.
void rml_make_up(float *out, size_t count, rml_dtype dtype, bool image, const rml_made_up *how);

#endif
