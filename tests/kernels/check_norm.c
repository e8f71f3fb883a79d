// Kernels that normalisations and attention are made of: a block of softmax, moments of columns,
// scale and shift.
#include "tests/kernels/check_kernels.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SOURCE, MASK, OUTPUT, SCALE, SHIFT, SPREAD };

#define MAX_STEP 512
#define MAX_LANES 200

// ---- softmax, a block of a row -----------------------------------------------------------------

typedef struct step_case {
    size_t count;
    float scale, top, sum; // top and sum: of the blocks before
    bool masked, in_place, special, large;
} step_case;

// Of which kernels may take the maximum before they round to f32.
#define ROUNDED_FROM 65536.0

// exp(x - top) where x is off by `error`. The difference is rounded, and, as kernels may take a
// power of 2, so is its product with log2 e, which is off by 0.3 U itself.
static oracle_value power_of(double x, double top, double error)
{
    const double want = exp(x - top), away = x - top;
    if (want == 0.0 || isnan(want))
        return (oracle_value){.want = want, .bound = 2 * ORACLE_DENORMAL};
    const double relative = expm1(error + 2.3 * ORACLE_U * fabs(away)) + 3 * ORACLE_U;
    return (oracle_value){.want = want, .bound = want * relative + 2 * ORACLE_DENORMAL};
}

// Numbers of all magnitudes, up to the largest, and masks of it.
static void make_large(check *c, float *src, float *mask, size_t count)
{
    const int most = (int)random_below(c, 111);
    for (size_t i = 0; i < count; i++) {
        src[i] = ldexpf(random_below(c, 4) ? src[i] : 1.0f, 17 + most);
        src[i] = random_below(c, 4) ? src[i] : most & 1 ? FLT_MAX : -FLT_MAX;
        mask[i] = random_below(c, 2) ? mask[i] : -FLT_MAX;
    }
    for (size_t i = 0; i < count && most % 5 == 0; i++)
        src[i] = src[0];
}

// Checks the numbers of a row that holds no NaN.
static void check_step(check *c, const step_case *at, const double *x, const double *error,
                       const float *dst, const float got[3], const char *what)
{
    double top = at->top, top_error = 0.0;
    for (size_t i = 0; i < at->count; i++) {
        top = x[i] > top ? x[i] : top;
        top_error = fmax(top_error, error[i]);
    }
    const bool seen = top != -INFINITY;
    const oracle_value factor =
        seen ? power_of(at->top, top, top_error) : (oracle_value){.want = 1.0};
    oracle_value sum = {.want = at->sum * factor.want, .bound = at->sum * factor.bound};
    for (size_t i = 0; i < at->count; i++) {
        const oracle_value want =
            seen ? power_of(x[i], top, error[i] + top_error) : (oracle_value){.want = 0.0};
        check_element(c, dst[i], want, what, 0, i);
        sum.want += want.want;
        sum.bound += want.bound;
    }
    sum.bound += ((double)at->count + 2.0) * ORACLE_U * sum.want;
    check_element(c, got[0], factor, what, 1, 0);
    check_element(c, got[1], (oracle_value){.want = top, .bound = top_error}, what, 1, 1);
    check_element(c, got[2], sum, what, 1, 2);
}

