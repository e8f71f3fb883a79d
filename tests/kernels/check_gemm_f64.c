// The tile of f64: every number of rows and columns, against sums of long doubles.
#include "tests/kernels/check_kernels.h"

#include <float.h>
#include <math.h>

enum { ROWS_A, PANEL, ROWS_C, MOST_DEPTH = 40 };

static double *place(check *c, size_t slot, size_t count, guard_side side)
{
    return (double *)(void *)guard_place(&c->buffer[slot], 2 * count, side);
}

static void fill(check *c, double *dst, size_t count)
{
    for (size_t i = 0; i < count; i++)
        dst[i] = (double)random_float(c) + 0x1p-30 * (double)random_float(c);
}

static void run_case(check *c, size_t rows, size_t cols, size_t depth, guard_side side)
{
    const size_t nr = RML_KERNEL(&c->kernels, gemm_f64).nr;
    const double *a[RML_GEMM_MAX_MR];
    double *to[RML_GEMM_MAX_MR];
    double *left = place(c, ROWS_A, rows * depth, side), *b = place(c, PANEL, depth * nr, side);
    double *result = place(c, ROWS_C, rows * cols, side);
    fill(c, left, rows * depth);
    fill(c, b, depth * nr);
    for (size_t i = 0; i < rows; i++) {
        a[i] = left + i * depth;
        to[i] = result + i * cols;
    }
    c->cases++;
    RML_KERNEL(&c->kernels, gemm_f64).run(a, rows, depth, b, cols, to);
    for (size_t i = 0; i < rows; i++)
        for (size_t n = 0; n < cols; n++) {
            long double sum = 0, size = 0;
            for (size_t k = 0; k < depth; k++) {
                sum += (long double)a[i][k] * b[k * nr + n];
                size += fabsl((long double)a[i][k] * b[k * nr + n]);
            }
            if (!(fabsl(sum - to[i][n]) <= (long double)(depth + 1) * DBL_EPSILON * size))
                check_fail(c, "rows %zu cols %zu depth %zu: (%zu,%zu) is %g, expected %g", rows,
                           cols, depth, i, n, to[i][n], (double)sum);
        }
    check_guards(c, "gemm of f64");
}

void check_gemm_f64(check *c, int which)
{
    (void)which;
    for (size_t rows = 1; rows <= RML_KERNEL(&c->kernels, gemm_f64).mr; rows++)
        for (size_t cols = 1; cols <= RML_KERNEL(&c->kernels, gemm_f64).nr; cols++)
            for (size_t depth = 1; depth <= MOST_DEPTH; depth += 1 + depth)
                for (int side = 0; side < GUARD_SIDES; side++)
                    run_case(c, rows, cols, depth, (guard_side)side);
}
