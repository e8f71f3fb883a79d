// Layer normalisation, the definition.
#include "kernels/kernels_internal.h"

#include <math.h>

void rml_layer_norm_f32_portable(const float *src, const float *gamma, const float *beta, float eps,
                                 bool rms, size_t count, float *dst)
{
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < count && !rms; i++)
        sum += (double)src[i];
    const float mean = rms ? 0.0f : (float)(sum / (double)count);
    for (size_t i = 0; i < count; i++)
        squares += (double)(src[i] - mean) * (double)(src[i] - mean);
    const float factor = 1.0f / sqrtf((float)(squares / (double)count) + eps);
    for (size_t i = 0; i < count; i++) {
        const float y = (src[i] - mean) * factor;
        dst[i] = (gamma ? y * gamma[i] : y) + (beta ? beta[i] : 0.0f);
    }
}
