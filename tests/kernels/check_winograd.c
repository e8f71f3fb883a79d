// Winograd transforms against matrices built from the interpolation points, and whole convolutions
// made of them against direct convolution.
#include "tests/kernels/check_kernels.h"

#include "kernels/winograd.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCE, OUTPUT, BIAS, RESIDUAL };

// Roundings on the way through one transform: two passes of at most five operations.
#define TRANSFORM_ROUNDINGS 10

// Relative RMS error of a convolution of 256 random channels. The points chosen give 1.4e-6, the
// textbook points 3.2e-6: 50 layers of a network need the difference.
#define WINOGRAD_CHANNELS 256
#define WINOGRAD_MAX_RMS 2e-6

static void place_pixels(check *c, size_t slot, size_t pixels, size_t channels, guard_side side,
                         float **at)
{
    size_t pitch = channels + random_below(c, 3), order[RML_WINOGRAD_PLANES];
    float *data = guard_place(&c->buffer[slot], (pixels - 1) * pitch + channels, side);
    random_order(c, order, pixels);
    for (size_t p = 0; p < pixels; p++)
        at[p] = data + order[p] * pitch;
}

static void input_case(check *c, const oracle_winograd *w, size_t channels, guard_side side)
{
    float *src[RML_WINOGRAD_PLANES];
    const float *pixels[RML_WINOGRAD_PLANES];
    char what[64];
    snprintf(what, sizeof what, "channels %zu", channels);
    place_pixels(c, SOURCE, RML_WINOGRAD_PLANES, channels, side, src);
    for (size_t p = 0; p < RML_WINOGRAD_PLANES; p++) {
        random_fill(c, src[p], channels);
        pixels[p] = src[p];
    }
    if (random_below(c, 4) == 0)
        src[7][random_below(c, channels)] = random_below(c, 2) ? NAN : 1e-40f;
    size_t plane = channels + random_below(c, 5);
    float *dst =
        guard_place(&c->buffer[OUTPUT], (RML_WINOGRAD_PLANES - 1) * plane + channels, side);
    c->cases++;
    RML_KERNEL(&c->kernels, winograd_input)(pixels, channels, dst, plane);
    for (size_t i = 0; i < channels; i++) {
        double d[36], want[36], size[36];
        for (size_t p = 0; p < 36; p++)
            d[p] = src[p][i];
        oracle_sandwich(&w->bt[0][0], 6, 6, d, false, want);
        oracle_sandwich(&w->bt[0][0], 6, 6, d, true, size);
        for (size_t p = 0; p < 36; p++) {
            oracle_value v = {.want = want[p],
                              .bound =
                                  TRANSFORM_ROUNDINGS * (ORACLE_U * size[p] + ORACLE_DENORMAL)};
            check_element(c, dst[p * plane + i], v, what, p, i);
        }
    }
    for (size_t i = 0; i < c->buffer[OUTPUT].count; i++) {
        if (i % plane >= channels && !isnan(dst[i]))
            check_fail(c, "%s: wrote between the planes", what);
    }
    check_guards(c, what);
}

void check_winograd_input(check *c, int which)
{
    (void)which;
    oracle_winograd w;
    oracle_winograd_init(&w);
    for (size_t channels = 1; channels <= 2 * RML_KERNEL(&c->kernels, gemm_f32).nr + 1;
         channels++) {
        for (int side = 0; side < GUARD_SIDES; side++)
            input_case(c, &w, channels, (guard_side)side);
    }
    for (size_t s = 0; s < c->shape_count; s++) {
        if (c->shapes[s].op == SHAPE_CONV)
            input_case(c, &w, c->shapes[s].size[0], GUARD_BEHIND);
    }
}

