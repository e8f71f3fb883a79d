// 4 lanes of f64 on AVX2 and FMA. The same names as in the other simd/f64_*.h.
#ifndef RML_KERNELS_SIMD_F64_AVX2_H
#define RML_KERNELS_SIMD_F64_AVX2_H

#if !defined(__AVX2__) || !defined(__FMA__)
#error "this file needs -mavx2 -mfma"
#endif

#include <immintrin.h>
#include <stddef.h>

#define VF64_LANES 4

typedef __m256d vf64;

static inline vf64 vf64_set(double x)
{
    return _mm256_set1_pd(x);
}

static inline vf64 vf64_load(const double *p)
{
    return _mm256_loadu_pd(p);
}

// From and to f32.
static inline vf64 vf64_load_f32(const float *p)
{
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
}

static inline void vf64_store_f32(float *p, vf64 v)
{
    _mm_storeu_ps(p, _mm256_cvtpd_ps(v));
}

// The first `count` (0..LANES) lanes; memory behind them is not touched.
static inline void vf64_store_part(double *p, vf64 v, size_t count)
{
    __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    _mm256_maskstore_pd(p, _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)count), lane), v);
}

static inline vf64 vf64_add(vf64 a, vf64 b)
{
    return _mm256_add_pd(a, b);
}

// a * b + c, rounded once.
static inline vf64 vf64_fma(vf64 a, vf64 b, vf64 c)
{
    return _mm256_fmadd_pd(a, b, c);
}

#endif
