// Checked size arithmetic: every number that comes from a file or a caller goes through here.
#ifndef RML_TENSOR_SIZE_H
#define RML_TENSOR_SIZE_H

#include "runmodel.h"

#define RML_ALIGNMENT 64 // of all memory

// True and *out = a + b (a * b), or false when the result does not fit.
static inline bool rml_size_add(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b)
        return false;
    *out = a + b;
    return true;
}

static inline bool rml_size_mul(size_t a, size_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

static inline bool rml_i64_mul(int64_t a, int64_t b, int64_t *out) // both must be >= 0
{
    if (a < 0 || b < 0 || (b != 0 && a > INT64_MAX / b))
        return false;
    *out = a * b;
    return true;
}

// True when [offset, offset + bytes) lies inside a file or buffer of `total` bytes.
static inline bool rml_range_inside(uint64_t offset, uint64_t bytes, uint64_t total)
{
    return offset <= total && bytes <= total - offset;
}

// The same for sizes that somebody is to allocate: SIZE_MAX means too large, and stays so through
// further sums and products (rml_alloc refuses it, and rml_op_memory does with a message).
static inline size_t rml_sat_add(size_t a, size_t b)
{
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

static inline size_t rml_sat_mul(size_t a, size_t b)
{
    return b != 0 && a > SIZE_MAX / b ? SIZE_MAX : a * b;
}

// Rounds up to a multiple.
static inline size_t rml_round_up(size_t value, size_t multiple)
{
    return value > SIZE_MAX - multiple ? SIZE_MAX : (value + multiple - 1) / multiple * multiple;
}

// Bytes of `count` elements, so many that what follows is aligned.
static inline size_t rml_aligned_bytes(size_t count, size_t element_bytes)
{
    return rml_round_up(rml_sat_mul(count, element_bytes), RML_ALIGNMENT);
}

static inline size_t rml_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

#endif
