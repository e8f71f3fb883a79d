// What operations that make weights of compressed ones share: their operands, blocks and tables.
#ifndef RML_LOADERS_COREML_MIL_WEIGHTS_H
#define RML_LOADERS_COREML_MIL_WEIGHTS_H

#include "loaders/coreml/mil_handler.h"

// Operands are numbers of any width. Up to opset 7 they are the operation's attributes, later its
// inputs; both are read. The first gives NULL where there is none, the second refuses.
const rml_mil_value *rml_mil_operand(rml_mil_call *call, const char *name);
const rml_mil_value *rml_mil_needed(rml_mil_call *call, const char *name);

// Element `index` of packed ones of less than 8 bits, the first in the lowest bits; of an operand.
uint32_t rml_mil_packed(const uint8_t *data, size_t index, int bits);
double rml_mil_code_of(const rml_mil_value *value, size_t index);

// Output `output` is a constant of f32, for what reads it as a constant and for the graph.
void rml_mil_set_weights(rml_mil_call *call, int output, const float *data, const rml_shape *shape);

// Whether each dimension is made of blocks of one size, as many as `blocks` says; and the place in
// a tensor of that shape of what element `index` of `shape` belongs to.
bool rml_mil_blocks_fit(const rml_shape *shape, const rml_shape *blocks);
size_t rml_mil_block_of(size_t index, const rml_shape *shape, const rml_shape *blocks);
// Elements side by side that have one place there.
size_t rml_mil_run_of(const rml_shape *shape, const rml_shape *blocks);

// A table for each block of elements: (blocks.., entries, vector). An entry of V numbers stands for
// as many elements side by side along an axis.
typedef struct rml_mil_tables {
    const rml_mil_value *lut;
    rml_shape blocks;
    size_t entries, vector;
    int axis; // of the vector
} rml_mil_tables;

// The operands "lut" and "vector_axis" for indices of `shape`; refuses those that do not fit.
bool rml_mil_tables_of(rml_mil_call *call, const rml_shape *shape, rml_mil_tables *out);

// Number `part` of what index `code` of a block stands for; refuses an index behind the table.
float rml_mil_entry_of(rml_mil_call *call, const rml_mil_tables *tables, size_t block, double code,
                       size_t part);

// The shape of what vectors make of indices of `shape`; refuses one that is too large.
rml_shape rml_mil_widened(rml_mil_call *call, const rml_mil_tables *tables, const rml_shape *shape,
                          size_t *count);

// Elements in one step along the axis of vectors.
size_t rml_mil_step(const rml_mil_tables *tables, const rml_shape *shape);

#endif
