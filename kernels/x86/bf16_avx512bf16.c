// Products of bf16 with f32 sums, and the conversion. The tile is that of AVX-512: one instruction
// does two multiply-adds a lane instead of one.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_avx512.h"

#include <string.h>

#if !defined(__AVX512BF16__)
#error "this file needs -mavx512bf16"
#endif

static inline vf32 set_pair(const uint16_t *p)
{
    int pair;
    memcpy(&pair, p, sizeof pair);
    return _mm512_castsi512_ps(_mm512_set1_epi32(pair));
}

#define GEMM_NAME rml_gemm_bf16_avx512bf16
#define GEMM_MR 12
#define ROWS_0_TO_5(DO, arg) DO(0, arg) DO(1, arg) DO(2, arg) DO(3, arg) DO(4, arg) DO(5, arg)
#define ROWS_6_TO_9(DO, arg) DO(6, arg) DO(7, arg) DO(8, arg) DO(9, arg)
#define GEMM_ROWS(DO, arg) ROWS_0_TO_5(DO, arg) ROWS_6_TO_9(DO, arg) DO(10, arg) DO(11, arg)
#define GEMM_CASES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#define GEMM_TYPE uint16_t
#define GEMM_LANE 2
#define GEMM_SET(p) set_pair(p)
#define GEMM_LOAD(p) _mm512_loadu_ps(p)
#define GEMM_FMA(x, b, sum)                                                                        \
    _mm512_dpbf16_ps(sum, (__m512bh)_mm512_castps_si512(x), (__m512bh)_mm512_castps_si512(b))
#include "kernels/tmpl/gemm.inc"

// Floats [i, i + 16) of which only `count` are there; zeros behind them.
static inline vf32 load_up_to(const float *src, size_t i, size_t count)
{
    if (i + VF32_LANES <= count)
        return vf32_load(src + i);
    return i < count ? vf32_load_part(src + i, count - i) : vf32_set(0.0f);
}

void rml_to_bf16_avx512bf16(const float *src, size_t count, size_t padded, uint16_t *dst)
{
    for (size_t i = 0; i < padded; i += 2 * VF32_LANES) {
        const vf32 low = load_up_to(src, i, count), high = load_up_to(src, i + VF32_LANES, count);
        const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(high, low);
        const size_t rest = padded - i;
        const __mmask32 part = rest < 32 ? (__mmask32)((1u << rest) - 1) : (__mmask32)-1;
        _mm512_mask_storeu_epi16(dst + i, part, both);
    }
}
