#include "kernels/winograd.h"

// Row of G for point p: (1, p, p^2) / product of (p - q) over the other points q.
static void weight_line(const double g[3], double u[RML_WINOGRAD_TILE])
{
    const double a = RML_WINOGRAD_A, b = RML_WINOGRAD_B;
    const double zero = a * a * b * b;
    const double pair_a = 2.0 * a * a * (a * a - b * b), pair_b = 2.0 * b * b * (b * b - a * a);
    u[0] = g[0] / zero;
    u[1] = (g[0] + a * g[1] + a * a * g[2]) / pair_a;
    u[2] = (g[0] - a * g[1] + a * a * g[2]) / pair_a;
    u[3] = (g[0] + b * g[1] + b * b * g[2]) / pair_b;
    u[4] = (g[0] - b * g[1] + b * b * g[2]) / pair_b;
    u[5] = g[2];
}

void rml_winograd_weight(const float *g, float *u)
{
    double half[3][RML_WINOGRAD_TILE]; // half[x] = G times column x
    for (size_t x = 0; x < 3; x++) {
        const double column[3] = {g[x], g[3 + x], g[6 + x]};
        weight_line(column, half[x]);
    }
    for (size_t y = 0; y < RML_WINOGRAD_TILE; y++) {
        const double row[3] = {half[0][y], half[1][y], half[2][y]};
        double line[RML_WINOGRAD_TILE];
        weight_line(row, line);
        for (size_t x = 0; x < RML_WINOGRAD_TILE; x++)
            u[y * RML_WINOGRAD_TILE + x] = (float)line[x];
    }
}
