// Kernels that combine the pixels of one window, channel by channel: the definitions.
#include "kernels/kernels_internal.h"

void rml_pool_max_f32_portable(const float *const *src, size_t taps, size_t channels, float scale,
                               float *dst)
{
    (void)scale;
    for (size_t c = 0; c < channels; c++) {
        float best = src[0][c];
        for (size_t t = 1; t < taps; t++)
            best = max_f32(best, src[t][c]);
        dst[c] = best;
    }
}

void rml_pool_sum_f32_portable(const float *const *src, size_t taps, size_t channels, float scale,
                               float *dst)
{
    for (size_t c = 0; c < channels; c++) {
        float sum = src[0][c];
        for (size_t t = 1; t < taps; t++)
            sum += src[t][c];
        dst[c] = sum * scale;
    }
}

void rml_lerp_f32_portable(const float *const *src, const float *weight, size_t channels,
                           float *dst)
{
    for (size_t c = 0; c < channels; c++) {
        float sum = src[0][c] * weight[0];
        for (size_t t = 1; t < 4; t++)
            sum += src[t][c] * weight[t];
        dst[c] = sum;
    }
}
