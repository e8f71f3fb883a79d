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

// A tensor as lines along an axis: elements in front of it, along it, and behind it.
typedef struct rml_lines {
    size_t outer, count, inner;
} rml_lines;

static inline rml_lines rml_lines_along(const rml_tensor *tensor, int axis)
{
    return (rml_lines){rml_tensor_span(tensor, 0, axis), (size_t)tensor->dim[axis],
                       rml_tensor_span(tensor, axis + 1, tensor->rank)};
}

// Calls `fn` for all lines, from any threads: for line `line` and its neighbours, `count` of them,
// at most RML_WIDEN_COUNT; one where the elements of a line lie side by side. `first` is the first
// element of the first; those of a line are `inner` apart.
typedef void (*rml_lines_fn)(const void *context, size_t line, size_t first, size_t count);
void rml_lines_run(const rml_lines *lines, rml_pool *pool, rml_lines_fn fn, const void *context);

// Turns widened elements into keys, unsigned integers of the same order: 0 and -0 are one, and NaN
// is above everything.
void rml_widen_keys(rml_wide wide, size_t count, rml_widen *chunk);

// The reverse of reading, to a plain tensor.
void rml_widen_write(const rml_tensor *out, size_t begin, size_t count, rml_wide wide,
                     const rml_widen *chunk);

#endif
