// The sizes of attention and where its heads lie: what its algorithms share.
#ifndef RML_OPS_ATTENTION_ATTENTION_H
#define RML_OPS_ATTENTION_ATTENTION_H

#include "ops/op.h"

enum {
    RML_ATTENTION_Q,
    RML_ATTENTION_K,
    RML_ATTENTION_V,
    RML_ATTENTION_MASK,
    RML_ATTENTION_PAST,
    RML_ATTENTION_LENGTHS
};

// -1 where unknown; width: of a head of v.
typedef struct rml_attention_dims {
    int64_t items, heads, key_heads, queries, keys, depth, width;
} rml_attention_dims;

rml_attention_dims rml_attention_dims_of(const rml_op_args *args);

// Where the heads of an operand lie, in elements; rows are contiguous.
typedef struct rml_heads {
    const rml_tensor *tensor;
    int64_t item, head, row;
} rml_heads;

// `depth`: elements of a row.
rml_heads rml_heads_of(const rml_tensor *tensor, int64_t depth);

// A mask broadcast to items, heads and queries; a row of it is as long as its last dimension.
rml_heads rml_heads_of_mask(const rml_tensor *mask);

static inline void *rml_heads_row(const rml_heads *heads, size_t item, size_t head, size_t row)
{
    return rml_tensor_at(heads->tensor, (int64_t)item * heads->item + (int64_t)head * heads->head +
                                            (int64_t)row * heads->row);
}

// ---- with online softmax: no row of scores is ever whole ----------------------------------------

bool rml_attention_online_accepts(const rml_op_args *args);
size_t rml_attention_online_scratch(const rml_op_args *args);
void rml_attention_online_run(const rml_op_args *args);

// ---- with whole rows of scores ------------------------------------------------------------------

size_t rml_attention_rows_scratch(const rml_op_args *args);
void rml_attention_rows_run(const rml_op_args *args);

#endif
