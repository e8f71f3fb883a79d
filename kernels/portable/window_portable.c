// Kernels that combine the pixels of one window, channel by channel: the definitions.
#include "kernels/kernels_internal.h"

void rml_pool_max_f32_portable(const rml_pool_windows *w)
{
    for (size_t i = 0; i < w->count; i++)
        for (size_t c = 0; c < w->channels; c++) {
            float best = w->src[0][i * w->src_step + c];
            for (size_t t = 1; t < w->taps; t++)
                best = max_f32(best, w->src[t][i * w->src_step + c]);
            w->dst[i * w->dst_step + c] = best;
        }
}

void rml_pool_sum_f32_portable(const rml_pool_windows *w)
{
    for (size_t i = 0; i < w->count; i++)
        for (size_t c = 0; c < w->channels; c++) {
            float sum = w->src[0][i * w->src_step + c];
            for (size_t t = 1; t < w->taps; t++)
                sum += w->src[t][i * w->src_step + c];
            w->dst[i * w->dst_step + c] = sum * w->scale;
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
