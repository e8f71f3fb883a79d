// The elements of constants, as they are written.
#ifndef RML_WRITERS_ELEMENTS_H
#define RML_WRITERS_ELEMENTS_H

#include "graph/graph.h"

typedef struct rml_elements {
    const void *data; // in C order, aligned to their type
    size_t count, bytes;
    void *owned; // NULL: they lie where the constant has them
    const rml_allocator *allocator;
} rml_elements;

// Those of a constant as `dtype`: that of the value, or, of numbers, another float type, rounded to
// nearest even (a number too large for it is an infinity). To be released.
rml_status rml_elements_take(rml_elements *out, const rml_value *constant, rml_dtype dtype,
                             const rml_allocator *allocator, rml_error *err);
void rml_elements_release(rml_elements *elements);

// How many numbers lost too much as halves.
typedef struct rml_half_losses {
    size_t infinite; // were too large
    size_t zero;     // ... or too small
} rml_half_losses;

// Rounds to nearest even, and counts.
void rml_make_halves(const float *from, uint16_t *to, size_t count, rml_half_losses *losses);

#endif
