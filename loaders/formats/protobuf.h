// Reader of the protobuf wire format: one field at a time, nothing is built or allocated.
//
//   rml_protobuf_begin(&message, data, size);
//   for (;;) {
//       RML_TRY(rml_protobuf_next(&message, &field, &more, err));
//       if (!more) break;
//       if (field.number == 7) RML_TRY(rml_protobuf_enter(&message, &field, "graph", &inside,
//       err));
//   }
//
// A field that nobody asks about is skipped by asking for the next one.
#ifndef RML_LOADERS_FORMATS_PROTOBUF_H
#define RML_LOADERS_FORMATS_PROTOBUF_H

#include "tensor/status.h"

#define RML_PROTOBUF_MAX_DEPTH 100 // messages in messages, as the libraries that write them
#define RML_PROTOBUF_MAX_NUMBER ((1u << 29) - 1)

typedef enum rml_protobuf_wire { // numbers of the wire format; 3 and 4 are groups, which are
                                 // refused
    RML_PROTOBUF_VARINT = 0,
    RML_PROTOBUF_FIXED64 = 1,
    RML_PROTOBUF_BYTES = 2, // text, bytes, a message, packed numbers
    RML_PROTOBUF_FIXED32 = 5,
} rml_protobuf_wire;

// A message, or the packed numbers of one field, and how far it is read.
typedef struct rml_protobuf {
    const uint8_t *data; // of the whole file, so that messages can name its bytes
    size_t at, end;      // what is left of this message
    size_t size;         // of the file
    int depth;
} rml_protobuf;

typedef struct rml_protobuf_field {
    uint32_t number;
    rml_protobuf_wire wire;
    uint64_t value;      // VARINT, FIXED32, FIXED64
    const uint8_t *data; // what follows tag and length; a number as it is encoded
    size_t bytes;
    size_t at; // byte of the file where the data begin
} rml_protobuf_field;

// [data, data + size) must stay valid while reading, and as long as what fields point to is used.
void rml_protobuf_begin(rml_protobuf *message, const void *data, size_t size);

// The next field; *more is false once the message is over. RML_ERR_FORMAT names the byte.
rml_status rml_protobuf_next(rml_protobuf *message, rml_protobuf_field *field, bool *more,
                             rml_error *err);

// RML_ERR_FORMAT unless the field is encoded as `wire`; `what` names it in the message.
rml_status rml_protobuf_expect(const rml_protobuf_field *field, rml_protobuf_wire wire,
                               const char *what, rml_error *err);

// The message that the field holds. RML_ERR_LIMIT when it is nested too deep.
rml_status rml_protobuf_enter(const rml_protobuf *message, const rml_protobuf_field *field,
                              const char *what, rml_protobuf *inside, rml_error *err);

// The numbers of a repeated field that are in this occurrence of it: one, or any number of packed
// ones, which must be encoded as `wire`. Writers may mix both and may split packed ones.
rml_status rml_protobuf_numbers(const rml_protobuf *message, const rml_protobuf_field *field,
                                rml_protobuf_wire wire, const char *what, rml_protobuf *numbers,
                                size_t *count, rml_error *err);

// The next of them, at most `count` times; a VARINT that is cut or too long is RML_ERR_FORMAT.
rml_status rml_protobuf_number(rml_protobuf *numbers, rml_protobuf_wire wire, uint64_t *value,
                               rml_error *err);

// A number as the type float of the schema means it.
float rml_protobuf_f32(uint64_t value);

#endif
