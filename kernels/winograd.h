// Winograd F(4x4, 3x3): matrices shared by the kernels and the weight transform.
//
// Interpolation points 0, +-A, +-B and infinity. With A = 5/8 and B = 3/2 every constant below is
// exact in f32 and the result of a 3x3 convolution is about three times closer than with the
// textbook points 0, +-1, +-2 (numbers in bench/LOG.md). Because the points come in pairs, rows +p
// and -p of B^T share their even and odd halves:
//
//   B^T d:  row 0    A^2 B^2 d0 - (A^2 + B^2) d2 + d4
//           row +-A  (d4 - B^2 d2) +- A (d3 - B^2 d1)        rows 1 and 2
//           row +-B  (d4 - A^2 d2) +- B (d3 - A^2 d1)        rows 3 and 4
//           row inf  A^2 B^2 d1 - (A^2 + B^2) d3 + d5        row 5
//   A^T m:  y0 = m0 + (m1 + m2) + (m3 + m4)
//           y1 = A (m1 - m2) + B (m3 - m4)
//           y2 = A^2 (m1 + m2) + B^2 (m3 + m4)
//           y3 = A^3 (m1 - m2) + B^3 (m3 - m4) + m5
#ifndef RML_KERNELS_WINOGRAD_H
#define RML_KERNELS_WINOGRAD_H

#include <stddef.h>

#define RML_WINOGRAD_TILE 6    // input window
#define RML_WINOGRAD_OUT 4     // output window
#define RML_WINOGRAD_PLANES 36 // 6 * 6

#define RML_WINOGRAD_A 0.625f
#define RML_WINOGRAD_B 1.5f
#define RML_WINOGRAD_A2 (RML_WINOGRAD_A * RML_WINOGRAD_A)
#define RML_WINOGRAD_B2 (RML_WINOGRAD_B * RML_WINOGRAD_B)
#define RML_WINOGRAD_A3 (RML_WINOGRAD_A2 * RML_WINOGRAD_A)
#define RML_WINOGRAD_B3 (RML_WINOGRAD_B2 * RML_WINOGRAD_B)
#define RML_WINOGRAD_A2B2 (RML_WINOGRAD_A2 * RML_WINOGRAD_B2)
#define RML_WINOGRAD_A2_PLUS_B2 (RML_WINOGRAD_A2 + RML_WINOGRAD_B2)

// Transforms one 3x3 filter g (row by row) in double precision: u[p] = (G g G^T)[p], p < 36,
// rounded once to f32.
void rml_winograd_weight(const float *g, float *u);

#endif