static void run_step(check *c, const step_case *at, guard_side side)
{
    double x[MAX_STEP], error[MAX_STEP];
    char what[64];
    bool nan = false;
    snprintf(what, sizeof what, "count %zu%s%s%s%s", at->count, at->masked ? " masked" : "",
             at->in_place ? " in place" : "", at->special ? " special" : "",
             at->large ? " large" : "");
    float *src = guard_place(&c->buffer[SOURCE], at->count, side);
    float *mask = guard_place(&c->buffer[MASK], at->count, side);
    float *dst = at->in_place ? src : guard_place(&c->buffer[OUTPUT], at->count, side);
    random_fill(c, src, at->count);
    random_fill(c, mask, at->count);
    if (at->large)
        make_large(c, src, mask, at->count);
    for (size_t i = 0; i < at->count; i++) {
        static const float odd[] = {INFINITY, -INFINITY, NAN, 0.0f};
        if (at->special && random_below(c, 4) == 0)
            mask[i] = -INFINITY;
        if (at->special && random_below(c, at->count) == 0)
            src[i] = odd[random_below(c, 4)];
        const double product = (double)src[i] * at->scale;
        x[i] = at->masked ? product + mask[i] : product;
        error[i] = isfinite(x[i]) ? ORACLE_U * (fabs(product) + fabs(x[i])) : 0.0;
        if (!(fabs(x[i]) < ROUNDED_FROM)) {
            const float rounded = src[i] * at->scale;
            x[i] = at->masked ? rounded + mask[i] : rounded;
            error[i] = 0.0;
        }
        nan = nan || isnan(x[i]) || x[i] == INFINITY;
    }
    float top = at->top, sum = at->sum;
    c->cases++;
    const float factor = RML_KERNEL(&c->kernels, softmax_step)(
        src, at->scale, at->masked ? mask : NULL, dst, at->count, &top, &sum);
    const float got[3] = {factor, top, sum};
    if (!nan)
        check_step(c, at, x, error, dst, got, what);
    else if (!isnan(sum))
        check_fail(c, "%s: the sum %g hides a NaN", what, (double)sum);
    check_guards(c, what);
}

void check_softmax_step(check *c, int which)
{
    static const float scales[] = {1.0f, 0.125f, 30.0f, -2.0f};
    const size_t most = 2 * RML_KERNEL(&c->kernels, gemm_f32).nr + 1;
    (void)which;
    for (size_t count = 0; count <= most; count++)
        for (int form = 0; form < 16; form++)
            for (int start = 0; start < 3; start++) {
                const step_case at = {.count = count,
                                      .scale = scales[random_below(c, 4)],
                                      .top = start == 0    ? -INFINITY
                                             : !(form & 8) ? 4.0f * random_float(c)
                                             : start == 1  ? -FLT_MAX
                                                           : 1e30f * random_float(c),
                                      .sum = start == 0 ? 0.0f : 1.0f + 40.0f * (float)start,
                                      .masked = form & 1,
                                      .in_place = form & 2,
                                      .special = (form & 4) && count,
                                      .large = form & 8};
                run_step(c, &at, start & 1 ? GUARD_BEFORE : GUARD_BEHIND);
            }
    const step_case whole = {.count = MAX_STEP, .scale = 8.0f, .top = -INFINITY};
    run_step(c, &whole, GUARD_BEHIND);
}

// ---- moments ------------------------------------------------------------------------------------

static void moments_case(check *c, size_t rows, size_t lanes, float offset, float scale,
                         guard_side side)
{
    const size_t step = lanes + random_below(c, 3);
    char what[64];
    snprintf(what, sizeof what, "rows %zu lanes %zu offset %g scale %g", rows, lanes,
             (double)offset, (double)scale);
    float *src = guard_place(&c->buffer[SOURCE], (rows - 1) * step + lanes, side);
    float *mean = guard_place(&c->buffer[OUTPUT], lanes, side);
    float *spread = guard_place(&c->buffer[SPREAD], lanes, side);
    random_fill(c, src, c->buffer[SOURCE].count);
    for (size_t i = 0; i < (rows - 1) * step + lanes; i++)
        src[i] = (src[i] + offset) * scale;
    c->cases++;
    RML_KERNEL(&c->kernels, moments)(src, step, rows, lanes, mean, spread);
    for (size_t lane = 0; lane < lanes; lane++) {
        const double count = (double)rows;
        double sum = 0.0, magnitude = 0.0, square = 0.0, rounding = 0.0;
        for (size_t r = 0; r < rows; r++) {
            sum += src[r * step + lane];
            magnitude += fabs(src[r * step + lane]);
        }
        oracle_value want = {.want = sum / count, .any = magnitude > FLT_MAX};
        want.bound = (count + 1.0) * ORACLE_U * magnitude / count;
        check_element(c, mean[lane], want, what, 0, lane);
        // around a mean that is off by d the sum grows by count * d^2; differences round once
        for (size_t r = 0; r < rows; r++) {
            const double away = src[r * step + lane] - want.want;
            square += away * away;
            rounding += (fabs(away) + want.bound) * (fabs(away) + want.bound);
        }
        const oracle_value all = {.want = square,
                                  .bound = (count + 4.0) * ORACLE_U * rounding +
                                           count * want.bound * want.bound,
                                  .any = want.any};
        check_element(c, spread[lane], all, what, 1, lane);
    }
    check_guards(c, what);
}

