// Transpose in blocks of 8x8.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_avx2.h"

static inline void transpose_8x8(__m256 r[8])
{
    __m256 t[8], u[8];
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        u[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
    }
}

// One block of 8 rows and 1..7 columns.
static void transpose_part(const float *src, size_t src_pitch, float *dst, size_t dst_pitch,
                           size_t cols)
{
    __m256 r[8];
    for (size_t i = 0; i < 8; i++)
        r[i] = vf32_load_part(src + i * src_pitch, cols);
    transpose_8x8(r);
    for (size_t i = 0; i < cols; i++)
        _mm256_storeu_ps(dst + i * dst_pitch, r[i]);
}

static inline vf32 load_parts(const float *src, size_t pitch)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(src)),
                                _mm_loadu_ps(src + 4 * pitch), 1);
}

#define VECTOR(name) _mm256_##name
#include "kernels/tmpl/transpose_block.inc"

// Few rows, as of an image's colours: element by element, for masked stores take ten times as long
// on some CPUs.
static inline __attribute__((always_inline)) void transpose_few(const float *src, size_t src_pitch,
                                                                float *dst, size_t dst_pitch,
                                                                const size_t rows, size_t cols)
{
    for (size_t c = 0; c < cols; c++)
        for (size_t r = 0; r < rows; r++)
            dst[c * dst_pitch + r] = src[r * src_pitch + c];
}

void rml_transpose_f32_avx2(const float *src, size_t src_pitch, float *dst, size_t dst_pitch,
                            size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r += 8) {
        size_t height = rows - r < 8 ? rows - r : 8;
        if (height < 8) {
            if (height == 3)
                transpose_few(src + r * src_pitch, src_pitch, dst + r, dst_pitch, 3, cols);
            else
                transpose_few(src + r * src_pitch, src_pitch, dst + r, dst_pitch, height, cols);
            return;
        }
        for (size_t c = 0; c < cols; c += 8) {
            size_t width = cols - c < 8 ? cols - c : 8;
            const float *from = src + r * src_pitch + c;
            float *to = dst + c * dst_pitch + r;
            if (width == 8)
                transpose_block(from, src_pitch, to, dst_pitch);
            else
                transpose_part(from, src_pitch, to, dst_pitch, width);
        }
    }
}
