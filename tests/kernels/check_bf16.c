// Products of bf16: numbers are chosen so that the conversion is exact, and the sum of products,
// which are exact in f32 then, errs like any sum.
#include "tests/kernels/check_kernels.h"

#include "kernels/pack.h"
#include "tensor/dtype.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS_A, PANEL, BIAS, RESIDUAL, ROWS_C };

#define MOST_DEPTH 300

typedef struct bf16_case {
    size_t taps, depth, rows, cols;
    bool uneven, bias, row_bias, residual, clamp;
    guard_side side;
} bf16_case;

float bf16_to_float(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint16_t *place_bf16(check *c, size_t slot, size_t count, guard_side side)
{
    uint16_t *at = (uint16_t *)(void *)guard_place(&c->buffer[slot], (count + 1) / 2, side);
    at += side == GUARD_BEHIND ? count % 2 : 0;
    for (size_t i = 0; i < count; i++)
        at[i] = UNTOUCHED;
    return at;
}

// `count` numbers, then zeros up to `padded`.
static void random_bf16(check *c, uint16_t *dst, size_t count, size_t padded)
{
    for (size_t i = 0; i < padded; i++)
        dst[i] = i < count ? rml_f32_to_bf16(random_float(c)) : 0;
}

// The terms of element (i, n), in their order; `rows` and `b` are those that were packed.
static oracle_value want_of(const rml_gemm_tile *tile, const bf16_case *at, const float *b,
                            size_t mr, size_t i, size_t n)
{
    oracle_sum sum = {0};
    for (size_t t = 0; t < at->taps; t++) {
        const uint16_t *row = tile->a[t * mr + i];
        for (size_t k = 0; k < at->depth; k++) {
            const float x = b[(t * at->depth + k) * at->cols + n];
            oracle_add(&sum, (double)bf16_to_float(row[k]) * (double)x);
        }
    }
    if (tile->bias)
        oracle_add(&sum, (double)tile->bias[n]);
    if (tile->row_bias)
        oracle_add(&sum, (double)tile->row_bias[i]);
    if (tile->residual)
        oracle_add(&sum, (double)tile->residual[i][n]);
    return oracle_clamp(oracle_sum_value(&sum), (double)tile->low, (double)tile->high);
}

static void run_case(check *c, const bf16_case *at)
{
    static float b[3 * MOST_DEPTH * RML_GEMM_MAX_NR];
    const rml_gemm *gemm = &RML_KERNEL(&c->kernels, gemm_bf16);
    const size_t depth = rml_pack_depth(gemm, at->depth), step = depth + (at->uneven ? 10 : 0);
    const void *a[RML_GEMM_MAX_MR * 9];
    const float *residual[RML_GEMM_MAX_MR];
    float *rows[RML_GEMM_MAX_MR];
    char what[96];
    snprintf(what, sizeof what, "taps %zu depth %zu rows %zu cols %zu%s", at->taps, at->depth,
             at->rows, at->cols, at->uneven ? " uneven" : "");
    const size_t count = (at->taps * at->rows - 1) * step + depth;
    const size_t packed = at->taps * depth * rml_pack_pitch(gemm, at->cols);
    uint16_t *data = place_bf16(c, ROWS_A, count, at->side);
    uint16_t *panel = place_bf16(c, PANEL, packed, at->side);
    const size_t biases = at->row_bias ? at->rows : at->cols;
    float *bias = guard_place(&c->buffer[BIAS], biases, at->side);
    float *added = guard_place(&c->buffer[RESIDUAL], at->rows * at->cols, at->side);
    float *result = guard_place(&c->buffer[ROWS_C], at->rows * at->cols, at->side);
    for (size_t k = 0; k < at->taps * at->depth * at->cols; k++)
        b[k] = bf16_to_float(rml_f32_to_bf16(random_float(c)));
    rml_pack_panel(gemm, panel, b, at->taps, at->depth, at->cols, at->depth * at->cols, at->cols,
                   1);
    random_fill(c, bias, biases);
    random_fill(c, added, at->rows * at->cols);
    for (size_t t = 0; t < at->taps; t++)
        for (size_t i = 0; i < at->rows; i++) {
            // backwards, or at changing steps, or as pixels lie
            size_t place = t * at->rows + (at->bias ? i : at->rows - 1 - i);
            if (at->uneven && i == 2)
                place = t * at->rows;
            random_bf16(c, data + place * step, at->depth, depth);
            a[t * gemm->mr + i] = data + place * step;
        }
    for (size_t i = 0; i < at->rows; i++) {
        rows[i] = result + i * at->cols;
        residual[i] = added + i * at->cols;
    }
    const rml_gemm_tile tile = {.a = a,
                                .taps = at->taps,
                                .depth = depth,
                                .b = panel,
                                .rows = at->rows,
                                .cols = at->cols,
                                .c = rows,
                                .bias = at->bias ? bias : NULL,
                                .row_bias = at->row_bias ? bias : NULL,
                                .residual = at->residual ? residual : NULL,
                                .low = at->clamp ? -0.25f : -INFINITY,
                                .high = at->clamp ? 0.5f : INFINITY};
    c->cases++;
    rml_gemm_begin(gemm);
    gemm->run(&tile);
    rml_gemm_end(gemm);
    for (size_t i = 0; i < at->rows; i++)
        for (size_t n = 0; n < at->cols; n++)
            check_element(c, rows[i][n], want_of(&tile, at, b, gemm->mr, i, n), what, i, n);
    check_guards(c, what);
}

void check_gemm_bf16(check *c, int which)
{
    static const size_t depths[] = {1, 2, 3, 31, 32, 33, 65, 160, MOST_DEPTH};
    const rml_gemm *gemm = &RML_KERNEL(&c->kernels, gemm_bf16);
    (void)which;
    for (size_t d = 0; d < sizeof depths / sizeof *depths; d++)
        for (size_t rows = 1; rows <= gemm->mr; rows++)
            for (size_t cols = 1; cols <= gemm->nr; cols++) {
                const uint64_t bits = random_bits(c);
                const bf16_case at = {.taps = rows % 8 == 3 ? 3 : 1,
                                      .depth = depths[d],
                                      .rows = rows,
                                      .cols = cols,
                                      .uneven = bits & 1,
                                      .bias = bits & 2,
                                      .row_bias = (bits & 34) == 32,
                                      .residual = bits & 4,
                                      .clamp = bits & 8,
                                      .side = bits & 16 ? GUARD_BEFORE : GUARD_BEHIND};
                run_case(c, &at);
            }
}

void check_to_bf16(check *c, int which)
{
    (void)which;
    for (size_t count = 0; count <= 200; count++)
        for (int form = 0; form < 4; form++) {
            const guard_side side = form & 1 ? GUARD_BEFORE : GUARD_BEHIND;
            const bool in_place = form & 2;
            const size_t padded = count + (in_place ? count % 2 : random_below(c, 70));
            float saved[200];
            float *src = guard_place(&c->buffer[ROWS_A], count, side);
            uint16_t *dst =
                in_place ? (uint16_t *)(void *)src : place_bf16(c, ROWS_C, padded, side);
            random_fill(c, src, count);
            if (count > 3) {
                src[1] = INFINITY;
                src[2] = 1.00390625f; // half way between two: to the even one
                src[3] = 1.01171875f;
            }
            memcpy(saved, src, count * sizeof *src);
            c->cases++;
            RML_KERNEL(&c->kernels, to_bf16)(src, count, padded, dst);
            for (size_t i = 0; i < padded; i++)
                check_bits(c, bf16_to_float(dst[i]),
                           i < count ? bf16_to_float(rml_f32_to_bf16(saved[i])) : 0.0f, "to_bf16",
                           count, i);
            check_guards(c, "to_bf16");
        }
}
