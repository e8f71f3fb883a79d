// 8 lanes of f32 on AVX2 and FMA. The same names as in the other simd/f32_*.h.
#ifndef RML_KERNELS_SIMD_F32_AVX2_H
#define RML_KERNELS_SIMD_F32_AVX2_H

#if !defined(__AVX2__) || !defined(__FMA__) || !defined(__F16C__)
#error "this file needs -mavx2 -mfma -mf16c"
#endif

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define VF32_LANES 8

typedef __m256 vf32;
typedef __m256 vmask; // all bits of a lane set or clear

static inline vf32 vf32_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline vf32 vf32_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void vf32_store(float *p, vf32 v)
{
    _mm256_storeu_ps(p, v);
}

// Sign bits of the first `count` lanes.
static inline __m256i vf32_part_mask(size_t count)
{
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane);
}

// The first `count` (0..LANES) lanes; memory behind them is not touched, lanes behind them are
// zero.
static inline vf32 vf32_load_part(const float *p, size_t count)
{
    return _mm256_maskload_ps(p, vf32_part_mask(count));
}

static inline void vf32_store_part(float *p, vf32 v, size_t count)
{
    _mm256_maskstore_ps(p, vf32_part_mask(count), v);
}

// The first `count` lanes of v, the others zero.
static inline vf32 vf32_keep_part(vf32 v, size_t count)
{
    return _mm256_and_ps(v, _mm256_castsi256_ps(vf32_part_mask(count)));
}

// A vector of f16, widened; and rounded to them.
static inline vf32 vf32_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

static inline void vf32_store_f16(uint16_t *p, vf32 v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

static inline vf32 vf32_add(vf32 a, vf32 b)
{
    return _mm256_add_ps(a, b);
}

static inline vf32 vf32_sub(vf32 a, vf32 b)
{
    return _mm256_sub_ps(a, b);
}

static inline vf32 vf32_mul(vf32 a, vf32 b)
{
    return _mm256_mul_ps(a, b);
}

static inline vf32 vf32_div(vf32 a, vf32 b)
{
    return _mm256_div_ps(a, b);
}

static inline vf32 vf32_sqrt(vf32 v)
{
    return _mm256_sqrt_ps(v);
}

// a * b + c and c - a * b, rounded once.
static inline vf32 vf32_fma(vf32 a, vf32 b, vf32 c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vf32 vf32_fnma(vf32 a, vf32 b, vf32 c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

static inline vf32 vf32_abs(vf32 v)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
}

static inline vf32 vf32_neg(vf32 v)
{
    return _mm256_xor_ps(v, _mm256_set1_ps(-0.0f));
}

// Magnitude of `v` with the sign of `sign`.
static inline vf32 vf32_copysign(vf32 v, vf32 sign)
{
    vf32 bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(bit, v), _mm256_and_ps(bit, sign));
}

static inline vmask vf32_less(vf32 a, vf32 b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}

static inline vmask vf32_is_nan(vf32 v)
{
    return _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
}

static inline vf32 vf32_select(vmask mask, vf32 yes, vf32 no)
{
    return _mm256_blendv_ps(no, yes, mask);
}

// Lane i is lane[i] (< LANES) of v.
static inline vf32 vf32_pick(vf32 v, const int32_t *lane)
{
    return _mm256_permutevar8x32_ps(v, _mm256_loadu_si256((const __m256i *)lane));
}

// max(v, low), min(v, high): the instructions give their second operand when one is NaN, so NaN in
// `v` passes.
static inline vf32 vf32_at_least(vf32 v, vf32 low)
{
    return _mm256_max_ps(low, v);
}

static inline vf32 vf32_at_most(vf32 v, vf32 high)
{
    return _mm256_min_ps(high, v);
}

// The larger, the smaller; NaN in either wins.
static inline vf32 vf32_max(vf32 a, vf32 b)
{
    return vf32_select(vf32_is_nan(a), a, _mm256_max_ps(a, b));
}

static inline vf32 vf32_min(vf32 a, vf32 b)
{
    return vf32_select(vf32_is_nan(a), a, _mm256_min_ps(a, b));
}

static inline vf32 vf32_round(vf32 v) // to nearest, ties to even
{
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf32 vf32_floor(vf32 v)
{
    return _mm256_round_ps(v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}

// Of positive normal numbers: v = mantissa * 2^exponent, the mantissa in [1, 2).
static inline vf32 vf32_exponent(vf32 v)
{
    __m256i biased = _mm256_srli_epi32(_mm256_castps_si256(v), 23);
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)));
}

static inline vf32 vf32_mantissa(vf32 v)
{
    __m256 bits = _mm256_and_ps(v, _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFF)));
    return _mm256_or_ps(bits, _mm256_set1_ps(1.0f));
}

// v * 2^n for whole n in [-252, 254], rounded once, also where the result is infinite or denormal:
// in two steps, because 2^n alone may be neither, and the first step is exact for v near 1.
static inline vf32 vf32_scale(vf32 v, vf32 n)
{
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    __m256i one = _mm256_set1_epi32(127);
    __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, one), 23);
    __m256i rest = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), one), 23);
    return _mm256_mul_ps(_mm256_mul_ps(v, _mm256_castsi256_ps(first)), _mm256_castsi256_ps(rest));
}

// Sum of the lanes by halves, always in the same order.
static inline float vf32_sum(vf32 v)
{
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

// The lanes joined by halves as those of a sum, for any two of them: the result is in the first.
#define VF32_JOIN_LANES(join, v)                                                                   \
    do {                                                                                           \
        (v) = join(v, _mm256_permute2f128_ps(v, v, 1));                                            \
        (v) = join(v, _mm256_permute_ps(v, 0x4e));                                                 \
        (v) = join(v, _mm256_permute_ps(v, 0xb1));                                                 \
    } while (0)

// The largest lane, a NaN or not where there is one.
static inline float vf32_top(vf32 v)
{
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

// A macro: gcc takes a function that only prefetches for one without effect and drops its calls.
#define vf32_prefetch(p) _mm_prefetch((const char *)(p), _MM_HINT_T0)

#include "kernels/simd/tail.inc"

#endif
