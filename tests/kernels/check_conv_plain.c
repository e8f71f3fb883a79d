// Convolution of plain images: one output, two or four channels, as many rows of one channel.
#include "tests/kernels/check_kernels.h"

#include <math.h>
#include <stdio.h>

enum { DATA, WEIGHT, OUTPUT };

#define MOST_POINTERS 45 // of a plane
#define MOST_PLANES 3

static size_t padded(size_t count)
{
    return (count + RML_CONV_PLAIN_PAD - 1) / RML_CONV_PLAIN_PAD * RML_CONV_PLAIN_PAD;
}

static void compare(check *c, const rml_conv_plain_rows *rows, const char *what)
{
    const size_t taps = rows->taps;
    for (size_t o = 0; o < rows->outs; o++)
        for (size_t r = rows->first; r < rows->rows; r++)
            for (size_t x = 0; x < rows->count; x++) {
                oracle_sum sum = {0};
                oracle_add(&sum, rows->bias[o]);
                for (size_t p = 0; p < rows->planes; p++)
                    for (size_t t = 0; t < taps; t++)
                        oracle_add(&sum, (double)rows->src[p * rows->pointers + o * rows->lag + t]
                                                          [rows->from + r * rows->src_step + x] *
                                             rows->weight[o][p * taps + t]);
                check_element(c, rows->dst[o][r * rows->dst_step + x],
                              oracle_clamp(oracle_sum_value(&sum), rows->low, rows->high), what, r,
                              x);
            }
}

static void run_case(check *c, size_t planes, size_t taps, size_t lag, size_t outs, size_t count,
                     guard_side side)
{
    char what[96];
    const float *src[MOST_PLANES * MOST_POINTERS];
    rml_conv_plain_rows rows = {.src = src,
                                .planes = planes,
                                .taps = taps,
                                .lag = lag,
                                .pointers = taps + (outs - 1) * lag + random_below(c, 3),
                                .outs = outs,
                                .count = count,
                                .rows = 1 + random_below(c, 3)};
    rows.first = random_below(c, rows.rows);
    rows.from = random_below(c, 3);
    rows.low = random_below(c, 2) ? 0.0f : -INFINITY;
    rows.high = random_below(c, 2) ? 6.0f : INFINITY;
    rows.src_step = random_below(c, 3);
    rows.dst_step = count + random_below(c, 3);
    snprintf(what, sizeof what, "%zu planes of %zu taps, %zu outputs, lag %zu, %zu numbers", planes,
             taps, outs, lag, count);
    // Taps overlap, in random order.
    const size_t all = planes * rows.pointers;
    const size_t floats = all - 1 + rows.from + (rows.rows - 1) * rows.src_step + padded(count);
    size_t order[MOST_PLANES * MOST_POINTERS];
    float *data = guard_place(&c->buffer[DATA], floats, side);
    random_fill(c, data, floats);
    if (random_below(c, 4) == 0)
        data[random_below(c, floats)] = special_float(random_below(c, SPECIAL_COUNT));
    random_order(c, order, all);
    for (size_t i = 0; i < all; i++)
        src[i] = data + order[i];
    float *weight = guard_place(&c->buffer[WEIGHT], outs * planes * taps, side);
    random_fill(c, weight, outs * planes * taps);
    const bool one_channel = lag > 0 && random_below(c, 2);
    const size_t out = (rows.rows - 1) * rows.dst_step + count;
    float *dst = guard_place(&c->buffer[OUTPUT], outs * out, side);
    for (size_t o = 0; o < outs; o++) {
        rows.weight[o] = weight + (one_channel ? 0 : o * planes * taps);
        rows.bias[o] = random_float(c);
        rows.dst[o] = dst + o * out;
    }
    c->cases++;
    RML_KERNEL(&c->kernels, conv_plain)(&rows);
    compare(c, &rows, what);
    check_guards(c, what);
}

void check_conv_plain(check *c, int which)
{
    static const size_t taps[] = {1, 3, 9, 25};
    (void)which;
    for (int side = 0; side < GUARD_SIDES; side++)
        for (size_t i = 0; i < sizeof taps / sizeof *taps; i++)
            for (size_t count = 1; count <= 81; count++)
                for (size_t outs = 1; outs <= 4; outs *= 2) {
                    const size_t most = outs > 1 ? taps[i] / (outs - 1) : 0;
                    const size_t lag = random_below(c, 2) ? most : random_below(c, most + 1);
                    const size_t planes = 1 + random_below(c, MOST_PLANES);
                    run_case(c, planes, taps[i], 0, outs, count, (guard_side)side);
                    if (taps[i] == 9) // rows of three taps
                        run_case(c, 1, 9, 3, outs, count, (guard_side)side);
                    run_case(c, planes, taps[i], lag < 5 ? lag : 5, outs, count, (guard_side)side);
                }
}

static void pad_case(check *c, size_t count, size_t rows, guard_side side)
{
    static const float fills[] = {0.0f, 1.5f, -INFINITY};
    const size_t src_step = count + random_below(c, 3);
    const size_t dst_step = padded(count + random_below(c, 40));
    const float fill = fills[random_below(c, 3)];
    const size_t floats = (rows - 1) * src_step + count;
    float *src = guard_place(&c->buffer[DATA], floats, side);
    float *dst = guard_place(&c->buffer[OUTPUT], rows * dst_step, side);
    random_fill(c, src, floats);
    c->cases++;
    RML_KERNEL(&c->kernels, pad_rows)(src, src_step, count, fill, rows, dst, dst_step);
    for (size_t r = 0; r < rows; r++)
        for (size_t x = 0; x < dst_step; x++)
            check_bits(c, dst[r * dst_step + x], x < count ? src[r * src_step + x] : fill,
                       "rows padded", r, x);
    check_guards(c, "rows padded");
}

void check_pad_rows(check *c, int which)
{
    (void)which;
    for (int side = 0; side < GUARD_SIDES; side++)
        for (size_t count = 0; count <= 81; count++)
            for (size_t rows = 1; rows <= 3; rows++)
                pad_case(c, count, rows, (guard_side)side);
}
