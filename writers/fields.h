// Writer of the protobuf wire format: fields in the order they are given, messages in messages.
//
//   rml_fields_begin(&m, 7);             // field 7 of the message that is open: a message
//   rml_fields_text(&m, 1, "conv1");
//   rml_fields_end(&m);
//
// Large fields are kept as pointers, so a model is in memory once. The first failure is kept and
// told by rml_fields_write.
#ifndef RML_WRITERS_FIELDS_H
#define RML_WRITERS_FIELDS_H

#include "tensor/outfile.h"

#define RML_FIELDS_MAX_DEPTH 32
#define RML_FIELDS_MAX_BYTES ((uint64_t)INT32_MAX) // of a file, of protobuf's libraries

typedef struct rml_fields_piece {
    size_t at; // the borrowed bytes go in front of this byte of `bytes`
    const void *data;
    size_t size;
} rml_fields_piece;

typedef struct rml_fields {
    const rml_allocator *allocator;
    uint8_t *bytes; // all but the borrowed ones
    size_t used, capacity;
    rml_fields_piece *pieces;
    size_t piece_count, piece_capacity;
    struct {
        size_t start;   // of its contents in `bytes`
        size_t piece;   // the first of its pieces
        uint32_t field; // whose contents they are
    } open[RML_FIELDS_MAX_DEPTH];
    int depth;
    rml_status status;
    rml_error error;
} rml_fields;

void rml_fields_init(rml_fields *m, const rml_allocator *allocator);
void rml_fields_release(rml_fields *m);

void rml_fields_begin(rml_fields *m, uint32_t field);
void rml_fields_end(rml_fields *m);

// Numbers, also those that are the default and that a reader would supply.
void rml_fields_int(rml_fields *m, uint32_t field, int64_t value); // int32, int64, bool, enum
void rml_fields_float(rml_fields *m, uint32_t field, float value);
void rml_fields_double(rml_fields *m, uint32_t field, double value);
void rml_fields_text(rml_fields *m, uint32_t field, const char *text);
void rml_fields_bytes(rml_fields *m, uint32_t field, const void *data, size_t size); // copied
// Not copied: they must stay until the message is written. Packed floats may be given so.
void rml_fields_borrow(rml_fields *m, uint32_t field, const void *data, size_t size);
// Packed; nothing where there are none.
void rml_fields_ints(rml_fields *m, uint32_t field, const int64_t *values, size_t count);
void rml_fields_floats(rml_fields *m, uint32_t field, const float *values, size_t count);

// Bytes of the whole message.
uint64_t rml_fields_size(const rml_fields *m);

// Writes it; nothing is open. RML_ERR_LIMIT beyond RML_FIELDS_MAX_BYTES.
rml_status rml_fields_write(const rml_fields *m, rml_outfile *file, rml_error *err);

#endif
