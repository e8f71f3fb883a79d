// Indirect GEMM tile, the definition.
#include "kernels/kernels_internal.h"

#define MR 4
#define NR 8

// All MR rows are computed, in arrays of constant size that compilers can keep in registers; rows
// that are not there repeat the first.
void rml_gemm_f32_portable(const rml_gemm_tile *tile)
{
    float sum[MR][NR] = {{0}};
    const float *b = tile->b;
    for (size_t t = 0; t < tile->taps; t++) {
        const float *a[MR];
        for (size_t i = 0; i < MR; i++)
            a[i] = tile->a[t * MR + (i < tile->rows ? i : 0)];
        for (size_t k = 0; k < tile->depth; k++, b += NR) {
            for (size_t i = 0; i < MR; i++) {
                for (size_t n = 0; n < NR; n++)
                    sum[i][n] += a[i][k] * b[n];
            }
        }
    }
    for (size_t i = 0; i < tile->rows; i++) {
        for (size_t n = 0; n < tile->cols; n++) {
            float value = sum[i][n];
            if (tile->bias)
                value += tile->bias[n];
            if (tile->residual)
                value += tile->residual[i][n];
            tile->c[i][n] = clamp_f32(value, tile->low, tile->high);
        }
    }
}
