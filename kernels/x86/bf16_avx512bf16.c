// Products of bf16 pairs with f32 sums, and the conversion to pairs. The tile is that of AVX-512:
// one instruction does two multiply-adds a lane instead of one.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_avx512.h"

#if !defined(__AVX512BF16__)
#error "this file needs -mavx512bf16"
#endif

#define GEMM_NAME rml_gemm_bf16_avx512bf16
#define GEMM_MR 12
#define ROWS_0_TO_5(DO, arg) DO(0, arg) DO(1, arg) DO(2, arg) DO(3, arg) DO(4, arg) DO(5, arg)
#define ROWS_6_TO_9(DO, arg) DO(6, arg) DO(7, arg) DO(8, arg) DO(9, arg)
#define GEMM_ROWS(DO, arg) ROWS_0_TO_5(DO, arg) ROWS_6_TO_9(DO, arg) DO(10, arg) DO(11, arg)
#define GEMM_CASES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#define GEMM_FMA(x, b, sum)                                                                        \
    _mm512_dpbf16_ps(sum, (__m512bh)_mm512_castps_si512(x), (__m512bh)_mm512_castps_si512(b))
#include "kernels/tmpl/gemm.inc"

void rml_pairs_bf16_avx512bf16(const float *src, size_t count, float *dst)
{
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        const __m512bh pairs =
            _mm512_cvtne2ps_pbh(_mm512_loadu_ps(src + i + 16), _mm512_loadu_ps(src + i));
        _mm512_storeu_si512(dst + i / 2, (__m512i)pairs);
    }
    if (i < count) {
        const size_t rest = count - i, low = rest < 16 ? rest : 16, pairs = (rest + 1) / 2;
        const __m512bh last = _mm512_cvtne2ps_pbh(
            rest > 16 ? vf32_load_part(src + i + 16, rest - 16) : _mm512_setzero_ps(),
            vf32_load_part(src + i, low));
        vf32_store_part(dst + i / 2, _mm512_castsi512_ps((__m512i)last), pairs);
    }
}
