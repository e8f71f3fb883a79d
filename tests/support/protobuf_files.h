// Protobuf messages made field by field, good and bad ones, so that the tests of the readers need
// no Python.
#ifndef RML_TESTS_SUPPORT_PROTOBUF_FILES_H
#define RML_TESTS_SUPPORT_PROTOBUF_FILES_H

#include "tests/support/loader_files.h"

static inline void pb_varint(blob *b, uint64_t value)
{
    do {
        const uint8_t byte = (uint8_t)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        put(b, &byte, 1);
        value >>= 7;
    } while (value);
}

static inline void pb_tag(blob *b, uint32_t number, unsigned wire)
{
    pb_varint(b, (uint64_t)number << 3 | wire);
}

static inline void pb_int(blob *b, uint32_t number, int64_t value)
{
    pb_tag(b, number, 0);
    pb_varint(b, (uint64_t)value);
}

static inline void pb_float(blob *b, uint32_t number, float value)
{
    pb_tag(b, number, 5);
    put(b, &value, sizeof value);
}

static inline void pb_bytes(blob *b, uint32_t number, const void *bytes, size_t count)
{
    pb_tag(b, number, 2);
    pb_varint(b, count);
    put(b, bytes, count);
}

static inline void pb_text(blob *b, uint32_t number, const char *text)
{
    pb_bytes(b, number, text, strlen(text));
}

// Puts the message into a field and frees it.
static inline void pb_message(blob *b, uint32_t number, blob message)
{
    pb_bytes(b, number, message.data, message.size);
    blob_free(&message);
}

#endif
