// Transpose in blocks of 16x16, whole cache lines in and out; what is left over by blocks of 8x8.
// Rows come in quarters, so that half of the shuffling is done by loads.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_avx512.h"

#define SIDE 16

// Columns 4 * quarter .. + 3 of rows row, row + 4, row + 8, row + 12.
static inline __m512 load_quarters(const float *src, size_t pitch)
{
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(src));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(src + 4 * pitch), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(src + 8 * pitch), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(src + 12 * pitch), 3);
}

static inline void transpose_block(const float *src, size_t src_pitch, float *dst, size_t dst_pitch)
{
    for (size_t q = 0; q < 4; q++, src += 4, dst += 4 * dst_pitch) {
        const __m512 a = load_quarters(src, src_pitch);
        const __m512 b = load_quarters(src + src_pitch, src_pitch);
        const __m512 c = load_quarters(src + 2 * src_pitch, src_pitch);
        const __m512 d = load_quarters(src + 3 * src_pitch, src_pitch);
        const __m512 ab_low = _mm512_unpacklo_ps(a, b), ab_high = _mm512_unpackhi_ps(a, b);
        const __m512 cd_low = _mm512_unpacklo_ps(c, d), cd_high = _mm512_unpackhi_ps(c, d);
        _mm512_storeu_ps(dst, _mm512_shuffle_ps(ab_low, cd_low, 0x44));
        _mm512_storeu_ps(dst + dst_pitch, _mm512_shuffle_ps(ab_low, cd_low, 0xee));
        _mm512_storeu_ps(dst + 2 * dst_pitch, _mm512_shuffle_ps(ab_high, cd_high, 0x44));
        _mm512_storeu_ps(dst + 3 * dst_pitch, _mm512_shuffle_ps(ab_high, cd_high, 0xee));
    }
}

void rml_transpose_f32_avx512(const float *src, size_t src_pitch, float *dst, size_t dst_pitch,
                              size_t rows, size_t cols)
{
    const size_t high = rows / SIDE * SIDE, wide = cols / SIDE * SIDE;
    for (size_t r = 0; r < high; r += SIDE)
        for (size_t c = 0; c < wide; c += SIDE)
            transpose_block(src + r * src_pitch + c, src_pitch, dst + c * dst_pitch + r, dst_pitch);
    if (wide < cols && high > 0)
        rml_transpose_f32_avx2(src + wide, src_pitch, dst + wide * dst_pitch, dst_pitch, high,
                               cols - wide);
    if (high < rows)
        rml_transpose_f32_avx2(src + high * src_pitch, src_pitch, dst + high, dst_pitch,
                               rows - high, cols);
}
