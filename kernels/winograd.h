// Winograd F(4x4, 3x3): matrices shared by the kernels and the weight transform.
#ifndef RML_KERNELS_WINOGRAD_H
#define RML_KERNELS_WINOGRAD_H

#include <stddef.h>

#define RML_WINOGRAD_TILE 6    // input window
#define RML_WINOGRAD_OUT 4     // output window
#define RML_WINOGRAD_PLANES 36 // 6 * 6

// Transforms one 3x3 filter g (row by row, `stride` floats between its elements) in double precision:
// u[p] = (G g G^T)[p], p < 36, rounded once to f32.
void rml_winograd_weight(const float *g, size_t stride, float *u);

#endif
