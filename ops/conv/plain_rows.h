// Rows of plain images as the kernel of planes takes them.
#ifndef RML_OPS_CONV_PLAIN_ROWS_H
#define RML_OPS_CONV_PLAIN_ROWS_H

#include "kernels/kernels.h"

// Of the rows that a worker copies. Those of taps that lie further apart than images are wide would
// be padding mostly.
#define RML_PLAIN_MOST_BYTES ((size_t)16 * 1024 * 1024)

typedef struct rml_plain_copy {
    int64_t height, width, stride; // of a plane, and from an output's column to the next one's
    size_t pitch, row_floats;      // of the numbers a stride apart; of all such of a row
} rml_plain_copy;

// Rows [top, top + rows) of a plane as taps read them, from column `begin` on: every stride-th
// number, from each of the first ones on. Zeros outside, and everywhere without a plane. The last
// RML_CONV_PLAIN_PAD of a pitch are zeros, too.
void rml_plain_copy_rows(const rml_plain_copy *copy, const float *plane, int64_t top, int64_t begin,
                         size_t rows, float *dst);

// The same of whole rows with `before` zeros in front of each, which are those behind the row in
// front of it: a pitch is a multiple of RML_CONV_PLAIN_PAD, and holds both, and `dst` has `before`
// floats more.
void rml_plain_copy_dense(const rml_kernels *kernels, const rml_plain_copy *copy,
                          const float *plane, int64_t top, int64_t before, size_t rows, float *dst);

// All rows of one output, of which dst[0], weight[0] and bias[0] are given, 4, 2 and 1 at once, up
// to `together`.
void rml_plain_run_rows(const rml_kernels *kernels, rml_conv_plain_rows *rows, size_t together);

#endif
