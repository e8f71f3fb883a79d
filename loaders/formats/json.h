// Pull parser for JSON (RFC 8259): one token at a time, nothing is built.
#ifndef RML_LOADERS_FORMATS_JSON_H
#define RML_LOADERS_FORMATS_JSON_H

#include "tensor/alloc.h"

#define RML_JSON_MAX_DEPTH 64
#define RML_JSON_MAX_BYTES ((size_t)256 << 20)
#define RML_JSON_MAX_TEXT_BYTES ((size_t)16 << 20) // one text, decoded

typedef enum rml_json_type {
    RML_JSON_END, // of the document
    RML_JSON_OBJECT_BEGIN,
    RML_JSON_OBJECT_END,
    RML_JSON_ARRAY_BEGIN,
    RML_JSON_ARRAY_END,
    RML_JSON_KEY,
    RML_JSON_TEXT,
    RML_JSON_NUMBER,
    RML_JSON_TRUE,
    RML_JSON_FALSE,
    RML_JSON_NULL,
} rml_json_type;

// A key's value is the token after it (or the begin of an object or array).
typedef struct rml_json_token {
    rml_json_type type;
    const char *text;  // KEY, TEXT: decoded UTF-8, zero terminated, without zero bytes inside
    size_t text_bytes; // without the terminator
    double number;     // NUMBER; exact up to 15 digits and powers of ten up to 22, else to 1e-14
    int64_t integer;   // NUMBER, where is_integer
    bool is_integer;   // written without fraction and exponent, and fits
    size_t at;         // byte where the token starts
} rml_json_token;

typedef struct rml_json {
    const char *data;
    size_t size, at;
    const rml_allocator *allocator;
    char *text; // scratch of the last KEY or TEXT
    size_t text_capacity;
    int depth;
    int state;
    bool in_object[RML_JSON_MAX_DEPTH];
} rml_json;

// [data, data + size) must stay valid while parsing. A byte order mark is skipped.
void rml_json_begin(rml_json *json, const void *data, size_t size, const rml_allocator *allocator);
void rml_json_release(rml_json *json);

// The next token; token->text is valid until the next call. RML_JSON_END once the document is over.
// RML_ERR_FORMAT names the byte; RML_ERR_LIMIT for a named limit. After a failure only release.
rml_status rml_json_next(rml_json *json, rml_json_token *token, rml_error *err);

// Reads on until the value that starts with `token` (the one just read) is over.
rml_status rml_json_skip(rml_json *json, const rml_json_token *token, rml_error *err);

// The next token, which must be of `type`; `what` says in the message what it is.
rml_status rml_json_expect(rml_json *json, rml_json_type type, const char *what,
                           rml_json_token *token, rml_error *err);

#endif
