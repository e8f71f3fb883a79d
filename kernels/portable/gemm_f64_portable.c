// Tile of a product of f64, the definition.
#include "kernels/kernels_internal.h"

#define MR 4
#define NR 16

void rml_gemm_f64_portable(const double *const *a, size_t rows, size_t depth, const double *b,
                           size_t cols, double *const *c)
{
    double sum[MR][NR] = {{0}};
    for (size_t k = 0; k < depth; k++)
        for (size_t i = 0; i < rows; i++)
            for (size_t n = 0; n < NR; n++)
                sum[i][n] += a[i][k] * b[k * NR + n];
    for (size_t i = 0; i < rows; i++)
        for (size_t n = 0; n < cols; n++)
            c[i][n] = sum[i][n];
}
