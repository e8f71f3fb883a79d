// What operators of ONNX take, by operator set.
#ifndef RML_LOADERS_CHECK_ONNX_SIGNATURES_H
#define RML_LOADERS_CHECK_ONNX_SIGNATURES_H

#include "loaders/formats/message.h"

typedef struct rml_onnx_signature {
    bool removed; // the operator set has it no more
    int64_t since;
    rml_text input, output, types, attribute; // where they lie in the table
} rml_onnx_signature;

typedef enum rml_onnx_found {
    RML_ONNX_FOUND,
    RML_ONNX_NO_OPERATOR,
    RML_ONNX_LATER, // `since`: the first operator set that has it
} rml_onnx_found;

typedef struct rml_onnx_formal {
    int letter; // of its type
    bool may_be_missing;
    bool alike; // all of its letter have one type
} rml_onnx_formal;

// An operator of a domain of ONNX: its own (""), ai.onnx.ml, or a preview.
rml_onnx_found rml_onnx_signature_find(const char *domain, const char *op_type, int64_t opset,
                                       rml_onnx_signature *out);

// How many a side (`input` or `output`) has at least and at most, SIZE_MAX: as many as one likes.
void rml_onnx_signature_count(rml_text side, size_t *least, size_t *most);
// False: there is none at `index`.
bool rml_onnx_signature_formal(rml_text side, size_t index, rml_onnx_formal *out);

// Types of a letter, a character each: of `rml_onnx_type_letter`.
rml_text rml_onnx_signature_types(const rml_onnx_signature *signature, int letter);
char rml_onnx_type_letter(rml_dtype dtype);

// The kind of an attribute: a letter, 0 where there is none of this name.
//   f i s t g p x: number, integer, text, tensor, graph, type, sparse tensor; F I S T G: their
//   lists
char rml_onnx_signature_attribute(const rml_onnx_signature *signature, const char *name);
// All of them, from `*at` 0 on; 0 behind the last one.
char rml_onnx_signature_next(const rml_onnx_signature *signature, size_t *at, rml_text *name,
                             bool *wanted);

#endif
