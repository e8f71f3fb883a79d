#include "tests/kernels/check_kernels.h"

#include "kernels/pack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_A, PANEL, BIAS, RESIDUAL, ROWS_C };

typedef struct gemm_case {
    size_t taps, depth, rows, cols;
    bool bias, row_bias, residual, in_place, clamp, special;
    guard_side side;
} gemm_case;

// Puts rows of `width` floats, gaps between them, in random order, so that each row in turn lies
// against the guard page.
static float *place_rows(check *c, size_t slot, size_t count, size_t width, guard_side side,
                         float **rows)
{
    size_t pitch = width + random_below(c, 4) * 3, order[RML_GEMM_MAX_MR * MAX_TAPS];
    float *data = guard_place(&c->buffer[slot], (count - 1) * pitch + width, side);
    random_order(c, order, count);
    for (size_t i = 0; i < count; i++)
        rows[i] = data + order[i] * pitch;
    return data;
}

// Everything of a buffer that is in none of the rows must still be NaN.
static void check_gaps(check *c, size_t slot, float *const *rows, size_t count, size_t width)
{
    const guard_buf *buf = &c->buffer[slot];
    size_t nan = 0;
    for (size_t i = 0; i < buf->count; i++)
        nan += isnan(buf->data[i]) != 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t n = 0; n < width; n++)
            nan -= isnan(rows[i][n]) != 0;
    }
    if (nan != buf->count - count * width)
        check_fail(c, "wrote between the rows of c");
}

static void run_case(check *c, const gemm_case *g)
{
    static float saved[RML_GEMM_MAX_MR][RML_GEMM_MAX_NR];
    const rml_kernels *k = &c->kernels;
    char what[128];
    snprintf(what, sizeof what, "taps %zu depth %zu rows %zu cols %zu%s%s%s%s%s%s", g->taps,
             g->depth, g->rows, g->cols, g->bias ? " bias" : "", g->row_bias ? " row bias" : "",
             g->residual ? " residual" : "", g->in_place ? " in place" : "",
             g->clamp ? " clamp" : "", g->special ? " special" : "");

    float *rows_a[RML_GEMM_MAX_MR * MAX_TAPS], *rows_c[RML_GEMM_MAX_MR];
    float *rows_r[RML_GEMM_MAX_MR];
    place_rows(c, ROWS_A, g->taps * g->rows, g->depth, g->side, rows_a);
    const void *a[RML_GEMM_MAX_MR * MAX_TAPS] = {NULL};
    for (size_t t = 0; t < g->taps; t++) {
        for (size_t i = 0; i < g->rows; i++) {
            random_fill(c, rows_a[t * g->rows + i], g->depth);
            a[t * RML_KERNEL(k, gemm_f32).mr + i] = rows_a[t * g->rows + i];
        }
    }
    size_t terms = g->taps * g->depth;
    float *b = malloc(terms * g->cols * sizeof *b);
    if (!b) {
        check_fail(c, "out of memory");
        return;
    }
    random_fill(c, b, terms * g->cols);
    if (g->special) {
        rows_a[random_below(c, g->taps * g->rows)][random_below(c, g->depth)] =
            special_float(random_below(c, SPECIAL_COUNT));
        b[random_below(c, terms * g->cols)] = special_float(random_below(c, SPECIAL_COUNT));
    }
    size_t pitch = rml_pack_pitch(&RML_KERNEL(k, gemm_f32), g->cols);
    float *panel = guard_place(&c->buffer[PANEL], terms * pitch, g->side);
    rml_pack_panel(&RML_KERNEL(k, gemm_f32), panel, b, g->taps, g->depth, g->cols,
                   g->depth * g->cols, g->cols, 1);
    const size_t biases = g->row_bias ? g->rows : g->cols;
    float *bias = guard_place(&c->buffer[BIAS], biases, g->side);
    random_fill(c, bias, biases);
    place_rows(c, RESIDUAL, g->rows, g->cols, g->side, rows_r);
    place_rows(c, ROWS_C, g->rows, g->cols, g->side, rows_c);
    for (size_t i = 0; i < g->rows; i++) {
        float *residual = g->in_place ? rows_c[i] : rows_r[i];
        random_fill(c, residual, g->cols);
        memcpy(saved[i], residual, g->cols * sizeof *residual);
    }
    rml_gemm_tile tile = {
        .a = a,
        .taps = g->taps,
        .depth = g->depth,
        .b = panel,
        .rows = g->rows,
        .cols = g->cols,
        .c = rows_c,
        .bias = g->bias ? bias : NULL,
        .row_bias = g->row_bias ? bias : NULL,
        .residual = !g->residual  ? NULL
                    : g->in_place ? (const float *const *)rows_c
                                  : (const float *const *)rows_r,
        .low = g->clamp ? (g->rows & 1 ? -0.25f : 0.75f) : -INFINITY, // or crossed
        .high = g->clamp ? 0.5f : INFINITY,
    };
    c->cases++;
    RML_KERNEL(k, gemm_f32).run(&tile);
    for (size_t i = 0; i < g->rows; i++) {
        for (size_t n = 0; n < g->cols; n++)
            check_element(
                c, rows_c[i][n],
                oracle_gemm(&tile, RML_KERNEL(k, gemm_f32).mr, b, g->cols, i, n, saved[i][n]), what,
                i, n);
    }
    if (!g->special)
        check_gaps(c, ROWS_C, rows_c, g->rows, g->cols);
    check_guards(c, what);
    free(b);
}

