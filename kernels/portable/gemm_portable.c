// Indirect GEMM tile, the definition. The loop over columns is the one that compilers turn into
// vector code, so a tile is wide and its accumulators lie in the first-level cache.
#include "kernels/kernels_internal.h"

#define MR 4
#define NR 32
#define NR_UNIT 8

static inline void add_scaled(float *restrict sum, const float *restrict b, float x, size_t count)
{
    for (size_t n = 0; n < count; n++)
        sum[n] += x * b[n];
}

void rml_gemm_f32_portable(const rml_gemm_tile *tile)
{
    float sum[MR][NR] = {{0}};
    const size_t pitch = (tile->cols + NR_UNIT - 1) / NR_UNIT * NR_UNIT;
    const float *b = tile->b;
    for (size_t t = 0; t < tile->taps; t++) {
        const void *const *a = tile->a + t * MR;
        for (size_t k = 0; k < tile->depth; k++, b += pitch) {
            for (size_t i = 0; i < tile->rows; i++) {
                const float *row = a[i];
                if (pitch == NR) // a constant count is unrolled
                    add_scaled(sum[i], b, row[k], NR);
                else
                    add_scaled(sum[i], b, row[k], pitch);
            }
        }
    }
    for (size_t i = 0; i < tile->rows; i++) {
        for (size_t n = 0; n < tile->cols; n++) {
            float value = sum[i][n];
            if (tile->bias)
                value += tile->bias[n];
            if (tile->row_bias)
                value += tile->row_bias[i];
            if (tile->residual)
                value += tile->residual[i][n];
            tile->c[i][n] = clamp_f32(value, tile->low, tile->high);
        }
    }
}
