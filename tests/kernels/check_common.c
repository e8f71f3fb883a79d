// Reporting, comparison and random numbers of check-kernels.
#include "tests/kernels/check_kernels.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_FAILURES 5 // of one kernel

void check_fail(check *c, const char *format, ...)
{
    if (c->failures++ >= SHOWN_FAILURES)
        return;
    va_list args;
    va_start(args, format);
    printf("FAIL %s: ", c->kernel);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

void check_element(check *c, float got, oracle_value want, const char *what, size_t i, size_t j)
{
    if (!oracle_accepts(got, want)) {
        check_fail(c, "%s: element (%zu, %zu) is %.9g, expected %.9g within %.3g", what, i, j,
                   (double)got, want.want, want.bound);
    } else if (want.bound > 0.0 && isfinite(got) && isfinite(want.want)) {
        double part = fabs((double)got - want.want) / want.bound;
        c->worst = part > c->worst ? part : c->worst;
    }
}

void check_bits(check *c, float got, float want, const char *what, size_t i, size_t j)
{
    if (memcmp(&got, &want, sizeof got) != 0)
        check_fail(c, "%s: element (%zu, %zu) is %.9g, expected exactly %.9g", what, i, j,
                   (double)got, (double)want);
}

void check_guards(check *c, const char *what)
{
    for (size_t i = 0; i < MAX_BUFFERS; i++) {
        if (c->buffer[i].data && !guard_intact(&c->buffer[i]))
            check_fail(c, "%s: wrote outside buffer %zu", what, i);
    }
}

uint64_t random_bits(check *c) // splitmix64
{
    uint64_t x = c->random += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

size_t random_below(check *c, size_t limit)
{
    return (size_t)(random_bits(c) % limit);
}

float random_float(check *c)
{
    return (float)((double)(random_bits(c) >> 40) / 8388608.0 - 1.0);
}

void random_fill(check *c, float *dst, size_t count)
{
    for (size_t i = 0; i < count; i++)
        dst[i] = random_float(c);
}

void random_order(check *c, size_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = random_below(c, i + 1);
        order[i] = order[at];
        order[at] = i;
    }
}

float special_float(size_t index)
{
    static const float list[SPECIAL_COUNT] = {
        0.0f,      -0.0f,    INFINITY, -INFINITY, NAN,     1e-45f,      -1e-45f, 1e-40f,
        FLT_MIN,   -FLT_MIN, FLT_MAX,  -FLT_MAX,  1.0f,    -1.0f,       0.625f,  -0.625f,
        88.72283f, 88.8f,    -87.4f,   -103.9f,   -104.1f, 0.5f,        -17.33f, 9.02f,
        -9.1f,     3.92f,    -4.1f,    1e-20f,    -1e20f,  16777217.0f,
    };
    return list[index % SPECIAL_COUNT];
}
