// Convolution of few channels a group: depthwise, groups that share a vector, groups that fill it.
#include "tests/kernels/check_kernels.h"

#include <math.h>
#include <stdio.h>

enum { PIXELS, WEIGHT, BIAS, RESIDUAL, OUTPUT };

#define MOST_TAPS 25

typedef struct direct_case {
    rml_conv_groups groups;
    size_t taps, pixels, src_step, dst_step, residual_step;
    const float *src[MOST_TAPS];
    float *weight, *bias, *residual, *dst;
    float low, high;
    size_t lanes;
} direct_case;

// The weight of an output, by the layout of blocks as it is documented.
static float weight_of(const direct_case *d, size_t t, size_t k, size_t c)
{
    const size_t rows = d->taps * d->groups.depth;
    for (size_t i = 0;; i++) {
        const rml_conv_block block = rml_conv_block_at(&d->groups, d->lanes, i);
        if (c >= block.first && c < block.first + block.count)
            return d->weight[(i * rows + t * d->groups.depth + k) * d->lanes + c - block.first];
    }
}

static void compare(check *c, const direct_case *d, size_t p, size_t channel, const char *what)
{
    const rml_conv_groups *g = &d->groups;
    const size_t from = p * d->src_step + channel / g->cols * g->depth;
    oracle_sum sum = {0};
    if (d->bias)
        oracle_add(&sum, d->bias[channel]);
    for (size_t t = 0; t < d->taps; t++)
        for (size_t k = 0; k < g->depth; k++)
            oracle_add(&sum, (double)d->src[t][from + k] * weight_of(d, t, k, channel));
    if (d->residual)
        oracle_add(&sum, d->residual[p * d->residual_step + channel]);
    check_element(c, d->dst[p * d->dst_step + channel],
                  oracle_clamp(oracle_sum_value(&sum), d->low, d->high), what, p, channel);
}

static void run_case(check *c, size_t groups, size_t depth, size_t cols, size_t taps,
                     guard_side side)
{
    char what[96];
    direct_case d = {.groups = {depth, cols, groups * cols},
                     .taps = taps,
                     .pixels = 1 + random_below(c, 14),
                     .lanes = RML_KERNEL(&c->kernels, conv_lanes),
                     .low = -INFINITY,
                     .high = INFINITY};
    const size_t inputs = groups * depth, outputs = groups * cols;
    const size_t blocks = rml_conv_blocks(&d.groups, d.lanes);
    d.src_step = inputs + random_below(c, 3);
    d.dst_step = outputs + random_below(c, 3);
    d.residual_step = outputs + random_below(c, 3);
    snprintf(what, sizeof what, "%zu groups of %zu to %zu, %zu taps, %zu pixels", groups, depth,
             cols, taps, d.pixels);
    // Windows overlap, in random order.
    const size_t reach = (d.pixels - 1) * d.src_step + inputs, gap = inputs + random_below(c, 3);
    size_t order[MOST_TAPS];
    float *data = guard_place(&c->buffer[PIXELS], (taps - 1) * gap + reach, side);
    random_fill(c, data, (taps - 1) * gap + reach);
    random_order(c, order, taps);
    for (size_t t = 0; t < taps; t++)
        d.src[t] = data + order[t] * gap;
    if (random_below(c, 4) == 0)
        data[random_below(c, reach)] = special_float(random_below(c, SPECIAL_COUNT));
    d.weight = guard_place(&c->buffer[WEIGHT], blocks * taps * depth * d.lanes, side);
    random_fill(c, d.weight, blocks * taps * depth * d.lanes);
    if (random_below(c, 2)) {
        d.bias = guard_place(&c->buffer[BIAS], outputs, side);
        random_fill(c, d.bias, outputs);
    }
    if (random_below(c, 2)) {
        d.residual =
            guard_place(&c->buffer[RESIDUAL], (d.pixels - 1) * d.residual_step + outputs, side);
        random_fill(c, d.residual, (d.pixels - 1) * d.residual_step + outputs);
    }
    if (random_below(c, 2)) {
        d.low = 0.0f;
        d.high = 0.7f;
    }
    d.dst = guard_place(&c->buffer[OUTPUT], (d.pixels - 1) * d.dst_step + outputs, side);
    const rml_conv_direct_row row = {.src = d.src,
                                     .taps = taps,
                                     .pixels = d.pixels,
                                     .src_step = d.src_step,
                                     .dst_step = d.dst_step,
                                     .residual_step = d.residual_step,
                                     .groups = d.groups,
                                     .weight = d.weight,
                                     .weight_step = taps * depth * d.lanes,
                                     .bias = d.bias,
                                     .residual = d.residual,
                                     .dst = d.dst,
                                     .low = d.low,
                                     .high = d.high};
    c->cases++;
    RML_KERNEL(&c->kernels, conv_direct)(&row);
    for (size_t p = 0; p < d.pixels; p++)
        for (size_t channel = 0; channel < outputs; channel++)
            compare(c, &d, p, channel, what);
    check_guards(c, what);
}

void check_conv_direct(check *c, int which)
{
    static const size_t taps[] = {1, 2, 9, 25};
    static const size_t kinds[][2] = {{1, 2},  {1, 3},  {2, 1},  {2, 2},  {3, 3}, {4, 4},
                                      {4, 2},  {8, 8},  {8, 3},  {5, 7},  {1, 5}, {16, 16},
                                      {12, 9}, {1, 20}, {3, 32}, {4, 17}, {7, 1}, {16, 33}};
    (void)which;
    for (int side = 0; side < GUARD_SIDES; side++)
        for (size_t i = 0; i < sizeof taps / sizeof *taps; i++) {
            for (size_t channels = 1; channels <= 2 * RML_KERNEL(&c->kernels, gemm_f32).nr + 1;
                 channels++)
                run_case(c, channels, 1, 1, taps[i], (guard_side)side);
            for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
                for (size_t groups = 1; groups <= 9; groups++)
                    run_case(c, groups, kinds[k][0], kinds[k][1], taps[i], (guard_side)side);
        }
}
