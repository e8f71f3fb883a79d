// 16 lanes of f32 on AVX-512 F, BW, DQ, VL. The same names as in the other simd/f32_*.h.
#ifndef RML_KERNELS_SIMD_F32_AVX512_H
#define RML_KERNELS_SIMD_F32_AVX512_H

#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512DQ__) ||                   \
    !defined(__AVX512VL__)
#error "this file needs -mavx512f -mavx512bw -mavx512dq -mavx512vl"
#endif

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define VF32_LANES 16

typedef __m512 vf32;
typedef __mmask16 vmask; // one flag a lane

static inline vf32 vf32_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline vf32 vf32_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void vf32_store(float *p, vf32 v)
{
    _mm512_storeu_ps(p, v);
}

// The first `count` (0..LANES) lanes; memory behind them is not touched, lanes behind them are
// zero.
static inline vf32 vf32_load_part(const float *p, size_t count)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
}

static inline void vf32_store_part(float *p, vf32 v, size_t count)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), v);
}

// The first `count` lanes of v, the others zero.
static inline vf32 vf32_keep_part(vf32 v, size_t count)
{
    return _mm512_maskz_mov_ps((__mmask16)((1u << count) - 1), v);
}

// A vector of f16, widened; and rounded to them.
static inline vf32 vf32_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

static inline void vf32_store_f16(uint16_t *p, vf32 v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

static inline vf32 vf32_add(vf32 a, vf32 b)
{
    return _mm512_add_ps(a, b);
}

static inline vf32 vf32_sub(vf32 a, vf32 b)
{
    return _mm512_sub_ps(a, b);
}

static inline vf32 vf32_mul(vf32 a, vf32 b)
{
    return _mm512_mul_ps(a, b);
}

static inline vf32 vf32_div(vf32 a, vf32 b)
{
    return _mm512_div_ps(a, b);
}

static inline vf32 vf32_sqrt(vf32 v)
{
    return _mm512_sqrt_ps(v);
}

// a * b + c and c - a * b, rounded once.
static inline vf32 vf32_fma(vf32 a, vf32 b, vf32 c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vf32 vf32_fnma(vf32 a, vf32 b, vf32 c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

static inline vf32 vf32_abs(vf32 v)
{
    return _mm512_abs_ps(v);
}

static inline vf32 vf32_neg(vf32 v)
{
    return _mm512_xor_ps(v, _mm512_set1_ps(-0.0f));
}

// Magnitude of `v` with the sign of `sign`.
static inline vf32 vf32_copysign(vf32 v, vf32 sign)
{
    const __m512i bit = _mm512_set1_epi32(INT32_MIN); // from `sign` where it is set
    return _mm512_castsi512_ps(
        _mm512_ternarylogic_epi32(bit, _mm512_castps_si512(sign), _mm512_castps_si512(v), 0xca));
}

static inline vmask vf32_less(vf32 a, vf32 b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

static inline vmask vf32_is_nan(vf32 v)
{
    return _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
}

static inline vf32 vf32_select(vmask mask, vf32 yes, vf32 no)
{
    return _mm512_mask_blend_ps(mask, no, yes);
}

// Lane i is lane[i] (< LANES) of v.
static inline vf32 vf32_pick(vf32 v, const int32_t *lane)
{
    return _mm512_permutexvar_ps(_mm512_loadu_si512(lane), v);
}

// max(v, low), min(v, high): the instructions give their second operand when one is NaN, so NaN in
// `v` passes.
static inline vf32 vf32_at_least(vf32 v, vf32 low)
{
    return _mm512_max_ps(low, v);
}

static inline vf32 vf32_at_most(vf32 v, vf32 high)
{
    return _mm512_min_ps(high, v);
}

// The larger, the smaller; NaN in either wins.
static inline vf32 vf32_max(vf32 a, vf32 b)
{
    return vf32_select(vf32_is_nan(a), a, _mm512_max_ps(a, b));
}

static inline vf32 vf32_min(vf32 a, vf32 b)
{
    return vf32_select(vf32_is_nan(a), a, _mm512_min_ps(a, b));
}

static inline vf32 vf32_round(vf32 v) // to nearest, ties to even
{
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf32 vf32_floor(vf32 v)
{
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}

// Of positive normal numbers: v = mantissa * 2^exponent, the mantissa in [1, 2).
static inline vf32 vf32_exponent(vf32 v)
{
    return _mm512_getexp_ps(v);
}

static inline vf32 vf32_mantissa(vf32 v)
{
    return _mm512_getmant_ps(v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
}

// v * 2^n for whole n, rounded once, also where the result is infinite or denormal.
static inline vf32 vf32_scale(vf32 v, vf32 n)
{
    return _mm512_scalef_ps(v, n);
}

// Sum of the lanes by halves, always in the same order.
static inline float vf32_sum(vf32 v)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

// The lanes joined by halves as those of a sum, for any two of them: the result is in the first.
#define VF32_JOIN_LANES(join, v)                                                                   \
    do {                                                                                           \
        (v) = join(v, _mm512_shuffle_f32x4(v, v, 0x4e));                                           \
        (v) = join(v, _mm512_shuffle_f32x4(v, v, 0xb1));                                           \
        (v) = join(v, _mm512_permute_ps(v, 0x4e));                                                 \
        (v) = join(v, _mm512_permute_ps(v, 0xb1));                                                 \
    } while (0)

// The largest lane, a NaN or not where there is one.
static inline float vf32_top(vf32 v)
{
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

// A macro: gcc takes a function that only prefetches for one without effect and drops its calls.
#define vf32_prefetch(p) _mm_prefetch((const char *)(p), _MM_HINT_T0)

#include "kernels/simd/tail.inc"

#endif
