// Kernels on rows: softmax, L2 normalisation, transpose.
#include "tests/kernels/check_kernels.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SOURCE, SCALE, OUTPUT };

#define MAX_ROW 2048
#define MAX_TRANSPOSE_SIDE 512 // of a real layer's long side; the pattern repeats

// 2 to the power of anything up to `most`.
static float random_scale(check *c, int most)
{
    return ldexpf(1.0f, (int)random_below(c, (size_t)most + 1));
}

static void softmax_case(check *c, size_t count, guard_side side, bool logarithm, bool in_place,
                         bool special, bool large)
{
    static oracle_value want[MAX_ROW];
    char what[64];
    snprintf(what, sizeof what, "%scount %zu%s%s", logarithm ? "logarithm, " : "", count,
             in_place ? " in place" : "", large ? " large" : "");
    float *src = guard_place(&c->buffer[SOURCE], count, side);
    float *dst = in_place ? src : guard_place(&c->buffer[OUTPUT], count, side);
    const float scale = random_scale(c, large ? 127 : 7), peak = random_below(c, 2) ? 1.0f : -1.0f;
    for (size_t i = 0; i < count; i++)
        src[i] = large && random_below(c, 3) ? peak * scale : random_float(c) * scale;
    if (large && random_below(c, 4) == 0)
        for (size_t i = 0; i < count; i++)
            src[i] = peak * FLT_MAX;
    if (special)
        src[random_below(c, count)] = special_float(random_below(c, SPECIAL_COUNT));
    oracle_softmax(src, count, logarithm, want);
    c->cases++;
    RML_KERNEL(&c->kernels, softmax)(src, dst, count, logarithm);
    for (size_t i = 0; i < count; i++)
        check_element(c, dst[i], want[i], what, 0, i);
    check_guards(c, what);
}

void check_softmax(check *c, int which)
{
    (void)which;
    size_t most = 2 * RML_KERNEL(&c->kernels, gemm_f32).nr + 1;
    for (size_t count = 1; count <= most; count++) {
        for (int side = 0; side < GUARD_SIDES; side++) {
            for (int form = 0; form < 16; form++)
                softmax_case(c, count, (guard_side)side, form & 8, form & 1, form & 2, form & 4);
        }
    }
    for (int form = 0; form < 4; form++)
        softmax_case(c, MAX_ROW, GUARD_BEHIND, form & 2, false, false, form & 1);
    for (size_t s = 0; s < c->shape_count; s++) {
        if (c->shapes[s].op == SHAPE_SOFTMAX)
            softmax_case(c, c->shapes[s].size[0], GUARD_BEHIND, false, false, false, false);
    }
}

static void l2norm_case(check *c, size_t count, guard_side side, bool in_place, bool scaled)
{
    static oracle_value want[MAX_ROW];
    char what[64];
    snprintf(what, sizeof what, "channels %zu%s%s", count, in_place ? " in place" : "",
             scaled ? " scaled" : "");
    float *src = guard_place(&c->buffer[SOURCE], count, side);
    float *scale = guard_place(&c->buffer[SCALE], count, side);
    float *dst = in_place ? src : guard_place(&c->buffer[OUTPUT], count, side);
    random_fill(c, src, count);
    random_fill(c, scale, count);
    const float factor = random_below(c, 3) ? 1.0f : random_scale(c, 127);
    for (size_t i = 0; i < count; i++)
        src[i] *= factor;
    if (random_below(c, 8) == 0)
        memset(src, 0, count * sizeof *src);
    else if (random_below(c, 8) == 0)
        src[random_below(c, count)] = random_below(c, 2) ? NAN : INFINITY;
    float eps = random_below(c, 2) ? 1e-10f : 0.5f;
    oracle_l2norm(src, scaled ? scale : NULL, eps, count, want);
    c->cases++;
    RML_KERNEL(&c->kernels, l2norm)(src, scaled ? scale : NULL, eps, count, dst);
    for (size_t i = 0; i < count; i++)
        check_element(c, dst[i], want[i], what, 0, i);
    check_guards(c, what);
}

void check_l2norm(check *c, int which)
{
    (void)which;
    size_t most = 2 * RML_KERNEL(&c->kernels, gemm_f32).nr + 1;
    for (size_t count = 1; count <= most; count++) {
        for (int side = 0; side < GUARD_SIDES; side++) {
            for (int form = 0; form < 4; form++)
                l2norm_case(c, count, (guard_side)side, form & 1, form & 2);
        }
    }
    for (size_t s = 0; s < c->shape_count; s++) {
        if (c->shapes[s].op == SHAPE_L2NORM)
            l2norm_case(c, c->shapes[s].size[0], GUARD_BEHIND, false, true);
    }
}

