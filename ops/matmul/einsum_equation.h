// Equations of einsum: which labels the dimensions of the operands and of the output have.
#ifndef RML_OPS_MATMUL_EINSUM_EQUATION_H
#define RML_OPS_MATMUL_EINSUM_EQUATION_H

#include "ops/op.h"

enum {
    RML_EINSUM_OPERANDS = 16,
    RML_EINSUM_LABELS = 24, // of one joining
    RML_EINSUM_LETTERS = 52,
    RML_EINSUM_ALL = RML_EINSUM_LETTERS + RML_MAX_RANK // the last ones are those of "..."
};

typedef struct rml_einsum_term {
    int rank;
    uint8_t label[RML_EINSUM_LABELS];
} rml_einsum_term;

typedef struct rml_einsum {
    int operands;
    rml_einsum_term in[RML_EINSUM_OPERANDS], out;
    int64_t size[RML_EINSUM_ALL]; // -1: not known, or in no operand
    int64_t size_of[RML_EINSUM_OPERANDS][RML_MAX_RANK];
} rml_einsum;

// Reads the text for operands of these shapes; false where it does not fit them.
bool rml_einsum_parse(const char *text, const rml_shape *in, int in_count, rml_einsum *eq);

#endif
