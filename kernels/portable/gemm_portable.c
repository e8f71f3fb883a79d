// Indirect GEMM tile, the definition.
#include "kernels/kernels_internal.h"

#define MR 4
#define NR 8

void rml_gemm_f32_portable(const rml_gemm_tile *tile)
{
    for (size_t i = 0; i < tile->rows; i++) {
        float sum[NR] = {0};
        const float *b = tile->b;
        for (size_t t = 0; t < tile->taps; t++) {
            const float *a = tile->a[t * MR + i];
            for (size_t k = 0; k < tile->depth; k++, b += NR) {
                for (size_t n = 0; n < NR; n++)
                    sum[n] += a[k] * b[n];
            }
        }
        for (size_t n = 0; n < tile->cols; n++) {
            float value = sum[n];
            if (tile->bias)
                value += tile->bias[n];
            if (tile->residual)
                value += tile->residual[i][n];
            tile->c[i][n] = clamp_f32(value, tile->low, tile->high);
        }
    }
}
