// Packing of constant weights for a GEMM: a panel of columns at a time, split over the pool.
#ifndef RML_OPS_MATMUL_PACK_WEIGHT_H
#define RML_OPS_MATMUL_PACK_WEIGHT_H

#include "ops/op.h"

typedef struct rml_weight_pack {
    const rml_op_args *args;
    const rml_gemm *gemm;
    int axis;            // of the weight: its columns
    size_t groups, cols; // groups of columns follow each other along the axis
    size_t floats;       // of the weight that belong to one column
    size_t more;         // floats of room for each column besides
    // Packs columns [column, column + count) of a group, whose numbers rml_constant_read has put to
    // `rows`; the room is behind them.
    void (*panel)(const struct rml_weight_pack *pack, size_t group, size_t column, size_t count,
                  float *rows);
    const void *context;
    void *packed;
} rml_weight_pack;

rml_status rml_pack_weight(const rml_weight_pack *pack, const rml_constant *weight,
                           const rml_allocator *allocator, rml_error *err);

// The common case: a weight [groups * cols][depth][taps], each group a packed matrix.
rml_status rml_pack_filters(const rml_op_args *args, const rml_gemm *gemm,
                            const rml_constant *weight, size_t groups, size_t taps, void *packed,
                            const rml_allocator *allocator, rml_error *err);

// c = a * b of plain f32 matrices, `b` packed in panels: for products that are made of little ones.
// The rows of a and c are a_step and c_step apart.
void rml_pack_multiply(const rml_gemm *gemm, const float *a, size_t a_step, size_t rows,
                       size_t depth, const float *b, size_t cols, float *c, size_t c_step);

#endif
