// What numbers are quantized to, and how.
#ifndef RML_OPS_MATMUL_QUANTIZE_H
#define RML_OPS_MATMUL_QUANTIZE_H

#include "ops/elementwise/widen.h"
#include "ops/op.h"

// Lowest and highest code of a type; false for what nothing is quantized to.
bool rml_code_range(rml_dtype dtype, double *low, double *high);

// x / scale in the given precision, saturated to [low, high] around `zero`; what is not a number
// becomes the lowest.
static inline void rml_quantize_run(rml_dtype precision, double scale, double zero, double low,
                                    double high, const double *x, int64_t *y, size_t count)
{
    const double rounder =
        6755399441055744.0; // rounds less than 2^51, ties to even, without a call
    for (size_t i = 0; i < count; i++) {
        double q = rml_rounded_f64(precision, x[i] / scale);
        q = q >= low - zero ? q : low - zero;
        q = q <= high - zero ? q : high - zero;
        y[i] = (int64_t)(q + rounder - rounder + zero);
    }
}

#endif
