#include "kernels/winograd_complex.h"

#define SQRT3 1.7320508075688772

typedef struct complex_pair {
    double re, im;
} complex_pair;

// Values at 0, 1, -1 and infinity, over the product of the differences to the other points; and at
// i, doubled for -i.
typedef struct line {
    double at[4];
    complex_pair i;
} line;

static line line_of(double g0, double g1, double g2)
{
    return (line){{-g0, (g0 + g1 + g2) / 4.0, (g0 - g1 + g2) / 4.0, g2},
                  {(g0 - g2) / 2.0, g1 / 2.0}};
}

static void parts(double re, double im, float *u)
{
    u[0] = (float)(re * 4.0 / 3.0);
    u[1] = (float)((re + SQRT3 * im) / -6.0);
    u[2] = (float)((re - SQRT3 * im) / -6.0);
}

void rml_winograd_complex_weight(const float *g, float *u)
{
    line column[3];
    for (size_t x = 0; x < 3; x++)
        column[x] = line_of(g[x], g[3 + x], g[6 + x]);
    for (size_t y = 0; y < 4; y++) {
        const line row = line_of(column[0].at[y], column[1].at[y], column[2].at[y]);
        float *dst = u + y * RML_WINOGRAD_COMPLEX_LINE;
        for (size_t x = 0; x < 4; x++)
            dst[x] = (float)row.at[x];
        parts(row.i.re, row.i.im, dst + 4);
    }
    const line re = line_of(column[0].i.re, column[1].i.re, column[2].i.re);
    const line im = line_of(column[0].i.im, column[1].i.im, column[2].i.im);
    for (size_t x = 0; x < 4; x++)
        parts(re.at[x], im.at[x], u + RML_WINOGRAD_COMPLEX_COMPLEX + 3 * x);
    // half, for a is the mean of two products
    parts((re.i.re - im.i.im) / 2.0, (re.i.im + im.i.re) / 2.0, u + RML_WINOGRAD_COMPLEX_BOTH);
    parts((re.i.re + im.i.im) / 2.0, (im.i.re - re.i.im) / 2.0, u + RML_WINOGRAD_COMPLEX_BOTH + 3);
}
