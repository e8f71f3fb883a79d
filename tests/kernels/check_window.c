// Kernels on windows of pixels: pooling, linear resize.
#include "tests/kernels/check_kernels.h"

#include <math.h>
#include <stdio.h>

enum { PIXELS, WEIGHT, OUTPUT };

#define MAX_WINDOW 25

// Pixels of a window in random order with odd gaps; now and then one of them is a special number.
static void place_pixels(check *c, size_t taps, size_t channels, guard_side side, const float **src)
{
    size_t pitch = channels + random_below(c, 3), order[MAX_WINDOW];
    float *data = guard_place(&c->buffer[PIXELS], (taps - 1) * pitch + channels, side);
    random_order(c, order, taps);
    for (size_t t = 0; t < taps; t++) {
        float *pixel = data + order[t] * pitch;
        random_fill(c, pixel, channels);
        src[t] = pixel;
        if (random_below(c, 4) == 0)
            pixel[random_below(c, channels)] = special_float(random_below(c, SPECIAL_COUNT));
    }
}

typedef void window_fn(check *c, size_t taps, size_t channels, guard_side side);

static void each_window(check *c, window_fn *run, size_t fixed_taps)
{
    static const size_t taps[] = {1, 2, 4, 9, 25};
    size_t most = 2 * c->kernels.gemm_f32.nr + 1;
    for (size_t channels = 1; channels <= most; channels++) {
        for (int side = 0; side < GUARD_SIDES; side++) {
            for (size_t i = 0; i < (fixed_taps ? 1 : sizeof taps / sizeof *taps); i++)
                run(c, fixed_taps ? fixed_taps : taps[i], channels, (guard_side)side);
        }
    }
    for (size_t s = 0; s < c->shape_count; s++) {
        const shape *at = &c->shapes[s];
        if (at->op == SHAPE_MAXPOOL)
            run(c, fixed_taps ? fixed_taps : at->size[1] * at->size[1], at->size[0], GUARD_BEHIND);
    }
}

static void pool_max_case(check *c, size_t taps, size_t channels, guard_side side)
{
    const float *src[MAX_WINDOW];
    char what[64];
    snprintf(what, sizeof what, "taps %zu channels %zu", taps, channels);
    place_pixels(c, taps, channels, side, src);
    float *dst = guard_place(&c->buffer[OUTPUT], channels, side);
    c->cases++;
    c->kernels.pool_max(src, taps, channels, 1.0f, dst);
    for (size_t i = 0; i < channels; i++) {
        oracle_value want = {.want = src[0][i]};
        for (size_t t = 1; t < taps; t++)
            want = oracle_binary(RML_BINARY_MAX, (float)want.want, src[t][i]);
        check_element(c, dst[i], want, what, 0, i);
    }
    check_guards(c, what);
}

static void pool_sum_case(check *c, size_t taps, size_t channels, guard_side side)
{
    const float *src[MAX_WINDOW];
    char what[64];
    snprintf(what, sizeof what, "taps %zu channels %zu", taps, channels);
    place_pixels(c, taps, channels, side, src);
    float *dst = guard_place(&c->buffer[OUTPUT], channels, side), scale = 1.0f / (float)taps;
    c->cases++;
    c->kernels.pool_sum(src, taps, channels, scale, dst);
    for (size_t i = 0; i < channels; i++) {
        oracle_sum sum = {0};
        for (size_t t = 0; t < taps; t++)
            oracle_add(&sum, src[t][i]);
        oracle_value want = oracle_sum_value(&sum);
        want.want *= scale;
        want.bound = want.bound * scale + ORACLE_DENORMAL;
        check_element(c, dst[i], want, what, 0, i);
    }
    check_guards(c, what);
}

static void lerp_case(check *c, size_t taps, size_t channels, guard_side side)
{
    const float *src[MAX_WINDOW];
    char what[64];
    snprintf(what, sizeof what, "channels %zu", channels);
    place_pixels(c, taps, channels, side, src);
    float *weight = guard_place(&c->buffer[WEIGHT], taps, side);
    float *dst = guard_place(&c->buffer[OUTPUT], channels, side);
    random_fill(c, weight, taps);
    c->cases++;
    c->kernels.lerp(src, weight, channels, dst);
    for (size_t i = 0; i < channels; i++) {
        oracle_sum sum = {0};
        for (size_t t = 0; t < taps; t++)
            oracle_add(&sum, (double)src[t][i] * weight[t]);
        check_element(c, dst[i], oracle_sum_value(&sum), what, 0, i);
    }
    check_guards(c, what);
}

void check_pool_max(check *c, int which)
{
    (void)which;
    each_window(c, pool_max_case, 0);
}

void check_pool_sum(check *c, int which)
{
    (void)which;
    each_window(c, pool_sum_case, 0);
}

void check_lerp(check *c, int which)
{
    (void)which;
    each_window(c, lerp_case, 4);
}
