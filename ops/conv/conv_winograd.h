// What the two files of Winograd convolution share: conv_winograd.c decides and packs the weights,
// winograd_blocks.c computes.
#ifndef RML_OPS_CONV_CONV_WINOGRAD_H
#define RML_OPS_CONV_CONV_WINOGRAD_H

#include "ops/conv/conv.h"

typedef struct rml_winograd_shape {
    size_t c, o, tile_rows, tile_cols, tiles;
    int64_t pad[2]; // rows above and columns left of the image
    size_t block;   // tiles computed together
    size_t group;   // and columns of them, a multiple of the panels' but for the last
    bool bf16;
    const rml_gemm *gemm;
    size_t depth;  // elements of a transformed pixel
    size_t planes; // products of a tile
    bool twice;    // of which some are zero, see kernels/winograd_complex.h
} rml_winograd_shape;

size_t rml_winograd_blocks_scratch_bytes(const rml_op_args *args, const rml_winograd_shape *s);
void rml_winograd_blocks_run(const rml_op_args *args, const rml_winograd_shape *s);

#endif
