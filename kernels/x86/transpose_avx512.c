// Transpose in blocks of 16x16, whole cache lines in and out; what is left over by blocks of 8x8.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_avx512.h"

static inline vf32 load_parts(const float *src, size_t pitch)
{
    vf32 v = _mm512_castps128_ps512(_mm_loadu_ps(src));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(src + 4 * pitch), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(src + 8 * pitch), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(src + 12 * pitch), 3);
}

#define VECTOR(name) _mm512_##name
#include "kernels/tmpl/transpose_block.inc"

void rml_transpose_f32_avx512(const float *src, size_t src_pitch, float *dst, size_t dst_pitch,
                              size_t rows, size_t cols)
{
    const size_t high = rows / VF32_LANES * VF32_LANES, wide = cols / VF32_LANES * VF32_LANES;
    for (size_t r = 0; r < high; r += VF32_LANES)
        for (size_t c = 0; c < wide; c += VF32_LANES)
            transpose_block(src + r * src_pitch + c, src_pitch, dst + c * dst_pitch + r, dst_pitch);
    if (wide < cols && high > 0)
        rml_transpose_f32_avx2(src + wide, src_pitch, dst + wide * dst_pitch, dst_pitch, high,
                               cols - wide);
    if (high < rows)
        rml_transpose_f32_avx2(src + high * src_pitch, src_pitch, dst + high, dst_pitch,
                               rows - high, cols);
}
