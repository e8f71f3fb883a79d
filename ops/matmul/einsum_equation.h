// Equations of einsum: which labels the dimensions of the operands and of the output have, and
// which part each plays where two operands become one product of matrices.
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

bool rml_einsum_has(const rml_einsum_term *of, int label);

// Whether the output, or an operand from `next` on, has the label.
bool rml_einsum_keeps(const rml_einsum *eq, int label, int next);

// ---- joining ------------------------------------------------------------------------------------

// The labels of one joining: those in both operands and kept, in the first only, in the second
// only, and summed over; and the products of their sizes.
enum { RML_EINSUM_BATCH, RML_EINSUM_M, RML_EINSUM_N, RML_EINSUM_K, RML_EINSUM_PARTS };
typedef struct rml_einsum_joining {
    rml_einsum_term part[RML_EINSUM_PARTS];
    size_t size[RML_EINSUM_PARTS];
} rml_einsum_joining;

// Joins `left` with `right`; operands from `next` on come later. False when sizes cannot be
// addressed.
bool rml_einsum_join(const rml_einsum *eq, const rml_einsum_term *left,
                     const rml_einsum_term *right, int next, rml_einsum_joining *j);

// What the product has: (BATCH, M, N).
rml_einsum_term rml_einsum_joined(const rml_einsum_joining *j);

#endif
