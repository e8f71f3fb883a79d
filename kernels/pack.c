#include "kernels/pack.h"

#include "tensor/size.h"

size_t rml_pack_count(const rml_kernels *kernels, size_t taps, size_t depth, size_t cols)
{
    size_t full = cols / kernels->nr, rest = cols % kernels->nr;
    return rml_sat_mul(rml_sat_mul(taps, depth),
                       full * kernels->nr + rml_pack_pitch(kernels, rest));
}

void rml_pack_panel(const rml_kernels *kernels, float *dst, const float *src, size_t taps,
                    size_t depth, size_t count, size_t tap_stride, size_t depth_stride,
                    size_t col_stride)
{
    size_t pitch = rml_pack_pitch(kernels, count);
    for (size_t t = 0; t < taps; t++) {
        for (size_t k = 0; k < depth; k++) {
            const float *row = src + t * tap_stride + k * depth_stride;
            for (size_t n = 0; n < count; n++)
                dst[n] = row[n * col_stride];
            for (size_t n = count; n < pitch; n++)
                dst[n] = 0.0f;
            dst += pitch;
        }
    }
}
