#define _POSIX_C_SOURCE 200809L
#include "tools/bench/bench_parts.h"

#include <time.h>

#define PEAK_STEPS 200000
#define SAMPLES 15

#if defined(__x86_64__) || defined(__aarch64__)
static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
#endif

#if defined(__x86_64__)
#include <immintrin.h>

#define TEN(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9)

// Ten independent chains of multiply-adds keep two units of four cycles busy. The start is volatile
// so that no chain can be folded.
#define PEAK_LOOP(vector, set, fma, lanes)                                                         \
    volatile float start = 1.5f;                                                                   \
    vector x = set(start * 0.5f), y = set(start);                                                  \
    TEN(PEAK_DECLARE_##lanes)                                                                      \
    double begin = seconds_now();                                                                  \
    for (int i = 0; i < PEAK_STEPS; i++) {                                                         \
        TEN(PEAK_STEP_##lanes)                                                                     \
    }                                                                                              \
    double seconds = seconds_now() - begin;                                                        \
    vector sum = y;                                                                                \
    TEN(PEAK_SUM_##lanes)                                                                          \
    volatile float sink = *(float *)&sum;                                                          \
    (void)sink;                                                                                    \
    return 10.0 * 2.0 * lanes * PEAK_STEPS / seconds * 1e-9;

#define PEAK_DECLARE_8(i) __m256 a##i = _mm256_set1_ps(start + i);
#define PEAK_STEP_8(i) a##i = _mm256_fmadd_ps(a##i, x, y);
#define PEAK_SUM_8(i) sum = _mm256_add_ps(sum, a##i);
#define PEAK_DECLARE_16(i) __m512 a##i = _mm512_set1_ps(start + i);
#define PEAK_STEP_16(i) a##i = _mm512_fmadd_ps(a##i, x, y);
#define PEAK_SUM_16(i) sum = _mm512_add_ps(sum, a##i);

__attribute__((target("avx2,fma"))) static double peak_avx2(void)
{
    PEAK_LOOP(__m256, _mm256_set1_ps, _mm256_fmadd_ps, 8)
}

__attribute__((target("avx512f"))) static double peak_avx512(void)
{
    PEAK_LOOP(__m512, _mm512_set1_ps, _mm512_fmadd_ps, 16)
}
#elif defined(__aarch64__)
#include <arm_neon.h>

#define CHAINS 16 // four units of four cycles

static double peak_neon(void)
{
    volatile float start = 1.5f;
    float32x4_t sums[CHAINS];
    const float32x4_t x = vdupq_n_f32(start * 0.5f), y = vdupq_n_f32(start);
    for (int k = 0; k < CHAINS; k++)
        sums[k] = vdupq_n_f32(start + (float)k);
    const double begin = seconds_now();
    for (int i = 0; i < PEAK_STEPS; i++)
        for (int k = 0; k < CHAINS; k++)
            sums[k] = vfmaq_f32(y, sums[k], x);
    const double seconds = seconds_now() - begin;
    volatile float sink = 0;
    for (int k = 0; k < CHAINS; k++)
        sink = sink + vgetq_lane_f32(sums[k], 0);
    return CHAINS * 2.0 * 4 * PEAK_STEPS / seconds * 1e-9;
}
#endif

static double peak_once(rml_cpu_level level)
{
#if defined(__x86_64__)
    if (level == RML_CPU_AVX2)
        return peak_avx2();
    if (level == RML_CPU_AVX512)
        return peak_avx512();
#elif defined(__aarch64__)
    if (level == RML_CPU_NEON)
        return peak_neon();
#endif
    (void)level;
    return 0.0;
}

double fma_peak(rml_cpu_level level)
{
    double best = 0.0;
    for (int i = 0; i < SAMPLES; i++) {
        const double now = peak_once(level);
        best = now > best ? now : best;
    }
    return best;
}
