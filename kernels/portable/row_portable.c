// Kernels on whole rows: softmax, normalisation, transpose. The definitions.
#include "kernels/kernels_internal.h"

#include <math.h>

void rml_softmax_f32_portable(const float *src, float *dst, size_t count, bool logarithm)
{
    float top = -INFINITY, sum = 0.0f;
    for (size_t i = 0; i < count; i++)
        top = max_f32(top, src[i]);
    for (size_t i = 0; i < count; i++) {
        const float power = expf(src[i] - top);
        sum += power;
        dst[i] = logarithm ? src[i] - top : power;
    }
    const float shift = logf(sum);
    for (size_t i = 0; i < count; i++)
        dst[i] = logarithm ? dst[i] - shift : dst[i] / sum;
}

float rml_softmax_step_f32_portable(const float *src, float scale, const float *mask, float *dst,
                                    size_t count, float *top, float *sum)
{
    float high = *top, total = 0.0f;
    for (size_t i = 0; i < count; i++) {
        dst[i] = mask ? src[i] * scale + mask[i] : src[i] * scale;
        high = dst[i] > high ? dst[i] : high;
    }
    for (size_t i = 0; i < count; i++) {
        if (high > -INFINITY)
            dst[i] = expf(dst[i] - high);
        else
            dst[i] = dst[i] != dst[i] ? dst[i] : 0.0f; // NaN is not above -INFINITY
        total += dst[i];
    }
    const float factor = high > -INFINITY ? expf(*top - high) : 1.0f;
    *sum = *sum * factor + total;
    *top = high;
    return factor;
}

void rml_moments_f32_portable(const float *src, size_t step, size_t rows, size_t lanes, float *mean,
                              float *spread)
{
    for (size_t c = 0; c < lanes; c++)
        mean[c] = spread[c] = 0.0f;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < lanes; c++)
            mean[c] += src[r * step + c];
    for (size_t c = 0; c < lanes; c++)
        mean[c] /= (float)rows;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < lanes; c++) {
            const float x = src[r * step + c] - mean[c];
            spread[c] += x * x;
        }
}

static float joined(rml_binary op, float a, float b)
{
    return op == RML_BINARY_ADD   ? a + b
           : op == RML_BINARY_MUL ? a * b
           : op == RML_BINARY_MAX ? max_f32(a, b)
                                  : min_f32(a, b);
}

void rml_fold_f32_portable(rml_binary op, const float *src, size_t step, size_t rows, size_t lanes,
                           float *dst)
{
    for (size_t c = 0; c < lanes; c++) {
        dst[c] = src[c];
        for (size_t r = 1; r < rows; r++)
            dst[c] = joined(op, dst[c], src[r * step + c]);
    }
}

// In lanes, so that the sum of a long row stays as close as those of the other kernels.
void rml_fold_rows_f32_portable(rml_binary op, const float *src, size_t step, size_t rows,
                                size_t count, float *dst)
{
    enum { LANES = 64 };
    for (size_t r = 0; r < rows; r++, src += step) {
        float lane[LANES];
        size_t width = count < LANES ? count : LANES;
        for (size_t i = 0; i < count; i++)
            lane[i % LANES] = i < LANES ? src[i] : joined(op, lane[i % LANES], src[i]);
        for (size_t half; width > 1; width -= half) {
            half = width / 2;
            for (size_t k = 0; k < half; k++)
                lane[k] = joined(op, lane[k], lane[k + width - half]);
        }
        dst[r] = lane[0];
    }
}

void rml_affine_f32_portable(const float *src, const float *scale, const float *shift, float *dst,
                             size_t count)
{
    for (size_t i = 0; i < count; i++)
        dst[i] = src[i] * scale[i] + shift[i];
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
