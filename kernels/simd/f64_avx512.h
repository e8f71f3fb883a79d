// 8 lanes of f64 on AVX-512 F. The same names as in the other simd/f64_*.h.
#ifndef RML_KERNELS_SIMD_F64_AVX512_H
#define RML_KERNELS_SIMD_F64_AVX512_H

#if !defined(__AVX512F__)
#error "this file needs -mavx512f"
#endif

#include <immintrin.h>
#include <stddef.h>

#define VF64_LANES 8

typedef __m512d vf64;

static inline vf64 vf64_set(double x)
{
    return _mm512_set1_pd(x);
}

static inline vf64 vf64_load(const double *p)
{
    return _mm512_loadu_pd(p);
}

// From and to f32.
static inline vf64 vf64_load_f32(const float *p)
{
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}

static inline void vf64_store_f32(float *p, vf64 v)
{
    _mm256_storeu_ps(p, _mm512_cvtpd_ps(v));
}

// The first `count` (0..LANES) lanes; memory behind them is not touched.
static inline void vf64_store_part(double *p, vf64 v, size_t count)
{
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << count) - 1), v);
}

static inline vf64 vf64_add(vf64 a, vf64 b)
{
    return _mm512_add_pd(a, b);
}

// a * b + c, rounded once.
static inline vf64 vf64_fma(vf64 a, vf64 b, vf64 c)
{
    return _mm512_fmadd_pd(a, b, c);
}

#endif
