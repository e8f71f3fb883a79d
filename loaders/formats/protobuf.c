#include "loaders/formats/protobuf.h"

#include "loaders/formats/bytes.h"
#include "tensor/size.h"

#include <string.h>

#define VARINT_MAX_BYTES 10
#define WIRE_BITS 3

void rml_protobuf_begin(rml_protobuf *message, const void *data, size_t size)
{
    *message = (rml_protobuf){.data = data, .end = size, .size = size};
}

// What is missing lies past the end of the file, or only past the end of the message around it.
static rml_status missing(const rml_protobuf *message, size_t at, uint64_t bytes, rml_error *err)
{
    if (message->end == message->size)
        return rml_fail(
            err, RML_ERR_FORMAT,
            "cut short: the file ends at byte %zu, and %llu bytes are announced at byte "
            "%zu; download or copy it again",
            message->size, (unsigned long long)bytes, at);
    return rml_fail(err, RML_ERR_FORMAT,
                    "damaged file: %llu bytes at byte %zu leave their message, which ends at byte "
                    "%zu",
                    (unsigned long long)bytes, at, message->end);
}

static rml_status read_varint(rml_protobuf *message, uint64_t *value, rml_error *err)
{
    const size_t begin = message->at;
    *value = 0;
    for (size_t i = 0; i < VARINT_MAX_BYTES; i++) {
        if (message->at == message->end)
            return missing(message, begin, i + 1, err);
        const uint8_t byte = message->data[message->at++];
        if (i == VARINT_MAX_BYTES - 1 && byte > 1)
            break; // more than 64 bits
        *value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte < 0x80)
            return RML_OK;
    }
    return rml_fail(err, RML_ERR_FORMAT,
                    "damaged file: the number at byte %zu has more than 64 bits", begin);
}

static rml_status read_fixed(rml_protobuf *message, size_t bytes, uint64_t *value, rml_error *err)
{
    if (message->end - message->at < bytes)
        return missing(message, message->at, bytes, err);
    *value = rml_le(message->data + message->at, bytes);
    message->at += bytes;
    return RML_OK;
}

static rml_status read_number(rml_protobuf *message, rml_protobuf_wire wire, uint64_t *value,
                              rml_error *err)
{
    if (wire == RML_PROTOBUF_VARINT)
        return read_varint(message, value, err);
    return read_fixed(message, wire == RML_PROTOBUF_FIXED32 ? 4 : 8, value, err);
}

rml_status rml_protobuf_next(rml_protobuf *message, rml_protobuf_field *field, bool *more,
                             rml_error *err)
{
    *more = message->at < message->end;
    if (!*more)
        return RML_OK;
    const size_t tag_at = message->at;
    uint64_t tag = 0, length = 0;
    RML_TRY(read_varint(message, &tag, err));
    const uint64_t number = tag >> WIRE_BITS, wire = tag & ((1u << WIRE_BITS) - 1);
    if (number == 0 || number > RML_PROTOBUF_MAX_NUMBER)
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged file: field number %llu at byte %zu, they go from 1 to %u",
                        (unsigned long long)number, tag_at, RML_PROTOBUF_MAX_NUMBER);
    *field = (rml_protobuf_field){
        .number = (uint32_t)number, .wire = (rml_protobuf_wire)wire, .at = message->at};
    switch (wire) {
    case RML_PROTOBUF_VARINT:
    case RML_PROTOBUF_FIXED32:
    case RML_PROTOBUF_FIXED64:
        RML_TRY(read_number(message, field->wire, &field->value, err));
        break;
    case RML_PROTOBUF_BYTES:
        RML_TRY(read_varint(message, &length, err));
        field->at = message->at;
        if (length > message->end - message->at)
            return missing(message, message->at, length, err);
        message->at += (size_t)length;
        break;
    default:
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged file: field %u at byte %zu is encoded as kind %u, which is %s",
                        field->number, tag_at, (unsigned)wire,
                        wire < RML_PROTOBUF_FIXED32 ? "a group and not used by this format"
                                                    : "none");
    }
    field->data = message->data + field->at;
    field->bytes = message->at - field->at;
    return RML_OK;
}

static const char *wire_name(rml_protobuf_wire wire)
{
    switch (wire) {
    case RML_PROTOBUF_VARINT:
        return "a whole number";
    case RML_PROTOBUF_FIXED64:
        return "8 bytes";
    case RML_PROTOBUF_BYTES:
        return "text or a message";
    case RML_PROTOBUF_FIXED32:
        return "4 bytes";
    }
    return "?";
}

rml_status rml_protobuf_expect(const rml_protobuf_field *field, rml_protobuf_wire wire,
                               const char *what, rml_error *err)
{
    if (field->wire == wire)
        return RML_OK;
    return rml_fail(err, RML_ERR_FORMAT, "damaged file: %s at byte %zu is encoded as %s, not as %s",
                    what, field->at, wire_name(field->wire), wire_name(wire));
}

rml_status rml_protobuf_enter(const rml_protobuf *message, const rml_protobuf_field *field,
                              const char *what, rml_protobuf *inside, rml_error *err)
{
    RML_TRY(rml_protobuf_expect(field, RML_PROTOBUF_BYTES, what, err));
    if (message->depth + 1 >= RML_PROTOBUF_MAX_DEPTH)
        return rml_fail(err, RML_ERR_LIMIT, "%s at byte %zu is nested deeper than %d messages",
                        what, field->at, RML_PROTOBUF_MAX_DEPTH);
    *inside = (rml_protobuf){.data = message->data,
                             .at = field->at,
                             .end = field->at + field->bytes,
                             .size = message->size,
                             .depth = message->depth + 1};
    return RML_OK;
}

rml_status rml_protobuf_numbers(const rml_protobuf *message, const rml_protobuf_field *field,
                                rml_protobuf_wire wire, const char *what, rml_protobuf *numbers,
                                size_t *count, rml_error *err)
{
    *count = 1;
    *numbers = (rml_protobuf){.data = message->data,
                              .at = field->at,
                              .end = field->at + field->bytes,
                              .size = message->size,
                              .depth = message->depth};
    if (field->wire != RML_PROTOBUF_BYTES) // a single one lies as it would in a packed field
        return rml_protobuf_expect(field, wire, what, err);
    if (wire == RML_PROTOBUF_VARINT) {
        *count = 0;
        for (size_t i = 0; i < field->bytes; i++)
            *count += field->data[i] < 0x80;
        if (field->bytes == 0 || field->data[field->bytes - 1] < 0x80)
            return RML_OK;
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged file: the numbers of %s at byte %zu end within one", what,
                        field->at);
    }
    const size_t bytes = wire == RML_PROTOBUF_FIXED32 ? 4 : 8;
    *count = field->bytes / bytes;
    if (field->bytes % bytes == 0)
        return RML_OK;
    return rml_fail(err, RML_ERR_FORMAT,
                    "damaged file: %s at byte %zu has %zu bytes, which is no multiple of %zu", what,
                    field->at, field->bytes, bytes);
}

rml_status rml_protobuf_number(rml_protobuf *numbers, rml_protobuf_wire wire, uint64_t *value,
                               rml_error *err)
{
    return read_number(numbers, wire, value, err);
}

float rml_protobuf_f32(uint64_t value)
{
    const uint32_t bits = (uint32_t)value;
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}
