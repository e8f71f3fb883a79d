// Winograd over the fourth roots of unity against the general construction in complex numbers of
// double precision, and whole convolutions made of it against direct convolution.
#include "tests/kernels/check_kernels.h"

#include "kernels/winograd_complex.h"
#include "tensor/dtype.h"

#include <complex.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SOURCE, OUTPUT, BIAS, RESIDUAL };

#define ROUNDINGS 16      // on the way through one transform
#define BF16_U 0.00390625 // half a unit of the last place of bf16

// RMS error of a convolution of 256 random channels: two roundings to bf16 alone give 0.0023.
#define CHANNELS 256
#define OUTPUTS 16
#define LEAST_RMS 0.0023
#define MOST_RMS 0.0040

#define POINTS 6 // 0, 1, -1, infinity, i, -i

static double complex power(size_t point, size_t n)
{
    static const double complex values[POINTS] = {0.0, 1.0, -1.0, 0.0, I, -I};
    double complex p = 1.0;
    for (size_t k = 0; k < n; k++)
        p *= values[point];
    return p;
}

// Coefficient k of x^5 - x over (x - point), of x^5 - x itself at infinity.
static double complex input_factor(size_t point, size_t k)
{
    if (point == 0)
        return k == 4 ? 1.0 : k == 0 ? -1.0 : 0.0;
    if (point == 3)
        return k == 5 ? 1.0 : k == 1 ? -1.0 : 0.0;
    return k == 0 || k == 5 ? 0.0 : power(point, 4 - k);
}

// The value of 36 pixels at two points, and the sum of the magnitudes it is made of.
static double complex value_at(const double *d, size_t down, size_t across, double *size)
{
    double complex sum = 0.0;
    for (size_t y = 0; y < 6; y++)
        for (size_t x = 0; x < 6; x++) {
            const double complex factor = input_factor(down, y) * input_factor(across, x);
            if (factor == 0.0) // also for NaN
                continue;
            sum += factor * d[y * 6 + x];
            *size += cabs(factor) * fabs(d[y * 6 + x]);
        }
    return sum;
}

static void parts(const double *d, size_t down, size_t across, double *want, double *size)
{
    double magnitude = 0.0;
    const double complex v = value_at(d, down, across, &magnitude);
    want[0] = creal(v);
    want[1] = creal(v) + sqrt(3.0) * cimag(v);
    want[2] = creal(v) - sqrt(3.0) * cimag(v);
    for (size_t i = 0; i < 3; i++)
        size[i] = 3.0 * magnitude;
}

static void want_input(const double *d, double *want, double *size)
{
    for (size_t down = 0; down < 4; down++) {
        const size_t first = down * RML_WINOGRAD_COMPLEX_LINE;
        for (size_t across = 0; across < 4; across++) {
            size[first + across] = 0.0;
            want[first + across] = creal(value_at(d, down, across, &size[first + across]));
        }
        parts(d, down, 4, want + first + 4, size + first + 4);
    }
    for (size_t across = 0; across < 4; across++)
        parts(d, 4, across, want + RML_WINOGRAD_COMPLEX_COMPLEX + 3 * across,
              size + RML_WINOGRAD_COMPLEX_COMPLEX + 3 * across);
    parts(d, 4, 4, want + RML_WINOGRAD_COMPLEX_BOTH, size + RML_WINOGRAD_COMPLEX_BOTH);
    parts(d, 4, 5, want + RML_WINOGRAD_COMPLEX_BOTH + 3, size + RML_WINOGRAD_COMPLEX_BOTH + 3);
}

