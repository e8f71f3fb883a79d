#include "kernels/pack.h"

#include "kernels/kernels_internal.h"
#include "tensor/dtype.h"

#include <string.h>

size_t rml_pack_count(const rml_gemm *gemm, size_t taps, size_t depth, size_t cols)
{
    const size_t full = cols / gemm->nr, rest = cols % gemm->nr;
    return rml_sat_mul(rml_sat_mul(taps, rml_pack_depth(gemm, depth)),
                       full * gemm->nr + rml_pack_pitch(gemm, rest));
}

size_t rml_pack_bytes(const rml_gemm *gemm, size_t taps, size_t depth, size_t cols)
{
    return rml_sat_mul(gemm->element_bytes, rml_pack_count(gemm, taps, depth, cols));
}

void rml_pack_f32(const rml_gemm *gemm, void *memory, const float *src, size_t taps, size_t depth,
                  size_t count, size_t tap_stride, size_t depth_stride, size_t col_stride)
{
    float *dst = memory;
    const size_t pitch = rml_pack_pitch(gemm, count);
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

void rml_pack_bf16(const rml_gemm *gemm, void *memory, const float *src, size_t taps, size_t depth,
                   size_t count, size_t tap_stride, size_t depth_stride, size_t col_stride)
{
    uint16_t *dst = memory;
    const size_t pitch = rml_pack_pitch(gemm, count), padded = rml_pack_depth(gemm, depth);
    memset(dst, 0, taps * padded * pitch * sizeof *dst);
    for (size_t t = 0; t < taps; t++, dst += padded * pitch)
        for (size_t k = 0; k < depth; k++) {
            const float *row = src + t * tap_stride + k * depth_stride;
            uint16_t *to = dst + k / 2 * 2 * pitch + k % 2;
            for (size_t n = 0; n < count; n++)
                to[2 * n] = rml_f32_to_bf16(row[n * col_stride]);
        }
}
