// What every kernel should give, in double precision, with the error that f32 arithmetic in the
// promised order may make. Bounds are absolute. U is the unit roundoff: one operation errs by at
// most U * |result|.
#ifndef RML_TESTS_SUPPORT_ORACLE_H
#define RML_TESTS_SUPPORT_ORACLE_H

#include "kernels/kernels.h"

#define ORACLE_U 5.9604644775390625e-8 // 2^-24
#define ORACLE_DENORMAL 1.401298464324817e-45

typedef struct oracle_value {
    double want, bound;
    bool any; // f32 may overflow on the way, where double does not: nothing is promised
} oracle_value;

// A sum and the sum of magnitudes of its terms; `terms` roundings are made at most.
typedef struct oracle_sum {
    double value, magnitude; // magnitude of the finite terms
    size_t terms;
} oracle_sum;

void oracle_add(oracle_sum *sum, double term);
oracle_value oracle_sum_value(const oracle_sum *sum);
oracle_value oracle_clamp(oracle_value v, double low, double high);

// True when `got` is NaN where NaN is wanted, the infinity that is wanted, or within the bound.
// Zeros of both signs are equal. What is too large for f32 is wanted infinite.
bool oracle_accepts(float got, oracle_value v);
double oracle_ulp(double want); // distance of f32 numbers at `want`

// `i` < tile rows, `n` < cols; b is [taps*depth][b_pitch], not packed.
oracle_value oracle_gemm(const rml_gemm_tile *tile, size_t mr, const float *b, size_t b_pitch,
                         size_t i, size_t n, float residual);

oracle_value oracle_unary(rml_unary op, float x, const float *param);
oracle_value oracle_binary(rml_binary op, float x, float y);
// Operations that must not round at all, or only once as IEEE says.
bool oracle_unary_exact(rml_unary op);

void oracle_softmax(const float *src, size_t count, bool logarithm, oracle_value *out);
void oracle_l2norm(const float *src, const float *scale, float eps, size_t count,
                   oracle_value *out);
void oracle_layer_norm(const float *src, const float *gamma, const float *beta, float eps, bool rms,
                       size_t count, oracle_value *out);

// Winograd matrices from the interpolation points by the general construction, in double.
typedef struct oracle_winograd {
    double bt[6][6], g[6][3], at[4][6];
} oracle_winograd;

void oracle_winograd_init(oracle_winograd *w);
// Rows x rows: left * x * left^T, with left [rows][inner] and x [inner][inner], pitch of left
// `inner`.
void oracle_sandwich(const double *left, size_t rows, size_t inner, const double *x, bool magnitude,
                     double *out);

#endif