// Of a tile of an image enlarged by repeating pixels, if `twice`.
static void input_case(check *c, size_t channels, guard_side side, bool twice)
{
    static const size_t half[6] = {0, 1, 1, 2, 2, 3};
    const size_t plane = channels + random_below(c, 5);
    const size_t count = (RML_WINOGRAD_COMPLEX_PLANES - 1) * plane + channels;
    const float *src[36];
    char what[64];
    snprintf(what, sizeof what, "channels %zu%s", channels, twice ? ", pixels twice" : "");
    float *data = guard_place(&c->buffer[SOURCE], 36 * channels, side);
    random_fill(c, data, 36 * channels);
    for (size_t p = 0; p < 36; p++)
        src[p] = data + (twice ? half[p / 6] * 6 + half[p % 6] : 35 - p) * channels;
    uint16_t *dst = place_bf16(c, OUTPUT, count, side);
    c->cases++;
    RML_KERNEL(&c->kernels, winograd_complex_input)(src, channels, dst, plane);
    for (size_t i = 0; i < channels; i++) {
        double d[36], want[RML_WINOGRAD_COMPLEX_PLANES], size[RML_WINOGRAD_COMPLEX_PLANES];
        for (size_t p = 0; p < 36; p++)
            d[p] = (double)src[p][i];
        want_input(d, want, size);
        for (size_t p = 0; p < RML_WINOGRAD_COMPLEX_PLANES; p++) {
            const oracle_value v = {.want = want[p],
                                    .bound = BF16_U * fabs(want[p]) +
                                             ROUNDINGS * ORACLE_U * size[p] + 0x1p-126};
            const float got = bf16_to_float(dst[p * plane + i]);
            check_element(c, got, v, what, p, i);
            if (twice && rml_winograd_complex_is_zero_twice(p) && got != 0.0f)
                check_fail(c, "%s: plane %zu is not zero", what, p);
        }
    }
    for (size_t i = 0; i < count; i++)
        if (i % plane >= channels && dst[i] != UNTOUCHED)
            check_fail(c, "%s: wrote between the planes", what);
    check_guards(c, what);
}

void check_winograd_complex_input(check *c, int which)
{
    (void)which;
    for (size_t channels = 1; channels <= 2 * RML_KERNEL(&c->kernels, gemm_f32).nr + 1; channels++)
        for (int side = 0; side < GUARD_SIDES; side++)
            for (int twice = 0; twice < 2; twice++)
                input_case(c, channels, (guard_side)side, twice);
}

static double complex product(const double *m)
{
    return m[0] + m[1] + m[2] + sqrt(3.0) * (m[2] - m[1]) * I;
}

// What a real point gives for output k.
static double output_factor(size_t point, size_t k)
{
    return point == 3 ? (k == 3 ? 1.0 : 0.0) : creal(power(point, k));
}

static double want_output(const double *m, size_t y, size_t x)
{
    double sum = 0.0;
    for (size_t down = 0; down < 4; down++) {
        const double *line = m + down * RML_WINOGRAD_COMPLEX_LINE;
        double across = creal(power(4, x) * product(line + 4));
        for (size_t p = 0; p < 4; p++)
            across += output_factor(p, x) * line[p];
        sum += output_factor(down, y) * across;
    }
    for (size_t p = 0; p < 4; p++)
        sum += output_factor(p, x) *
               creal(power(4, y) * product(m + RML_WINOGRAD_COMPLEX_COMPLEX + 3 * p));
    return sum + creal(power(4, y) * power(4, x) * product(m + RML_WINOGRAD_COMPLEX_BOTH)) +
           creal(power(4, y) * power(5, x) * product(m + RML_WINOGRAD_COMPLEX_BOTH + 3));
}

