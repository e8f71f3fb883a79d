#include "tests/kernels/check_kernels.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum { SOURCE, GAMMA, BETA, OUTPUT };

#define MAX_ROW (3 * RML_LAYER_NORM_BLOCK)

// What a case differs in beside its size.
typedef enum form_bits { IN_PLACE = 1, PLAIN = 2, RMS = 4, FORMS = 8 } form_bits;

static void fill_source(check *c, float *src, size_t count)
{
    // A mean far from zero is what a variance from sums of squares would not survive.
    const float scale =
        ldexpf(1.0f, (int)(random_below(c, 4) ? random_below(c, 12) : random_below(c, 134)) - 6);
    const float offset = random_below(c, 3) ? random_float(c) : 100.0f * scale;
    for (size_t i = 0; i < count; i++)
        src[i] = random_float(c) * scale + offset;
    if (random_below(c, 16) == 0)
        for (size_t i = 0; i < count; i++)
            src[i] = FLT_MAX;
    else if (random_below(c, 8) == 0)
        src[random_below(c, count)] = special_float(random_below(c, SPECIAL_COUNT));
    else if (random_below(c, 8) == 0)
        for (size_t i = 0; i < count; i++)
            src[i] = offset; // no variance at all
}

static void norm_case(check *c, size_t count, guard_side side, int form)
{
    static oracle_value want[MAX_ROW];
    const bool rms = form & RMS, plain = form & PLAIN;
    char what[64];
    snprintf(what, sizeof what, "count %zu%s%s%s", count, rms ? " rms" : "",
             plain ? " without gamma and beta" : "", form & IN_PLACE ? " in place" : "");
    float *src = guard_place(&c->buffer[SOURCE], count, side);
    float *gamma = guard_place(&c->buffer[GAMMA], count, side);
    float *beta = guard_place(&c->buffer[BETA], count, side);
    float *dst = form & IN_PLACE ? src : guard_place(&c->buffer[OUTPUT], count, side);
    const float eps = random_below(c, 2) ? 1e-5f : 0.5f;
    fill_source(c, src, count);
    random_fill(c, gamma, count);
    random_fill(c, beta, count);
    gamma = plain ? NULL : gamma;
    beta = plain ? NULL : beta;
    oracle_layer_norm(src, gamma, beta, eps, rms, count, want);
    c->cases++;
    RML_KERNEL(&c->kernels, layer_norm)(src, gamma, beta, eps, rms, count, dst);
    for (size_t i = 0; i < count; i++)
        check_element(c, dst[i], want[i], what, 0, i);
    check_guards(c, what);
}

void check_layer_norm(check *c, int which)
{
    (void)which;
    const size_t most = 4 * RML_KERNEL(&c->kernels, gemm_f32).nr + 1;
    for (size_t count = 1; count <= most; count++)
        for (int side = 0; side < GUARD_SIDES; side++)
            for (int form = 0; form < FORMS; form++)
                norm_case(c, count, (guard_side)side, form);
    static const size_t large[] = {
        512, 768, 1023, 1024, RML_LAYER_NORM_BLOCK, RML_LAYER_NORM_BLOCK + 1, MAX_ROW};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        for (int form = 0; form < FORMS; form++)
            norm_case(c, large[i], GUARD_BEHIND, form);
}
