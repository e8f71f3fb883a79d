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

// ---- three colours ------------------------------------------------------------------------------
// Pixels 0 to 3 in the lower halves, 4 to 7 in the upper ones.

static inline __m256 load_halves(const float *low, const float *high)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
}

static inline void store_halves(float *low, float *high, __m256 v)
{
    _mm_storeu_ps(low, _mm256_castps256_ps128(v));
    _mm_storeu_ps(high, _mm256_extractf128_ps(v, 1));
}

#define PICK(a, b, i, j, k, l) _mm256_shuffle_ps(a, b, (i) | (j) << 2 | (k) << 4 | (l) << 6)

// Planes to pixels of three floats, as far as eights go; the pixels done.
static size_t interleave_three(const float *src, size_t pitch, float *dst, size_t pixels)
{
    size_t i = 0;
    for (; i + 8 <= pixels; i += 8, dst += 24) {
        const __m256 r = _mm256_loadu_ps(src + i), g = _mm256_loadu_ps(src + pitch + i),
                     b = _mm256_loadu_ps(src + 2 * pitch + i);
        const __m256 r0r2g0g2 = PICK(r, g, 0, 2, 0, 2), g1g3b1b3 = PICK(g, b, 1, 3, 1, 3),
                     b0b2r1r3 = PICK(b, r, 0, 2, 1, 3);
        store_halves(dst, dst + 12, PICK(r0r2g0g2, b0b2r1r3, 0, 2, 0, 2));
        store_halves(dst + 4, dst + 16, PICK(g1g3b1b3, r0r2g0g2, 0, 2, 1, 3));
        store_halves(dst + 8, dst + 20, PICK(b0b2r1r3, g1g3b1b3, 1, 3, 1, 3));
    }
    return i;
}

// And back.
static size_t separate_three(const float *src, float *dst, size_t pitch, size_t pixels)
{
    size_t i = 0;
    for (; i + 8 <= pixels; i += 8, src += 24) {
        const __m256 r0g0b0r1 = load_halves(src, src + 12),
                     g1b1r2g2 = load_halves(src + 4, src + 16),
                     b2r3g3b3 = load_halves(src + 8, src + 20);
        const __m256 r2g2r3g3 = PICK(g1b1r2g2, b2r3g3b3, 2, 3, 1, 2),
                     g0b0g1b1 = PICK(r0g0b0r1, g1b1r2g2, 1, 2, 0, 1);
        _mm256_storeu_ps(dst + i, PICK(r0g0b0r1, r2g2r3g3, 0, 3, 0, 2));
        _mm256_storeu_ps(dst + pitch + i, PICK(g0b0g1b1, r2g2r3g3, 0, 2, 1, 3));
        _mm256_storeu_ps(dst + 2 * pitch + i, PICK(g0b0g1b1, b2r3g3b3, 1, 3, 0, 3));
    }
    return i;
}

void rml_transpose_f32_avx2(const float *src, size_t src_pitch, float *dst, size_t dst_pitch,
                            size_t rows, size_t cols)
{
    if (rows == 3 && dst_pitch == 3) {
        const size_t done = interleave_three(src, src_pitch, dst, cols);
        transpose_few(src + done, src_pitch, dst + 3 * done, dst_pitch, 3, cols - done);
        return;
    }
    size_t r = cols == 3 && src_pitch == 3 ? separate_three(src, dst, dst_pitch, rows) : 0;
    for (; r < rows; r += 8) {
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
