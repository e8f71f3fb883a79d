// Winograd over the fourth roots of unity, with operands of bf16; the algebra is in
// winograd_complex.h. Columns first, then rows.
#include "kernels/kernels_internal.h"
#include "kernels/winograd_complex.h"
#include "kernels/simd/f32_avx512.h"

#define TILE RML_WINOGRAD_TILE
#define OUT RML_WINOGRAD_OUT

// Where the planes of 16 channels (or fewer) go.
typedef struct target {
    uint16_t *dst;
    size_t plane, lanes;
} target;

static inline void put(const target *to, size_t plane, vf32 v)
{
    uint16_t *dst = to->dst + plane * to->plane;
    const __m256i half = (__m256i)_mm512_cvtneps_pbh(v);
    if (to->lanes == VF32_LANES)
        _mm256_storeu_si256((__m256i *)dst, half);
    else
        _mm256_mask_storeu_epi16(dst, (__mmask16)((1u << to->lanes) - 1), half);
}

static inline void put_parts(const target *to, size_t plane, vf32 re, vf32 im)
{
    const vf32 root = vf32_set(RML_WINOGRAD_COMPLEX_SQRT3);
    put(to, plane, re);
    put(to, plane + 1, vf32_fma(root, im, re));
    put(to, plane + 2, vf32_fnma(root, im, re));
}

static inline void put_line(const target *to, size_t plane, const vf32 d[TILE])
{
    const vf32 even = vf32_add(d[4], d[2]), odd = vf32_add(d[3], d[1]);
    put(to, plane, vf32_sub(d[4], d[0]));
    put(to, plane + 1, vf32_add(even, odd));
    put(to, plane + 2, vf32_sub(even, odd));
    put(to, plane + 3, vf32_sub(d[5], d[1]));
    put_parts(to, plane + 4, vf32_sub(d[4], d[2]), vf32_sub(d[3], d[1]));
}

static inline void put_complex_line(const target *to, const vf32 re[TILE], const vf32 im[TILE])
{
    const vf32 re_even = vf32_add(re[4], re[2]), re_odd = vf32_add(re[3], re[1]);
    const vf32 im_even = vf32_add(im[4], im[2]), im_odd = vf32_add(im[3], im[1]);
    const size_t plane = RML_WINOGRAD_COMPLEX_COMPLEX;
    put_parts(to, plane, vf32_sub(re[4], re[0]), vf32_sub(im[4], im[0]));
    put_parts(to, plane + 3, vf32_add(re_even, re_odd), vf32_add(im_even, im_odd));
    put_parts(to, plane + 6, vf32_sub(re_even, re_odd), vf32_sub(im_even, im_odd));
    put_parts(to, plane + 9, vf32_sub(re[5], re[1]), vf32_sub(im[5], im[1]));
    const vf32 a = vf32_sub(re[4], re[2]), b = vf32_sub(re[3], re[1]);
    const vf32 e = vf32_sub(im[4], im[2]), f = vf32_sub(im[3], im[1]);
    put_parts(to, RML_WINOGRAD_COMPLEX_BOTH, vf32_sub(a, f), vf32_add(b, e));
    put_parts(to, RML_WINOGRAD_COMPLEX_BOTH + 3, vf32_add(a, f), vf32_sub(e, b));
}

static inline __attribute__((always_inline)) void input_lanes(const float *const *src, size_t c,
                                                              const target *to)
{
    vf32 line[TILE], other[TILE];
#define PIXEL(y) vf32_load_lanes(src[(y)*TILE + x] + c, to->lanes)
    for (size_t x = 0; x < TILE; x++)
        line[x] = vf32_sub(PIXEL(4), PIXEL(0));
    put_line(to, 0, line);
    for (size_t x = 0; x < TILE; x++)
        line[x] = vf32_sub(PIXEL(5), PIXEL(1));
    put_line(to, 3 * RML_WINOGRAD_COMPLEX_LINE, line);
    for (size_t x = 0; x < TILE; x++) {
        const vf32 even = vf32_add(PIXEL(4), PIXEL(2)), odd = vf32_add(PIXEL(3), PIXEL(1));
        line[x] = vf32_add(even, odd);
        other[x] = vf32_sub(even, odd);
    }
    put_line(to, RML_WINOGRAD_COMPLEX_LINE, line);
    put_line(to, 2 * RML_WINOGRAD_COMPLEX_LINE, other);
    for (size_t x = 0; x < TILE; x++) {
        line[x] = vf32_sub(PIXEL(4), PIXEL(2));
        other[x] = vf32_sub(PIXEL(3), PIXEL(1));
    }
#undef PIXEL
    put_complex_line(to, line, other);
}

