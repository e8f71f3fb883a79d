// Text made of numbers and texts: what the C library's snprintf makes of the same, number by
// number.
#include "tensor/format.h"
#include "tests/support/check.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROOM 1200

// Both, with the same arguments, at the room given and at a small one.
#define SAME(...)                                                                                  \
    do {                                                                                           \
        char want[ROOM], got[ROOM];                                                                \
        const int length = snprintf(want, sizeof want, __VA_ARGS__);                               \
        const int made = rml_format(got, sizeof got, __VA_ARGS__);                                 \
        CHECK_MSG(made == length && strcmp(got, want) == 0, "\"%s\" (%d), expected \"%s\" (%d)",   \
                  got, made, want, length);                                                        \
        const int small = rml_format(got, 4, __VA_ARGS__);                                         \
        CHECK_MSG(small == length && strlen(got) <= 3 && strncmp(got, want, strlen(got)) == 0,     \
                  "\"%s\" of \"%s\"", got, want);                                                  \
    } while (0)

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state ^ *state >> 29;
}

static void integers(void)
{
    static const long long some[] = {0,
                                     1,
                                     -1,
                                     7,
                                     42,
                                     -1000,
                                     32767,
                                     2147483647,
                                     -2147483647 - 1,
                                     9223372036854775807,
                                     -9223372036854775807 - 1};
    static const char *const formats[] = {"%lld",  "%5lld",   "%-25lld|", "%025lld",  "%+lld",
                                          "% lld", "%.0lld",  "%.12lld",  "%20.4lld", "%-+8.3lld|",
                                          "%llu",  "%llx",    "%#llx",    "%#018llX", "%llo",
                                          "%#llo", "%08.3lld"};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
        for (size_t i = 0; i < sizeof some / sizeof *some; i++)
            SAME(formats[f], some[i]);
#pragma GCC diagnostic pop
    SAME("%d %i %u %x %X %o", -5, 6, 7u, 0xabcu, 0xABCu, 8u);
    SAME("%ld %lu %zu %td %jd %ju", -5L, 6UL, (size_t)7, (ptrdiff_t)-8, (intmax_t)-9,
         (uintmax_t)10);
    SAME("%hhd %hd %hhu %hu", (signed char)-5, (short)-6, (unsigned char)7, (unsigned short)8);
    SAME("%*d|%-*d|%.*d", 7, 3, 7, 3, 5, 3);
    SAME("%*d|", -7, 3);
}

static void texts(void)
{
    SAME("nothing");
    SAME("%s", "");
    SAME("%s: %s (%s)", "a", "text", "of three");
    SAME("%10s|%-10s|%.2s|%.0s|%10.3s|%.20s", "right", "left", "cut", "gone", "both", "whole");
    SAME("%.*s|%.*s", 3, "abcdef", -1, "abcdef");
    SAME("%c%c|%3c|%-3c|", 'a', 'b', 'c', 'd');
    SAME("100%% of %s", "it");
}

static void number(double value)
{
    SAME("%g|%e|%f", value, value, value);
    SAME("%.17g|%.9g|%.3g|%.0g|%.1g", value, value, value, value, value);
    SAME("%.3f|%.0f|%.1f|%.2f|%.20f", value, value, value, value, value);
    SAME("%.1e|%.0e|%.16e|%E|%G", value, value, value, value, value);
    SAME("%12.3f|%-12.2e|%+g|% g|%012.4f|%#.0f|%#.0e", value, value, value, value, value, value,
         value);
}

static void numbers(void)
{
    static const double some[] = {
        0.0,     -0.0,        1.0,     0.5,      1.5,         2.5,
        -2.5,    0.1,         0.25,    0.125,    9.5,         99.95,
        999.995, 9.9999995,   1e5,     999999.5, 1e6,         1e-4,
        0.0001,  9.99995e-5,  1e21,    1e22,     1e23,        1e100,
        1e-100,  123456789.0, DBL_MAX, DBL_MIN,  DBL_EPSILON, 4.9406564584124654e-324,
        1e15,    123456.5,    0.05,    0.005,    0.0005};
    uint64_t state = 18;
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        number(some[i]);
    number(INFINITY);
    number(-INFINITY);
    number((double)NAN);
    for (int i = 0; i < 4000; i++) {
        const uint64_t bits = next(&state);
        double any;
        memcpy(&any, &bits, sizeof any);
        number(any);
        number((double)(int64_t)(bits >> 40) / 1000.0 - 8000.0); // near 1, and many ties
        number((double)(bits >> 50) / 64.0);
    }
    SAME("%.17g and %zu of %s", 0.1, (size_t)3, "x");
}

int main(void)
{
    integers();
    texts();
    numbers();
    // Rounded up to one digit more, where the C library is known to lose zeros.
    char text[32], none = 'x';
    rml_format(text, sizeof text, "%#.3g %#g", 999.995, 999999.5);
    CHECK(strcmp(text, "1.00e+03 1.00000e+06") == 0);
    CHECK(rml_format(&none, 0, "%d", 12) == 2 && none == 'x');
    return check_result();
}
