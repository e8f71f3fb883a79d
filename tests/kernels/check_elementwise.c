#include "tests/kernels/check_kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCE, SECOND, OUTPUT };

#define RUN 1024
// All f32 in steps of this many bit patterns; prime, so that all mantissas are met.
#define SWEEP_STEP 4099u

static const float params[][2] = {
    {0.0f, INFINITY}, {0.0f, 6.0f}, {-0.5f, 0.25f}, {0.1f, 1.0f}, {0.5f, -0.25f}};

static void check_unary_value(check *c, rml_unary op, float got, float x, const float *param,
                              size_t i)
{
    oracle_value want = oracle_unary(op, x, param);
    char what[64];
    snprintf(what, sizeof what, "of %.9g", (double)x);
    if (oracle_unary_exact(op) && !isnan(want.want))
        check_bits(c, got, (float)want.want, what, 0, i);
    else
        check_element(c, got, want, what, 0, i);
}

static void unary_case(check *c, rml_unary op, size_t count, guard_side side, bool in_place)
{
    static float saved[RUN];
    const bool divides = op == RML_UNARY_CELU; // by the parameter, which is positive
    const float *param = params[divides ? 3 : random_below(c, sizeof params / sizeof *params)];
    float *src = guard_place(&c->buffer[SOURCE], count, side);
    float *dst = in_place ? src : guard_place(&c->buffer[OUTPUT], count, side);
    float scale = ldexpf(1.0f, (int)random_below(c, 12) - 4);
    for (size_t i = 0; i < count; i++)
        src[i] = random_below(c, 8) ? random_float(c) * scale
                                    : special_float(random_below(c, SPECIAL_COUNT));
    memcpy(saved, src, count * sizeof *src);
    c->cases++;
    RML_KERNEL(&c->kernels, unary[op])(src, dst, count, param);
    for (size_t i = 0; i < count; i++)
        check_unary_value(c, op, dst[i], saved[i], param, i);
    check_guards(c, in_place ? "in place" : "apart");
}

static void unary_sweep(check *c, rml_unary op)
{
    static float src[RUN], dst[RUN];
    uint32_t bits = (uint32_t)random_below(c, SWEEP_STEP);
    bool more = true;
    while (more) {
        size_t count = 0;
        for (; count < RUN && more; count++) {
            memcpy(&src[count], &bits, sizeof bits);
            more = bits <= UINT32_MAX - SWEEP_STEP;
            bits += SWEEP_STEP;
        }
        RML_KERNEL(&c->kernels, unary[op])(src, dst, count, params[3]);
        for (size_t i = 0; i < count; i++)
            check_unary_value(c, op, dst[i], src[i], params[3], i);
    }
    c->cases++;
}

void check_unary(check *c, int which)
{
    rml_unary op = (rml_unary)which;
    size_t most = 2 * RML_KERNEL(&c->kernels, gemm_f32).nr + 1;
    for (size_t count = 0; count <= most; count++) {
        for (int side = 0; side < GUARD_SIDES; side++) {
            unary_case(c, op, count, (guard_side)side, false);
            unary_case(c, op, count, (guard_side)side, true);
        }
    }
    unary_case(c, op, RUN, GUARD_BEHIND, false);
    unary_sweep(c, op);
}

typedef enum binary_form { APART, ON_A, ON_B, BINARY_FORMS } binary_form;

static void fill_mixed(check *c, float *dst, size_t count)
{
    for (size_t i = 0; i < count; i++)
        dst[i] = random_below(c, 6) ? ldexpf(random_float(c), (int)random_below(c, 40) - 20)
                                    : special_float(random_below(c, SPECIAL_COUNT));
}

static void binary_case(check *c, rml_binary op, size_t count, guard_side side, binary_form form)
{
    static float saved_a[RUN], saved_b[RUN];
    float *a = guard_place(&c->buffer[SOURCE], count, side);
    float *b = guard_place(&c->buffer[SECOND], count, side);
    float *dst = form == ON_A ? a : form == ON_B ? b : guard_place(&c->buffer[OUTPUT], count, side);
    fill_mixed(c, a, count);
    fill_mixed(c, b, count);
    memcpy(saved_a, a, count * sizeof *a);
    memcpy(saved_b, b, count * sizeof *b);
    c->cases++;
    RML_KERNEL(&c->kernels, binary[op])(a, b, dst, count);
    for (size_t i = 0; i < count; i++) {
        char what[64];
        snprintf(what, sizeof what, "of %.9g and %.9g", (double)saved_a[i], (double)saved_b[i]);
        check_element(c, dst[i], oracle_binary(op, saved_a[i], saved_b[i]), what, 0, i);
    }
    check_guards(c, "binary");
}

void check_binary(check *c, int which)
{
    size_t most = 2 * RML_KERNEL(&c->kernels, gemm_f32).nr + 1;
    for (size_t count = 0; count <= most; count++) {
        for (int side = 0; side < GUARD_SIDES; side++) {
            for (int form = 0; form < BINARY_FORMS; form++)
                binary_case(c, (rml_binary)which, count, (guard_side)side, (binary_form)form);
        }
    }
    binary_case(c, (rml_binary)which, RUN, GUARD_BEHIND, APART);
}

static void scalar_case(check *c, rml_binary op, size_t count, guard_side side, bool in_place,
                        bool swap)
{
    static float saved[RUN];
    float *a = guard_place(&c->buffer[SOURCE], count, side), b;
    float *dst = in_place ? a : guard_place(&c->buffer[OUTPUT], count, side);
    fill_mixed(c, a, count);
    fill_mixed(c, &b, 1);
    memcpy(saved, a, count * sizeof *a);
    c->cases++;
    RML_KERNEL(&c->kernels, binary_scalar[op])(a, b, dst, count, swap);
    for (size_t i = 0; i < count; i++) {
        char what[64];
        snprintf(what, sizeof what, "of %.9g and %.9g%s", (double)saved[i], (double)b,
                 swap ? " swapped" : "");
        check_element(c, dst[i],
                      swap ? oracle_binary(op, b, saved[i]) : oracle_binary(op, saved[i], b), what,
                      0, i);
    }
    check_guards(c, "binary with a number");
}

void check_binary_scalar(check *c, int which)
{
    size_t most = 2 * RML_KERNEL(&c->kernels, gemm_f32).nr + 1;
    for (size_t count = 0; count <= most; count++) {
        for (int side = 0; side < GUARD_SIDES; side++) {
            for (int form = 0; form < 4; form++)
                scalar_case(c, (rml_binary)which, count, (guard_side)side, form & 1, form & 2);
        }
    }
}
