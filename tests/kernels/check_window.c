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
    size_t most = 2 * RML_KERNEL(&c->kernels, gemm_f32).nr + 1;
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

// One window of pixels anywhere, or some that lie side by side and share pixels.
static rml_pool_windows place_windows(check *c, size_t taps, size_t channels, guard_side side,
                                      const float **src)
{
    const size_t count = 1 + random_below(c, 4), gap = random_below(c, 3);
    rml_pool_windows w = {.src = src, .taps = taps, .channels = channels, .count = count};
    if (count == 1) {
        place_pixels(c, taps, channels, side, src);
    } else {
        w.src_step = (1 + random_below(c, 2)) * channels; // a stride of 1 or 2 pixels
        const size_t floats = (count - 1) * w.src_step + taps * channels;
        float *data = guard_place(&c->buffer[PIXELS], floats, side);
        random_fill(c, data, floats);
        data[random_below(c, floats)] = special_float(random_below(c, SPECIAL_COUNT));
        for (size_t t = 0; t < taps; t++)
            src[t] = data + t * channels;
    }
    w.dst_step = channels + gap;
    w.dst = guard_place(&c->buffer[OUTPUT], (count - 1) * w.dst_step + channels, side);
    for (size_t i = 0; i + channels < (count - 1) * w.dst_step + channels; i++)
        w.dst[i] = -7.0f; // what lies between the pixels stays
    return w;
}

static void check_gaps(check *c, const rml_pool_windows *w, const char *what)
{
    for (size_t i = 0; i + 1 < w->count; i++)
        for (size_t j = w->channels; j < w->dst_step; j++)
            check_element(c, w->dst[i * w->dst_step + j], (oracle_value){.want = -7.0}, what, i, j);
}

static void pool_max_case(check *c, size_t taps, size_t channels, guard_side side)
{
    const float *src[MAX_WINDOW];
    char what[64];
    const rml_pool_windows w = place_windows(c, taps, channels, side, src);
    snprintf(what, sizeof what, "taps %zu channels %zu windows %zu", taps, channels, w.count);
    c->cases++;
    RML_KERNEL(&c->kernels, pool_max)(&w);
    for (size_t i = 0; i < w.count * channels; i++) {
        const size_t window = i / channels, at = window * w.src_step + i % channels;
        oracle_value want = {.want = src[0][at]};
        for (size_t t = 1; t < taps; t++)
            want = oracle_binary(RML_BINARY_MAX, (float)want.want, src[t][at]);
        check_element(c, w.dst[window * w.dst_step + i % channels], want, what, window,
                      i % channels);
    }
    check_gaps(c, &w, what);
    check_guards(c, what);
}

static void pool_sum_case(check *c, size_t taps, size_t channels, guard_side side)
{
    const float *src[MAX_WINDOW];
    char what[64];
    rml_pool_windows w = place_windows(c, taps, channels, side, src);
    snprintf(what, sizeof what, "taps %zu channels %zu windows %zu", taps, channels, w.count);
    w.scale = 1.0f / (float)taps;
    c->cases++;
    RML_KERNEL(&c->kernels, pool_sum)(&w);
    for (size_t i = 0; i < w.count * channels; i++) {
        const size_t window = i / channels, at = window * w.src_step + i % channels;
        oracle_sum sum = {0};
        for (size_t t = 0; t < taps; t++)
            oracle_add(&sum, src[t][at]);
        oracle_value want = oracle_sum_value(&sum);
        want.want *= w.scale;
        want.bound = want.bound * w.scale + ORACLE_DENORMAL;
        check_element(c, w.dst[window * w.dst_step + i % channels], want, what, window,
                      i % channels);
    }
    check_gaps(c, &w, what);
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
    RML_KERNEL(&c->kernels, lerp)(src, weight, channels, dst);
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
