// Index from names to numbers, and names made fit for a message.
#ifndef RML_TENSOR_NAMES_H
#define RML_TENSOR_NAMES_H

#include "tensor/alloc.h"

// Names a file may force into one run of occupied slots. Honest names stay below 100; a file made
// to collide would otherwise cost quadratic time.
#define RML_NAMES_MAX_PROBES 4096

typedef struct rml_names {
    const rml_allocator *allocator;
    struct rml_names_slot *slot; // open addressing, capacity is a power of two
    size_t capacity, count;
} rml_names;

void rml_names_init(rml_names *names, const rml_allocator *allocator);
void rml_names_release(rml_names *names);

// Adds `text` (not copied, must outlive the index) with `value`; *now is the value the name has
// afterwards, which is an earlier one when the name was there already.
rml_status rml_names_add(rml_names *names, const char *text, size_t text_bytes, size_t value,
                         size_t *now, rml_error *err);

bool rml_names_find(const rml_names *names, const char *text, size_t text_bytes, size_t *value);

// Text from a file made fit to be printed: control characters as "?", bytes that are not UTF-8 as
// "?", cut with "..." when long. Returns `out`, which holds `capacity` bytes, 8 or more.
const char *rml_text_clean(char *out, size_t capacity, const char *text, size_t text_bytes);

#define RML_QUOTE_BYTES 128

// The same at the length that suits a message: `out` holds RML_QUOTE_BYTES.
const char *rml_quote(char *out, const char *text, size_t text_bytes);

// True when the text is UTF-8 without control characters, and so may be printed as it is.
bool rml_text_is_clean(const char *text, size_t text_bytes);

// Bytes of the UTF-8 character at `text` (1 to 4), or 0 when it is not well formed.
size_t rml_utf8_length(const char *text, size_t text_bytes);

#endif