void rml_winograd_complex_input_bf16_avx512bf16(const float *const *src, size_t channels,
                                                uint16_t *dst, size_t plane)
{
    size_t c = 0;
    for (; c + VF32_LANES <= channels; c += VF32_LANES) {
        const target to = {dst + c, plane, VF32_LANES};
        input_lanes(src, c, &to);
    }
    if (c < channels) {
        const target to = {dst + c, plane, channels - c};
        input_lanes(src, c, &to);
    }
}

// A complex number whose imaginary part still lacks the factor sqrt(3).
typedef struct product {
    vf32 re, im;
} product;

static inline product join(vf32 p0, vf32 p1, vf32 p2)
{
    return (product){vf32_add(p0, vf32_add(p1, p2)), vf32_sub(p2, p1)};
}

// Im m3 is `factor` times `im`.
static inline void output_line(vf32 m0, vf32 m1, vf32 m2, product m3, vf32 factor, vf32 m4,
                               vf32 y[OUT])
{
    const vf32 even = vf32_add(m1, m2), odd = vf32_sub(m1, m2);
    y[0] = vf32_add(vf32_add(m0, m3.re), even);
    y[1] = vf32_fnma(factor, m3.im, odd);
    y[2] = vf32_sub(even, m3.re);
    y[3] = vf32_add(vf32_fma(factor, m3.im, odd), m4);
}

typedef struct source {
    const float *src;
    size_t plane, lanes;
} source;

static inline vf32 get(const source *from, size_t plane)
{
    return vf32_load_lanes(from->src + plane * from->plane, from->lanes);
}

static inline product get_parts(const source *from, size_t plane)
{
    return join(get(from, plane), get(from, plane + 1), get(from, plane + 2));
}

typedef struct output_end {
    const float *bias;
    float *const *dst;
    const float *const *residual;
    float low, high;
} output_end;

static inline __attribute__((always_inline)) void output_lanes(const source *from, size_t c,
                                                               const output_end *end)
{
    const vf32 root = vf32_set(RML_WINOGRAD_COMPLEX_SQRT3),
               third = vf32_set(1.0f / RML_WINOGRAD_COMPLEX_SQRT3);
    vf32 half[TILE][OUT]; // across 0, 1, -1, inf; real and imaginary part at i
    for (size_t x = 0; x < 4; x++)
        output_line(get(from, x), get(from, RML_WINOGRAD_COMPLEX_LINE + x),
                    get(from, 2 * RML_WINOGRAD_COMPLEX_LINE + x),
                    get_parts(from, RML_WINOGRAD_COMPLEX_COMPLEX + 3 * x), root,
                    get(from, 3 * RML_WINOGRAD_COMPLEX_LINE + x), half[x]);
    product m[4];
    for (size_t y = 0; y < 4; y++)
        m[y] = get_parts(from, y * RML_WINOGRAD_COMPLEX_LINE + 4);
    const product plus = get_parts(from, RML_WINOGRAD_COMPLEX_BOTH);
    const product minus = get_parts(from, RML_WINOGRAD_COMPLEX_BOTH + 3);
    // a + i e, and b + i f, which like the numbers beside it lacks sqrt(3)
    const product re = {vf32_add(plus.re, minus.re), vf32_add(plus.im, minus.im)};
    const product im = {vf32_sub(plus.im, minus.im), vf32_sub(minus.re, plus.re)};
    output_line(m[0].re, m[1].re, m[2].re, re, root, m[3].re, half[4]);
    output_line(m[0].im, m[1].im, m[2].im, im, third, m[3].im, half[5]);
    const vf32 bias = end->bias ? vf32_load_lanes(end->bias + c, from->lanes) : vf32_set(0.0f);
    const vf32 low = vf32_set(end->low), high = vf32_set(end->high);
    for (size_t y = 0; y < OUT; y++) {
        vf32 line[OUT];
        output_line(half[0][y], half[1][y], half[2][y], (product){half[4][y], half[5][y]}, root,
                    half[3][y], line);
        for (size_t x = 0; x < OUT; x++) {
            const size_t q = y * OUT + x;
            if (!end->dst[q])
                continue;
            vf32 value = vf32_add(line[x], bias);
            if (end->residual)
                value = vf32_add(value, vf32_load_lanes(end->residual[q] + c, from->lanes));
            value = vf32_at_most(vf32_at_least(value, low), high);
            vf32_store_lanes(end->dst[q] + c, value, from->lanes);
        }
    }
}

void rml_winograd_complex_output_bf16_avx512bf16(const float *src, size_t plane, size_t channels,
                                                 const float *bias, float *const *dst,
                                                 const float *const *residual, float low,
                                                 float high)
{
    const output_end end = {bias, dst, residual, low, high};
    size_t c = 0;
    for (; c + VF32_LANES <= channels; c += VF32_LANES) {
        const source from = {src + c, plane, VF32_LANES};
        output_lanes(&from, c, &end);
    }
    if (c < channels) {
        const source from = {src + c, plane, channels - c};
        output_lanes(&from, c, &end);
    }
}