static void output_case(check *c, size_t channels, guard_side side)
{
    const size_t plane = channels + random_below(c, 5);
    const uint64_t bits = random_bits(c);
    const bool with_bias = bits & 1, with_residual = bits & 2, clamp = bits & 4, some = bits & 8;
    const float low = clamp ? -0.5f : -INFINITY, high = clamp ? 1.0f : INFINITY;
    float *dst[16];
    const float *residual[16];
    char what[64];
    snprintf(what, sizeof what, "channels %zu%s%s", channels, with_bias ? " bias" : "",
             with_residual ? " residual" : "");
    float *src =
        guard_place(&c->buffer[SOURCE], (RML_WINOGRAD_COMPLEX_PLANES - 1) * plane + channels, side);
    float *bias = guard_place(&c->buffer[BIAS], channels, side);
    float *added = guard_place(&c->buffer[RESIDUAL], 16 * channels, side);
    float *result = guard_place(&c->buffer[OUTPUT], 16 * channels, side);
    random_fill(c, src, c->buffer[SOURCE].count);
    random_fill(c, bias, channels);
    random_fill(c, added, 16 * channels);
    for (size_t q = 0; q < 16; q++) {
        dst[q] = some && random_below(c, 3) == 0 ? NULL : result + (15 - q) * channels;
        residual[q] = dst[q] ? added + q * channels : NULL;
    }
    c->cases++;
    RML_KERNEL(&c->kernels, winograd_complex_output)
    (src, plane, channels, with_bias ? bias : NULL, dst, with_residual ? residual : NULL, low,
     high);
    for (size_t i = 0; i < channels; i++) {
        double m[RML_WINOGRAD_COMPLEX_PLANES], size = 0.0;
        for (size_t p = 0; p < RML_WINOGRAD_COMPLEX_PLANES; p++) {
            m[p] = (double)src[p * plane + i];
            size += 3.0 * fabs(m[p]);
        }
        for (size_t q = 0; q < 16; q++) {
            const float *at = result + (15 - q) * channels;
            if (!dst[q]) {
                if (!isnan(at[i]))
                    check_fail(c, "%s: wrote a pixel that is left out", what);
                continue;
            }
            const double more = with_bias ? (double)bias[i] : 0.0;
            const double rest = with_residual ? (double)residual[q][i] : 0.0;
            const oracle_value v = {.want = want_output(m, q / 4, q % 4) + more + rest,
                                    .bound = (ROUNDINGS + 2) * ORACLE_U *
                                             (size + fabs(more) + fabs(rest))};
            check_element(c, dst[q][i], oracle_clamp(v, (double)low, (double)high), what, q, i);
        }
    }
    check_guards(c, what);
}

// A whole convolution of one tile: weights, input transform, products, output transform.
static void convolution_case(check *c)
{
    static float image[36][CHANNELS], filter[CHANNELS][OUTPUTS][9];
    static uint16_t v[RML_WINOGRAD_COMPLEX_PLANES][CHANNELS];
    static float m[RML_WINOGRAD_COMPLEX_PLANES][OUTPUTS], y[16][OUTPUTS];
    const float *pixels[36];
    float *dst[16], u[RML_WINOGRAD_COMPLEX_PLANES];
    random_fill(c, &image[0][0], 36 * CHANNELS);
    random_fill(c, &filter[0][0][0], CHANNELS * OUTPUTS * 9);
    for (size_t p = 0; p < 36; p++)
        pixels[p] = image[p];
    for (size_t q = 0; q < 16; q++)
        dst[q] = y[q];
    RML_KERNEL(&c->kernels, winograd_complex_input)(pixels, CHANNELS, &v[0][0], CHANNELS);
    memset(m, 0, sizeof m);
    for (size_t k = 0; k < CHANNELS; k++)
        for (size_t o = 0; o < OUTPUTS; o++) {
            rml_winograd_complex_weight(filter[k][o], u);
            for (size_t p = 0; p < RML_WINOGRAD_COMPLEX_PLANES; p++)
                m[p][o] += bf16_to_float(v[p][k]) * bf16_to_float(rml_f32_to_bf16(u[p]));
        }
    c->cases++;
    RML_KERNEL(&c->kernels, winograd_complex_output)
    (&m[0][0], OUTPUTS, OUTPUTS, NULL, dst, NULL, -INFINITY, INFINITY);
    double error = 0.0, all = 0.0;
    for (size_t q = 0; q < 16; q++)
        for (size_t o = 0; o < OUTPUTS; o++) {
            double want = 0.0;
            for (size_t t = 0; t < 9; t++)
                for (size_t k = 0; k < CHANNELS; k++)
                    want += (double)image[(q / 4 + t / 3) * 6 + q % 4 + t % 3][k] *
                            (double)filter[k][o][t];
            error += ((double)y[q][o] - want) * ((double)y[q][o] - want);
            all += want * want;
        }
    const double rms = sqrt(error / all);
    if (!(rms >= LEAST_RMS && rms <= MOST_RMS))
        check_fail(c, "convolution of %d channels: RMS error %.3g, expected %.3g to %.3g", CHANNELS,
                   rms, LEAST_RMS, MOST_RMS);
}

void check_winograd_complex_output(check *c, int which)
{
    (void)which;
    for (size_t channels = 1; channels <= 2 * RML_KERNEL(&c->kernels, gemm_f32).nr + 1; channels++)
        for (size_t round = 0; round < 4; round++)
            output_case(c, channels, round & 1 ? GUARD_BEHIND : GUARD_BEFORE);
    convolution_case(c);
}