static void output_case(check *c, const oracle_winograd *w, size_t channels, guard_side side)
{
    float *pixels[16], *other[16], *dst[16];
    const float *residual[16];
    static float saved[16][2048];
    size_t plane = channels + random_below(c, 5);
    char what[64];
    float *src =
        guard_place(&c->buffer[SOURCE], (RML_WINOGRAD_PLANES - 1) * plane + channels, side);
    random_fill(c, src, c->buffer[SOURCE].count);
    float *bias = guard_place(&c->buffer[BIAS], channels, side);
    random_fill(c, bias, channels);
    place_pixels(c, OUTPUT, 16, channels, side, pixels);
    place_pixels(c, RESIDUAL, 16, channels, side, other);
    uint64_t bits = random_bits(c);
    bool with_bias = bits & 1, with_residual = bits & 2, in_place = bits & 4, clamp = bits & 8;
    bool some = bits & 16;
    for (size_t q = 0; q < 16; q++) {
        float *from = in_place ? pixels[q] : other[q];
        dst[q] = some && random_below(c, 3) == 0 ? NULL : pixels[q];
        if (with_residual && dst[q])
            random_fill(c, from, channels);
        memcpy(saved[q], from, channels * sizeof(float));
        residual[q] = dst[q] ? from : NULL;
    }
    float low = clamp ? -0.5f : -INFINITY, high = clamp ? 1.0f : INFINITY;
    snprintf(what, sizeof what, "channels %zu%s%s", channels, with_bias ? " bias" : "",
             !with_residual ? ""
             : in_place     ? " residual in place"
                            : " residual");
    c->cases++;
    RML_KERNEL(&c->kernels, winograd_output)
    (src, plane, channels, with_bias ? bias : NULL, dst, with_residual ? residual : NULL, low,
     high);
    for (size_t i = 0; i < channels; i++) {
        double m[36], want[16], size[16];
        for (size_t p = 0; p < 36; p++)
            m[p] = src[p * plane + i];
        oracle_sandwich(&w->at[0][0], 4, 6, m, false, want);
        oracle_sandwich(&w->at[0][0], 4, 6, m, true, size);
        for (size_t q = 0; q < 16; q++) {
            if (!dst[q]) {
                if (!isnan(pixels[q][i]))
                    check_fail(c, "%s: wrote a pixel that is left out", what);
                continue;
            }
            double more = with_bias ? bias[i] : 0.0, rest = with_residual ? saved[q][i] : 0.0;
            oracle_value v = {.want = want[q] + more + rest,
                              .bound = (TRANSFORM_ROUNDINGS + 2) * ORACLE_U *
                                       (size[q] + fabs(more) + fabs(rest))};
            check_element(c, dst[q][i], oracle_clamp(v, low, high), what, q, i);
        }
    }
    check_guards(c, what);
}

// A whole convolution of one tile: weights, input transform, products, output transform.
static void convolution_case(check *c)
{
    enum { CHANNELS = WINOGRAD_CHANNELS, OUTPUTS = 16 };
    static float image[36][CHANNELS], filter[CHANNELS][OUTPUTS][9], v[36][CHANNELS];
    static float u[36][CHANNELS][OUTPUTS], m[36][OUTPUTS], y[16][OUTPUTS];
    random_fill(c, &image[0][0], 36 * CHANNELS);
    random_fill(c, &filter[0][0][0], CHANNELS * OUTPUTS * 9);
    const float *pixels[36];
    float *dst[16], line[36];
    for (size_t p = 0; p < 36; p++)
        pixels[p] = image[p];
    for (size_t q = 0; q < 16; q++)
        dst[q] = y[q];
    RML_KERNEL(&c->kernels, winograd_input)(pixels, CHANNELS, &v[0][0], CHANNELS);
    memset(m, 0, sizeof m);
    for (size_t k = 0; k < CHANNELS; k++) {
        for (size_t o = 0; o < OUTPUTS; o++) {
            rml_winograd_weight(filter[k][o], line);
            for (size_t p = 0; p < 36; p++)
                u[p][k][o] = line[p];
        }
    }
    for (size_t p = 0; p < 36; p++) {
        for (size_t k = 0; k < CHANNELS; k++) {
            for (size_t o = 0; o < OUTPUTS; o++)
                m[p][o] += v[p][k] * u[p][k][o];
        }
    }
    c->cases++;
    RML_KERNEL(&c->kernels, winograd_output)
    (&m[0][0], OUTPUTS, OUTPUTS, NULL, dst, NULL, -INFINITY, INFINITY);
    double error = 0.0, power = 0.0;
    for (size_t q = 0; q < 16; q++) {
        for (size_t o = 0; o < OUTPUTS; o++) {
            double want = 0.0;
            for (size_t t = 0; t < 9; t++) {
                const float *pixel = image[(q / 4 + t / 3) * 6 + q % 4 + t % 3];
                for (size_t k = 0; k < CHANNELS; k++)
                    want += (double)pixel[k] * filter[k][o][t];
            }
            error += (y[q][o] - want) * (y[q][o] - want);
            power += want * want;
        }
    }
    double rms = sqrt(error / power);
    if (!(rms <= WINOGRAD_MAX_RMS))
        check_fail(c, "convolution of %d channels: RMS error %.3g, at most %.3g", CHANNELS, rms,
                   WINOGRAD_MAX_RMS);
}

void check_winograd_output(check *c, int which)
{
    (void)which;
    oracle_winograd w;
    oracle_winograd_init(&w);
    for (size_t channels = 1; channels <= 2 * RML_KERNEL(&c->kernels, gemm_f32).nr + 1;
         channels++) {
        for (size_t round = 0; round < 4; round++)
            output_case(c, &w, channels, round & 1 ? GUARD_BEHIND : GUARD_BEFORE);
    }
    for (size_t s = 0; s < c->shape_count; s++) {
        if (c->shapes[s].op == SHAPE_CONV)
            output_case(c, &w, c->shapes[s].size[1], GUARD_BEHIND);
    }
    convolution_case(c);
}