static void transpose_case(check *c, size_t rows, size_t cols, guard_side side)
{
    size_t src_pitch = cols + random_below(c, 4), dst_pitch = rows + random_below(c, 4);
    char what[64];
    snprintf(what, sizeof what, "%zu x %zu", rows, cols);
    float *src = guard_place(&c->buffer[SOURCE], (rows - 1) * src_pitch + cols, side);
    float *dst = guard_place(&c->buffer[OUTPUT], (cols - 1) * dst_pitch + rows, side);
    random_fill(c, src, c->buffer[SOURCE].count);
    src[random_below(c, cols)] = special_float(random_below(c, SPECIAL_COUNT));
    c->cases++;
    RML_KERNEL(&c->kernels, transpose)(src, src_pitch, dst, dst_pitch, rows, cols);
    for (size_t i = 0; i < c->buffer[OUTPUT].count; i++) {
        size_t to_row = i / dst_pitch, to_col = i % dst_pitch;
        if (to_col < rows)
            check_bits(c, dst[i], src[to_col * src_pitch + to_row], what, to_row, to_col);
        else if (!isnan(dst[i]))
            check_fail(c, "%s: wrote between the rows", what);
    }
    check_guards(c, what);
}

static size_t at_most(size_t value, size_t limit)
{
    return value < limit ? value : limit;
}

// `count` bytes that touch the guard on `side`.
static uint8_t *place_bytes(guard_buf *buffer, size_t count, guard_side side)
{
    const size_t floats = (count + sizeof(float) - 1) / sizeof(float);
    uint8_t *at = (uint8_t *)guard_place(buffer, floats, side);
    return side == GUARD_BEHIND ? at + (floats * sizeof(float) - count) : at;
}

// Steps below 0 begin at the last row. Between the rows of dst nothing may change.
static void turn_case(check *c, size_t bytes, size_t rows, size_t cols, guard_side side, int back)
{
    const size_t src_pitch = cols + random_below(c, 4), dst_pitch = rows + random_below(c, 4);
    const size_t src_count = (rows - 1) * src_pitch + cols;
    const size_t dst_count = (cols - 1) * dst_pitch + rows;
    char what[64];
    snprintf(what, sizeof what, "%zu bytes, %zu x %zu, %d", bytes, rows, cols, back);
    uint8_t *src = place_bytes(&c->buffer[SOURCE], src_count * bytes, side);
    uint8_t *dst = place_bytes(&c->buffer[OUTPUT], dst_count * bytes, side);
    for (size_t i = 0; i < src_count * bytes; i++)
        src[i] = (uint8_t)random_below(c, 255);
    memset(dst, 255, dst_count * bytes);
    const bool up = back & 1, left = back & 2;
    const int64_t src_step = (int64_t)(src_pitch * bytes), dst_step = (int64_t)(dst_pitch * bytes);
    c->cases++;
    RML_KERNEL(&c->kernels, turn)
    (bytes, src + (up ? (int64_t)(rows - 1) * src_step : 0), up ? -src_step : src_step,
     dst + (left ? (int64_t)(cols - 1) * dst_step : 0), left ? -dst_step : dst_step, rows, cols);
    for (size_t i = 0; i < dst_count; i++)
        for (size_t b = 0; b < bytes; b++) {
            const size_t line = i / dst_pitch, col = left ? cols - 1 - line : line;
            const size_t row = up ? rows - 1 - i % dst_pitch : i % dst_pitch;
            const bool between = i % dst_pitch >= rows;
            const int want = between ? 255 : src[(row * src_pitch + col) * bytes + b];
            if (dst[i * bytes + b] != want)
                check_fail(c, "%s: element %zu is wrong", what, i);
        }
    check_guards(c, what);
}

void check_turn(check *c, int which)
{
    (void)which;
    for (size_t bytes = 1; bytes <= 8; bytes *= 2)
        for (size_t rows = 1; rows <= 50; rows += rows < 8 ? 3 : 1)
            for (size_t cols = 1; cols <= 34; cols += cols < 6 ? 2 : 1)
                turn_case(c, bytes, rows, cols, (rows + cols) & 1 ? GUARD_BEHIND : GUARD_BEFORE,
                          (int)random_below(c, 4));
}

void check_transpose(check *c, int which)
{
    (void)which;
    for (size_t rows = 1; rows <= 33; rows++) {
        for (size_t cols = 1; cols <= 33; cols++)
            transpose_case(c, rows, cols, (rows + cols) & 1 ? GUARD_BEHIND : GUARD_BEFORE);
    }
    for (size_t s = 0; s < c->shape_count; s++) {
        const shape *at = &c->shapes[s];
        if (at->op == SHAPE_TRANSPOSE)
            transpose_case(c, at_most(at->size[0], MAX_TRANSPOSE_SIDE),
                           at_most(at->size[1], MAX_TRANSPOSE_SIDE), GUARD_BEHIND);
    }
}
