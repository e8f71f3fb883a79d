// Elementwise work on values of any type: operands are read, broadcast and widened, a chunk at a
// time, so that each function is written for three types instead of thirteen.
#ifndef RML_OPS_ELEMENTWISE_WIDEN_H
#define RML_OPS_ELEMENTWISE_WIDEN_H

#include "ops/op.h"

#define RML_WIDEN_COUNT 256 // elements

// What an element type is widened to: double holds every float type, and the integers of up to 64
// bits keep every bit.
typedef enum rml_wide { RML_WIDE_F64, RML_WIDE_I64, RML_WIDE_U64 } rml_wide;

rml_wide rml_wide_of(rml_dtype dtype);

typedef union rml_widen {
    double f64[RML_WIDEN_COUNT];
    int64_t i64[RML_WIDEN_COUNT];
    uint64_t u64[RML_WIDEN_COUNT];
} rml_widen;

// Elements [first, first + count) of a run whose elements are `stride` apart, at most
// RML_WIDEN_COUNT, widened; and back.
void rml_widen_load(rml_dtype dtype, const void *base, int64_t stride, size_t first, size_t count,
                    rml_wide wide, void *dst);
void rml_widen_store(rml_dtype dtype, void *base, int64_t stride, size_t first, size_t count,
                     rml_wide wide, const rml_widen *chunk);

// `view` as if it had the shape of `like`, by the rules of numpy (it fits: infer checked).
rml_tensor rml_broadcast_view(const rml_tensor *view, const rml_tensor *like);

// Elements [begin, begin + count) of a broadcast view in C order, widened to the type `wide` is of.
void rml_widen_read(const rml_tensor *view, size_t begin, size_t count, rml_wide wide,
                    rml_widen *chunk);

// `count` elements that lie side by side, from element `at` of the memory on, as doubles; and back.
void rml_read_f64(const rml_tensor *tensor, size_t at, double *dst, size_t count);
void rml_write_f64(const rml_tensor *tensor, size_t at, const double *src, size_t count);
double rml_number_f64(const rml_tensor *tensor, size_t at);

// The nearest number of a float type.
double rml_rounded_f64(rml_dtype dtype, double number);

// Turns widened elements into keys, unsigned integers of the same order: 0 and -0 are one, and NaN
// is above everything.
void rml_widen_keys(rml_wide wide, size_t count, rml_widen *chunk);

// The reverse of reading, to a plain tensor.
void rml_widen_write(const rml_tensor *out, size_t begin, size_t count, rml_wide wide,
                     const rml_widen *chunk);

#endif
