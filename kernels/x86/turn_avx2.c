// Rows of elements of one or two bytes into columns: blocks of 16x16 and 8x8, two at a time, one
// in each half of the registers.
#include "kernels/kernels_internal.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { BLOCK_BYTES = 16 }; // of a row of a block

// The bits of an element's place, row and column one behind the other, turn left by one.
INLINE void turn_bits(const __m256i *from, __m256i *to, const size_t bytes)
{
    const size_t half = BLOCK_BYTES / bytes / 2;
    for (size_t i = 0; i < half; i++) {
        const __m256i a = from[i], b = from[i + half];
        to[2 * i] = bytes == 1 ? _mm256_unpacklo_epi8(a, b) : _mm256_unpacklo_epi16(a, b);
        to[2 * i + 1] = bytes == 1 ? _mm256_unpackhi_epi8(a, b) : _mm256_unpackhi_epi16(a, b);
    }
}

INLINE __m128i load_half(const char *src)
{
    return _mm_loadu_si128((const __m128i *)(const void *)src);
}

INLINE void store_half(char *dst, __m128i half)
{
    _mm_storeu_si128((__m128i *)(void *)dst, half);
}

// The blocks whose first rows are at `src` and `other` bytes behind it.
INLINE void turn_blocks(const char *src, int64_t src_step, int64_t src_other, char *dst,
                        int64_t dst_step, size_t dst_other, const size_t bytes)
{
    const size_t side = BLOCK_BYTES / bytes;
    __m256i a[BLOCK_BYTES], b[BLOCK_BYTES];
    for (size_t i = 0; i < side; i++) {
        const char *at = src + (int64_t)i * src_step;
        a[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(load_half(at)),
                                       load_half(at + src_other), 1);
    }
    turn_bits(a, b, bytes);
    turn_bits(b, a, bytes);
    turn_bits(a, b, bytes);
    if (bytes == 1)
        turn_bits(b, a, bytes);
    const __m256i *turned = bytes == 1 ? a : b;
    for (size_t i = 0; i < side; i++) {
        char *at = dst + (int64_t)i * dst_step;
        if (dst_other == BLOCK_BYTES) {
            _mm256_storeu_si256((__m256i *)(void *)at, turned[i]);
        } else {
            store_half(at, _mm256_castsi256_si128(turned[i]));
            store_half(at + dst_other, _mm256_extracti128_si256(turned[i], 1));
        }
    }
}

INLINE size_t at_most(size_t value, size_t limit)
{
    return value < limit ? value : limit;
}

// At least a block high and wide: the last blocks lie over those in front of them.
INLINE void turn_all(const char *src, int64_t src_step, char *dst, int64_t dst_step, size_t rows,
                     size_t cols, const size_t bytes)
{
    const size_t side = BLOCK_BYTES / bytes;
    for (size_t c = 0; c < cols; c += side) {
        const size_t column = at_most(c, cols - side);
        for (size_t r = 0; r < rows; r += 2 * side) {
            const size_t row = at_most(r, rows - side), other = at_most(r + side, rows - side);
            turn_blocks(src + (int64_t)row * src_step + column * bytes, src_step,
                        (int64_t)(other - row) * src_step,
                        dst + (int64_t)column * dst_step + row * bytes, dst_step,
                        (other - row) * bytes, bytes);
        }
    }
}

void rml_turn_avx2(size_t bytes, const void *src, int64_t src_step, void *dst, int64_t dst_step,
                   size_t rows, size_t cols)
{
    if (bytes > 2 || rows < BLOCK_BYTES / bytes || cols < BLOCK_BYTES / bytes)
        rml_turn_portable(bytes, src, src_step, dst, dst_step, rows, cols);
    else if (bytes == 1)
        turn_all(src, src_step, dst, dst_step, rows, cols, 1);
    else
        turn_all(src, src_step, dst, dst_step, rows, cols, 2);
}
