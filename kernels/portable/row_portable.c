// Kernels on whole rows: softmax, L2 normalisation, transpose. The definitions.
#include "kernels/kernels_internal.h"

#include <math.h>

void rml_softmax_f32_portable(const float *src, float *dst, size_t count)
{
    float top = -INFINITY, sum = 0.0f;
    for (size_t i = 0; i < count; i++)
        top = max_f32(top, src[i]);
    for (size_t i = 0; i < count; i++) {
        dst[i] = expf(src[i] - top);
        sum += dst[i];
    }
    for (size_t i = 0; i < count; i++)
        dst[i] /= sum;
}

void rml_l2norm_f32_portable(const float *src, const float *scale, float eps, size_t channels,
                             float *dst)
{
    float sum = 0.0f;
    for (size_t c = 0; c < channels; c++)
        sum += src[c] * src[c];
    float norm = sqrtf(sum) + eps;
    for (size_t c = 0; c < channels; c++)
        dst[c] = scale ? src[c] / norm * scale[c] : src[c] / norm;
}

void rml_transpose_f32_portable(const float *src, size_t src_pitch, float *dst, size_t dst_pitch,
                                size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < cols; c++)
            dst[c * dst_pitch + r] = src[r * src_pitch + c];
    }
}
