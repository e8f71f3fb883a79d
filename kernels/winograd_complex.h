// Winograd F(4x4, 3x3) for operands of few bits: 46 products for 16 outputs instead of 144.
//
// The interpolation points are 0, infinity and the fourth roots of unity, 1, -1, i and -i, all of
// one size, so that what is multiplied is hardly larger than what comes of it: the rounding of
// operands is amplified 1.4 times against the direct sum, by the 36 products over the real points
// of winograd.h 4.5 times, by the 24 (of 8 outputs) of F(2x4, 3x3) over real points 2.6 times
// (bench/LOG.md).
//
//   B^T d:  0    d4 - d0                     A^T m:  y0 = m0 + (m1 + m2) + Re m3
//           1    (d4 + d2) + (d3 + d1)               y1 =      (m1 - m2) - Im m3
//           -1   (d4 + d2) - (d3 + d1)               y2 =      (m1 + m2) - Re m3
//           i    (d4 - d2) + i (d3 - d1)             y3 =      (m1 - m2) + Im m3 + m4
//           inf  d5 - d1
//
// The value at -i is the conjugate of the one at i, and stands with it in m3, doubled by the
// weights. A product of complex numbers v and u is made of three real ones: those of the parts
// along three directions 120 degrees apart,
//
//   parts(v) = (Re v, Re v + sqrt(3) Im v, Re v - sqrt(3) Im v)
//   Re (v u) = p0 + p1 + p2   Im (v u) = sqrt(3) (p2 - p1)
//
// with the parts of u times 4/3, -1/6 and -1/6. That amplifies rounding 1.15 times; the textbook's
// (v0, v1, v0 + v1) 1.41 times. Where both dimensions are at i, the two imaginary units are
// different ones, i and j; such a number a + j b + i e + i j f is two complex ones, the values for
// j = i and for j = -i:
//
//   v+ = (a - f) + i (b + e)   v- = (a + f) + i (e - b)
//
// Planes, with the point along the columns (down) first:
//
//   0, 7, 14, 21   down 0, 1, -1, inf, and there across: 0, 1, -1, inf, three parts at i
//   28             down i, and there across: three parts each at 0, 1, -1, inf; parts of v+, of v-
#ifndef RML_KERNELS_WINOGRAD_COMPLEX_H
#define RML_KERNELS_WINOGRAD_COMPLEX_H

#include "kernels/winograd.h"

#include <stdbool.h>

#define RML_WINOGRAD_COMPLEX_PLANES 46
#define RML_WINOGRAD_COMPLEX_LINE 7     // planes of a real point down
#define RML_WINOGRAD_COMPLEX_COMPLEX 28 // first plane of i down
#define RML_WINOGRAD_COMPLEX_BOTH 40    // first plane of v+
#define RML_WINOGRAD_COMPLEX_SQRT3 1.7320508f

// Whether the plane is zero where rows 1 and 2, and 3 and 4, and likewise columns, are the same: an
// image enlarged by repeating pixels has nothing at -1.
static inline bool rml_winograd_complex_is_zero_twice(size_t plane)
{
    if (plane < RML_WINOGRAD_COMPLEX_COMPLEX)
        return plane / RML_WINOGRAD_COMPLEX_LINE == 2 || plane % RML_WINOGRAD_COMPLEX_LINE == 2;
    return plane < RML_WINOGRAD_COMPLEX_BOTH && (plane - RML_WINOGRAD_COMPLEX_COMPLEX) / 3 == 2;
}

// Transforms one 3x3 filter g (row by row) in double precision: u[p], p < 46, rounded once to f32.
void rml_winograd_complex_weight(const float *g, float *u);

#endif
