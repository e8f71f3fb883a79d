// Convolution of plain images: the definition.
#include "kernels/kernels_internal.h"

void rml_conv_plain_f32_portable(const rml_conv_plain_rows *rows)
{
    const size_t taps = rows->taps;
    for (size_t r = rows->first; r < rows->rows; r++)
        for (size_t o = 0; o < rows->outs; o++) {
            float *dst = rows->dst[o] + r * rows->dst_step;
            for (size_t x = 0; x < rows->count; x++)
                dst[x] = rows->bias[o];
            for (size_t p = 0; p < rows->planes; p++)
                for (size_t t = 0; t < taps; t++) {
                    const float *src = rows->src[p * rows->pointers + o * rows->lag + t];
                    const float weight = rows->weight[o][p * taps + t];
                    src += rows->from + r * rows->src_step;
                    for (size_t x = 0; x < rows->count; x++)
                        dst[x] += src[x] * weight;
                }
            for (size_t x = 0; x < rows->count; x++) {
                const float least = dst[x] < rows->low ? rows->low : dst[x];
                dst[x] = least > rows->high ? rows->high : least;
            }
        }
}

void rml_pad_rows_f32_portable(const float *src, size_t src_step, size_t count, float fill,
                               size_t rows, float *dst, size_t dst_step)
{
    for (size_t r = 0; r < rows; r++, src += src_step, dst += dst_step)
        for (size_t x = 0; x < dst_step; x++)
            dst[x] = x < count ? src[x] : fill;
}
