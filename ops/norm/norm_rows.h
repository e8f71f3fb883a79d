// Norms of any float type, in double: what the operators' general algorithms share.
#ifndef RML_OPS_NORM_NORM_ROWS_H
#define RML_OPS_NORM_NORM_ROWS_H

#include "ops/op.h"

// y = (x - mean) / sqrt(variance + eps) * gamma + beta, of rows of elements that lie side by side
// in plain values; with `rms` the mean is taken as 0.
typedef struct rml_norm_rows {
    size_t rows, count; // and elements of a row
    double eps;
    bool rms;
    rml_tensor gamma, beta; // broadcast to x, in any split of its dimensions; rank -1: none
    const rml_tensor *mean, *inverse; // outputs [rows], 1 / sqrt(...) the second; or NULL
} rml_norm_rows;

void rml_norm_rows_run(const rml_op_args *args, const rml_norm_rows *norm);

// Whether all inputs are f32.
bool rml_norm_is_f32(const rml_op_args *args);

#endif