void check_moments(check *c, int which)
{
    static const size_t rows[] = {1, 2, 3, 7, 128};
    (void)which;
    for (size_t lanes = 0; lanes <= 5 * RML_KERNEL(&c->kernels, gemm_f32).nr_unit + 1; lanes++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
            moments_case(c, rows[r], lanes, lanes % 3 ? 0.0f : 100.0f,
                         lanes % 4 ? 1.0f : ldexpf(1.0f, (int)random_below(c, 127)),
                         lanes & 1 ? GUARD_BEFORE : GUARD_BEHIND);
    moments_case(c, 64, MAX_LANES, 3.0f, 1.0f, GUARD_BEHIND);
}

// ---- scale and shift ----------------------------------------------------------------------------

static void affine_case(check *c, size_t count, bool in_place, guard_side side)
{
    char what[64];
    snprintf(what, sizeof what, "count %zu%s", count, in_place ? " in place" : "");
    float *src = guard_place(&c->buffer[SOURCE], count, side);
    float *scale = guard_place(&c->buffer[SCALE], count, side);
    float *shift = guard_place(&c->buffer[SHIFT], count, side);
    float *dst = in_place ? src : guard_place(&c->buffer[OUTPUT], count, side);
    oracle_value want[MAX_LANES];
    random_fill(c, src, count);
    random_fill(c, scale, count);
    random_fill(c, shift, count);
    for (size_t i = 0; i < count; i++)
        src[i] = ldexpf(src[i], random_below(c, 4) ? 0 : (int)random_below(c, 128));
    if (count)
        src[random_below(c, count)] = random_below(c, 2) ? NAN : INFINITY;
    for (size_t i = 0; i < count; i++) {
        const double product = (double)src[i] * scale[i];
        want[i] = (oracle_value){.want = product + shift[i]};
        want[i].bound = isfinite(product) ? ORACLE_U * (fabs(product) + fabs(want[i].want)) : 0.0;
    }
    c->cases++;
    RML_KERNEL(&c->kernels, affine)(src, scale, shift, dst, count);
    for (size_t i = 0; i < count; i++)
        check_element(c, dst[i], want[i], what, 0, i);
    check_guards(c, what);
}

void check_affine(check *c, int which)
{
    (void)which;
    for (size_t count = 0; count <= 2 * RML_KERNEL(&c->kernels, gemm_f32).nr + 1; count++)
        for (int form = 0; form < 4; form++)
            affine_case(c, count, form & 1, form & 2 ? GUARD_BEFORE : GUARD_BEHIND);
}

// ---- rows joined into one -----------------------------------------------------------------------

static float joined(rml_binary op, float a, float b)
{
    if (op == RML_BINARY_ADD)
        return a + b;
    if (op == RML_BINARY_MUL)
        return a * b;
    if (a != a || b != b)
        return NAN;
    return (op == RML_BINARY_MAX) == (a > b) ? a : b;
}

static void fold_case(check *c, rml_binary op, size_t rows, size_t lanes, guard_side side)
{
    const size_t step = lanes + random_below(c, 4);
    float *src = guard_place(&c->buffer[SOURCE], (rows - 1) * step + lanes, side);
    float *dst = guard_place(&c->buffer[OUTPUT], lanes, side);
    for (size_t i = 0; i < (rows - 1) * step + lanes; i++)
        src[i] =
            random_below(c, 20) ? random_float(c) : special_float(random_below(c, SPECIAL_COUNT));
    c->cases++;
    RML_KERNEL(&c->kernels, fold)(op, src, step, rows, lanes, dst);
    for (size_t i = 0; i < lanes; i++) {
        float want = src[i];
        for (size_t r = 1; r < rows; r++)
            want = joined(op, want, src[r * step + i]);
        if (!(isnan(want) && isnan(dst[i])) && want != dst[i])
            check_fail(c, "%zu rows: lane %zu of %zu is %g, expected %g", rows, i, lanes,
                       (double)dst[i], (double)want);
    }
    check_guards(c, "fold");
}

void check_fold(check *c, int which)
{
    static const rml_binary ops[] = {RML_BINARY_ADD, RML_BINARY_MUL, RML_BINARY_MAX,
                                     RML_BINARY_MIN};
    (void)which;
    for (size_t op = 0; op < 4; op++)
        for (size_t rows = 1; rows < 12; rows += 2)
            for (size_t lanes = 1; lanes < MAX_LANES; lanes += 1 + lanes / 3)
                for (int side = 0; side < GUARD_SIDES; side++)
                    fold_case(c, ops[op], rows, lanes, (guard_side)side);
}

// Extremes exact, sums and products within the rounding of as many steps as there are.
static void fold_rows_case(check *c, rml_binary op, size_t rows, size_t count, guard_side side)
{
    const size_t step = count + random_below(c, 4);
    float *src = guard_place(&c->buffer[SOURCE], (rows - 1) * step + count, side);
    float *dst = guard_place(&c->buffer[OUTPUT], rows, side);
    const bool exact = op == RML_BINARY_MAX || op == RML_BINARY_MIN;
    for (size_t i = 0; i < (rows - 1) * step + count; i++) {
        src[i] = op == RML_BINARY_MUL ? 1.0f + 0.1f * random_float(c) : random_float(c);
        if (exact && random_below(c, 20) == 0)
            src[i] = special_float(random_below(c, SPECIAL_COUNT));
    }
    c->cases++;
    RML_KERNEL(&c->kernels, fold_rows)(op, src, step, rows, count, dst);
    for (size_t r = 0; r < rows; r++) {
        double want = (double)src[r * step], sizes = fabs(want);
        for (size_t i = 1; i < count; i++) {
            const double x = (double)src[r * step + i];
            want = exact                  ? (double)joined(op, (float)want, (float)x)
                   : op == RML_BINARY_ADD ? want + x
                                          : want * x;
            sizes = op == RML_BINARY_ADD ? sizes + fabs(x) : fabs(want);
        }
        if ((isnan(want) && isnan(dst[r])) || want == (double)dst[r])
            continue;
        const double bound = exact ? 0 : 6e-8 * (double)count * sizes;
        if (!(fabs(want - (double)dst[r]) <= bound))
            check_fail(c, "row %zu of %zu elements gives %g, expected %g", r, count, (double)dst[r],
                       want);
    }
    check_guards(c, "fold_rows");
}

void check_fold_rows(check *c, int which)
{
    static const rml_binary ops[] = {RML_BINARY_ADD, RML_BINARY_MUL, RML_BINARY_MAX,
                                     RML_BINARY_MIN};
    (void)which;
    for (size_t op = 0; op < 4; op++)
        for (size_t rows = 1; rows < 4; rows++)
            for (size_t count = 1; count < MAX_LANES; count += 1 + count / 5)
                for (int side = 0; side < GUARD_SIDES; side++)
                    fold_rows_case(c, ops[op], rows, count, (guard_side)side);
}