static gemm_case random_case(check *c, size_t taps, size_t depth, size_t rows, size_t cols)
{
    uint64_t bits = random_bits(c);
    gemm_case g = {.taps = taps, .depth = depth, .rows = rows, .cols = cols};
    g.bias = bits & 1;
    g.row_bias = !g.bias && (bits & 0x100);
    g.residual = bits & 2;
    g.in_place = g.residual && (bits & 4);
    g.clamp = bits & 8;
    g.special = (bits & 0x70) == 0x70;
    g.side = bits & 0x80 ? GUARD_BEFORE : GUARD_BEHIND;
    return g;
}

// The bits of an element must not depend on the rows and columns computed with it.
static void check_same_bits(check *c)
{
    enum { TAPS = 3, DEPTH = 37 };
    const rml_kernels *k = &c->kernels;
    static float a_data[TAPS][RML_GEMM_MAX_MR][DEPTH], b[TAPS * DEPTH][RML_GEMM_MAX_NR];
    static float panel[TAPS * DEPTH * RML_GEMM_MAX_NR];
    static float full[RML_GEMM_MAX_MR][RML_GEMM_MAX_NR], part[RML_GEMM_MAX_MR][RML_GEMM_MAX_NR];
    random_fill(c, &a_data[0][0][0], sizeof a_data / sizeof(float));
    random_fill(c, &b[0][0], sizeof b / sizeof(float));
    const void *a[TAPS * RML_GEMM_MAX_MR];
    float *c_full[RML_GEMM_MAX_MR], *c_part[RML_GEMM_MAX_MR];
    for (size_t t = 0; t < TAPS; t++) {
        for (size_t i = 0; i < RML_KERNEL(k, gemm_f32).mr; i++)
            a[t * RML_KERNEL(k, gemm_f32).mr + i] = a_data[t][i];
    }
    for (size_t i = 0; i < RML_KERNEL(k, gemm_f32).mr; i++) {
        c_full[i] = full[i];
        c_part[i] = part[i];
    }
    rml_gemm_tile tile = {a,
                          TAPS,
                          DEPTH,
                          panel,
                          RML_KERNEL(k, gemm_f32).mr,
                          RML_KERNEL(k, gemm_f32).nr,
                          c_full,
                          NULL,
                          NULL,
                          NULL,
                          -INFINITY,
                          INFINITY};
    rml_pack_panel(&RML_KERNEL(k, gemm_f32), panel, &b[0][0], TAPS, DEPTH,
                   RML_KERNEL(k, gemm_f32).nr, DEPTH * RML_GEMM_MAX_NR, RML_GEMM_MAX_NR, 1);
    RML_KERNEL(k, gemm_f32).run(&tile);
    tile.c = c_part;
    for (tile.cols = 1; tile.cols <= RML_KERNEL(k, gemm_f32).nr; tile.cols++) {
        rml_pack_panel(&RML_KERNEL(k, gemm_f32), panel, &b[0][0], TAPS, DEPTH, tile.cols,
                       DEPTH * RML_GEMM_MAX_NR, RML_GEMM_MAX_NR, 1);
        for (tile.rows = 1; tile.rows <= RML_KERNEL(k, gemm_f32).mr; tile.rows++) {
            c->cases++;
            RML_KERNEL(k, gemm_f32).run(&tile);
            for (size_t i = 0; i < tile.rows; i++) {
                for (size_t n = 0; n < tile.cols; n++)
                    check_bits(c, part[i][n], full[i][n], "part of a tile", i, n);
            }
        }
    }
}

void check_gemm(check *c, int which)
{
    static const size_t taps[] = {1, 2, 3, 9}, depths[] = {1, 2, 3, 4, 7, 16, 33};
    (void)which;
    const rml_kernels *k = &c->kernels;
    for (size_t rows = 1; rows <= RML_KERNEL(k, gemm_f32).mr; rows++) {
        for (size_t cols = 1; cols <= RML_KERNEL(k, gemm_f32).nr; cols++) {
            for (size_t round = 0; round < 6; round++) {
                gemm_case g = random_case(c, taps[random_below(c, 4)], depths[random_below(c, 7)],
                                          rows, cols);
                run_case(c, &g);
            }
        }
    }
    for (size_t s = 0; s < c->shape_count; s++) {
        const shape *at = &c->shapes[s];
        if (at->op != SHAPE_CONV && at->op != SHAPE_CONV_TRANSPOSED)
            continue;
        size_t kernel_taps = at->size[2] * at->size[3], cols = at->size[1];
        size_t last = cols % RML_KERNEL(k, gemm_f32).nr ? cols % RML_KERNEL(k, gemm_f32).nr
                                                        : RML_KERNEL(k, gemm_f32).nr;
        gemm_case g = random_case(c, kernel_taps, at->size[0], RML_KERNEL(k, gemm_f32).mr, last);
        run_case(c, &g);
    }
    check_same_bits(c);
}
