// Elements of files that are no numbers of a dtype, and how they become f32.
#ifndef RML_TENSOR_CODING_H
#define RML_TENSOR_CODING_H

#include "runmodel.h"

typedef enum rml_coding_kind {
    RML_CODING_NONE = 0,
    RML_CODING_F8_E4M3FN, // sign, exponent, mantissa; "fn": no infinities, "uz": no negative zero
    RML_CODING_F8_E5M2,
    RML_CODING_F8_E4M3FNUZ,
    RML_CODING_F8_E5M2FNUZ,
    RML_CODING_F8_E8M0FNU, // a power of two without sign
    RML_CODING_AFFINE,     // (element - zero) * scale, in double and rounded once
} rml_coding_kind;

typedef struct rml_coding {
    rml_coding_kind kind;
    bool swapped; // the highest byte of each element comes first
    double scale; // AFFINE
    int64_t zero;
} rml_coding;

static inline bool rml_coding_is_none(const rml_coding *coding)
{
    return coding->kind == RML_CODING_NONE && !coding->swapped;
}

// `count` elements of `dtype` side by side at `src` (any alignment) as f32. 8-bit floats are exact.
void rml_coding_to_f32(const rml_coding *coding, rml_dtype dtype, const void *src, float *dst,
                       size_t count);

// Copies elements with the lowest byte first, without decoding them.
void rml_coding_copy(const rml_coding *coding, rml_dtype dtype, const void *src, void *dst,
                     size_t count);

#endif
