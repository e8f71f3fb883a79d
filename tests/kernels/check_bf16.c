// Products of bf16: numbers are chosen so that the conversion is exact, and the sum of products,
// which are exact in f32 then, errs like any sum.
#include "tests/kernels/check_kernels.h"

#include "kernels/pack.h"
#include "tensor/convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS_A, PANEL, BIAS, RESIDUAL, ROWS_C };

#define MOST_DEPTH 150 // pairs

typedef struct bf16_case {
    size_t taps, depth, rows, cols;
    bool uneven, bias, residual, clamp;
    guard_side side;
} bf16_case;

static float to_float(uint32_t half)
{
    const uint32_t bits = half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t random_half(check *c)
{
    return rml_f32_to_bf16(random_float(c));
}

static void random_pairs(check *c, float *dst, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t pair = random_half(c) | random_half(c) << 16;
        memcpy(&dst[i], &pair, sizeof pair);
    }
}

static uint32_t bits_of(const float *pair)
{
    uint32_t bits;
    memcpy(&bits, pair, sizeof bits);
    return bits;
}

// The terms of element (i, n), in their order.
static oracle_value want_of(const rml_gemm_tile *tile, size_t mr, size_t pitch, size_t i, size_t n)
{
    oracle_sum sum = {0};
    for (size_t t = 0; t < tile->taps; t++)
        for (size_t k = 0; k < tile->depth; k++) {
            const uint32_t a = bits_of(&tile->a[t * mr + i][k]);
            const uint32_t b = bits_of(&tile->b[(t * tile->depth + k) * pitch + n]);
            oracle_add(&sum, (double)to_float(a & 0xFFFF) * (double)to_float(b & 0xFFFF));
            oracle_add(&sum, (double)to_float(a >> 16) * (double)to_float(b >> 16));
        }
    if (tile->bias)
        oracle_add(&sum, (double)tile->bias[n]);
    if (tile->residual)
        oracle_add(&sum, (double)tile->residual[i][n]);
    return oracle_clamp(oracle_sum_value(&sum), (double)tile->low, (double)tile->high);
}

static void run_case(check *c, const bf16_case *at)
{
    const rml_kernels *k = &c->kernels;
    const size_t pitch = rml_pack_pitch(k, at->cols), step = at->depth + (at->uneven ? 5 : 0);
    const float *a[RML_GEMM_MAX_MR * 9], *residual[RML_GEMM_MAX_MR];
    float *rows[RML_GEMM_MAX_MR];
    char what[96];
    snprintf(what, sizeof what, "taps %zu depth %zu rows %zu cols %zu%s", at->taps, at->depth,
             at->rows, at->cols, at->uneven ? " uneven" : "");
    const size_t count = (at->taps * at->rows - 1) * step + at->depth;
    float *data = guard_place(&c->buffer[ROWS_A], count, at->side);
    float *panel = guard_place(&c->buffer[PANEL], at->taps * at->depth * pitch, at->side);
    float *bias = guard_place(&c->buffer[BIAS], at->cols, at->side);
    float *added = guard_place(&c->buffer[RESIDUAL], at->rows * at->cols, at->side);
    float *result = guard_place(&c->buffer[ROWS_C], at->rows * at->cols, at->side);
    random_pairs(c, data, count);
    random_pairs(c, panel, at->taps * at->depth * pitch);
    random_fill(c, bias, at->cols);
    random_fill(c, added, at->rows * at->cols);
    for (size_t t = 0; t < at->taps; t++)
        for (size_t i = 0; i < at->rows; i++) {
            // backwards, or at changing steps
            size_t place = t * at->rows + (at->uneven ? i : at->rows - 1 - i);
            if (at->uneven && i == 2)
                place = t * at->rows;
            a[t * k->mr + i] = data + place * step;
        }
    for (size_t i = 0; i < at->rows; i++) {
        rows[i] = result + i * at->cols;
        residual[i] = added + i * at->cols;
    }
    const rml_gemm_tile tile = {.a = a,
                                .taps = at->taps,
                                .depth = at->depth,
                                .b = panel,
                                .rows = at->rows,
                                .cols = at->cols,
                                .c = rows,
                                .bias = at->bias ? bias : NULL,
                                .residual = at->residual ? residual : NULL,
                                .low = at->clamp ? -0.25f : -INFINITY,
                                .high = at->clamp ? 0.5f : INFINITY};
    c->cases++;
    k->gemm_bf16(&tile);
    for (size_t i = 0; i < at->rows; i++)
        for (size_t n = 0; n < at->cols; n++)
            check_element(c, rows[i][n], want_of(&tile, k->mr, pitch, i, n), what, i, n);
    check_guards(c, what);
}

void check_gemm_bf16(check *c, int which)
{
    static const size_t depths[] = {1, 2, 15, 16, 17, 32, 33, 80, MOST_DEPTH};
    (void)which;
    for (size_t d = 0; d < sizeof depths / sizeof *depths; d++)
        for (size_t rows = 1; rows <= c->kernels.mr; rows++)
            for (size_t cols = 1; cols <= c->kernels.nr; cols++) {
                const uint64_t bits = random_bits(c);
                const bf16_case at = {.taps = rows == 3 ? 3 : 1,
                                      .depth = depths[d],
                                      .rows = rows,
                                      .cols = cols,
                                      .uneven = bits & 1,
                                      .bias = bits & 2,
                                      .residual = bits & 4,
                                      .clamp = bits & 8,
                                      .side = bits & 16 ? GUARD_BEFORE : GUARD_BEHIND};
                run_case(c, &at);
            }
}

void check_pairs_bf16(check *c, int which)
{
    (void)which;
    for (size_t count = 0; count <= 200; count++)
        for (int form = 0; form < 4; form++) {
            const guard_side side = form & 1 ? GUARD_BEFORE : GUARD_BEHIND;
            float saved[200];
            float *src = guard_place(&c->buffer[ROWS_A], count, side);
            float *dst = form & 2 ? src : guard_place(&c->buffer[ROWS_C], (count + 1) / 2, side);
            random_fill(c, src, count);
            if (count > 3) {
                src[1] = INFINITY;
                src[2] = 1.00390625f; // half way between two bf16: to the even one
                src[3] = 1.01171875f;
            }
            memcpy(saved, src, count * sizeof *src);
            c->cases++;
            c->kernels.pairs_bf16(src, count, dst);
            for (size_t i = 0; i < count; i++) {
                const uint32_t pair = bits_of(&dst[i / 2]);
                const float got = to_float(i % 2 ? pair >> 16 : pair & 0xFFFF);
                check_bits(c, got, to_float(rml_f32_to_bf16(saved[i])), "pairs", count, i);
            }
            if (count % 2 && bits_of(&dst[count / 2]) >> 16)
                check_fail(c, "count %zu: what lies behind an odd one is not zero", count);
            check_guards(c, "pairs");
        }
}
