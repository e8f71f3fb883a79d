// Protobuf messages read into plain structs, which live in an arena.
#ifndef RML_LOADERS_FORMATS_MESSAGE_H
#define RML_LOADERS_FORMATS_MESSAGE_H

#include "loaders/formats/protobuf.h"
#include "tensor/arena.h"

#define RML_MESSAGE_MAX_NAME_BYTES 4096

// Bytes of a file, followed by a zero that is not counted.
typedef struct rml_text {
    const char *text;
    size_t bytes;
} rml_text;

typedef struct rml_message_reader {
    rml_arena *arena;
    const char *format; // "an ONNX file": in messages
    rml_error *err;
} rml_message_reader;

// Memory in the arena; `count` may be 0. `out` is a pointer to a pointer.
rml_status rml_message_array(const rml_message_reader *reader, size_t count, size_t element_bytes,
                             void *out);

// The next field with this number, skipping others.
rml_status rml_message_next(rml_protobuf *message, uint32_t number, rml_protobuf_field *field,
                            bool *more, rml_error *err);

// The message in the next field with this number; *more is false behind the last one.
rml_status rml_message_inside(rml_protobuf *message, uint32_t number, const char *what,
                              rml_protobuf *inside, bool *more, rml_error *err);

typedef enum rml_message_kind {
    RML_WANT_NAME,    // const char *, see rml_message_name
    RML_WANT_TEXT,    // rml_text
    RML_WANT_INT,     // int64_t
    RML_WANT_FLOAT,   // float, of a field of 4 bytes
    RML_WANT_DOUBLE,  // double
    RML_WANT_FLAG,    // bool
    RML_WANT_MESSAGE, // rml_protobuf
} rml_message_kind;

typedef struct rml_message_want {
    uint32_t number;
    rml_message_kind kind;
    const char *what; // for messages; NULL ends a list
    void *out;        // keeps its value where the field is absent; of several the last one counts
} rml_message_want;

// Reads the fields of a message that are wanted and skips the others.
rml_status rml_message_read(const rml_message_reader *reader, const rml_protobuf *message,
                            const rml_message_want *wants);

// How many fields of the message have this number.
rml_status rml_message_count(const rml_protobuf *message, uint32_t number, size_t *count,
                             rml_error *err);

// The numbers in all occurrences of a field, and the first occurrence that has any.
rml_status rml_message_count_numbers(const rml_message_reader *reader, const rml_protobuf *message,
                                     uint32_t number, rml_protobuf_wire wire, const char *what,
                                     size_t *count, rml_protobuf *first);

// All numbers of a repeated field, packed or not, as int64_t, at most `most` of them.
rml_status rml_message_ints(const rml_message_reader *reader, const rml_protobuf *message,
                            uint32_t number, const char *what, size_t most, const int64_t **out,
                            size_t *count);

// All floats of a repeated field. They are read where they lie if they come in one packed run,
// else copied; either way little-endian, at any alignment.
rml_status rml_message_floats(const rml_message_reader *reader, const rml_protobuf *message,
                              uint32_t number, const char *what, const uint8_t **out,
                              size_t *count);

// Any bytes.
rml_status rml_message_text(const rml_message_reader *reader, const rml_protobuf_field *field,
                            const char *what, rml_text *out);

// A name: UTF-8 without control characters, not longer than the limit.
rml_status rml_message_name(const rml_message_reader *reader, const rml_protobuf_field *field,
                            const char *what, const char **out);

// All texts of a repeated field.
rml_status rml_message_texts(const rml_message_reader *reader, const rml_protobuf *message,
                             uint32_t number, const char *what, const rml_text **out,
                             size_t *count);

#endif
