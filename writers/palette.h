// Palettes: numbers as places in a table of a few of them.
#ifndef RML_WRITERS_PALETTE_H
#define RML_WRITERS_PALETTE_H

#include "tensor/alloc.h"

#define RML_PALETTE_MAX_BITS 8

// A table of 2^bits numbers in rising order (the last ones are 0 where there are fewer different
// numbers), and for each number the place of the nearest. The same numbers give the same table.
// `place` has `count` entries. None of the numbers is a NaN.
rml_status rml_palette_make(const float *number, size_t count, int bits, float *table,
                            uint8_t *place, const rml_allocator *allocator, rml_error *err);

#endif
