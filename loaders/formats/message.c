#include "loaders/formats/message.h"

#include "tensor/names.h"

#include <string.h>

rml_status rml_message_array(const rml_message_reader *reader, size_t count, size_t element_bytes,
                             void *out)
{
    void *memory = NULL;
    if (count > 0) {
        memory = rml_arena_alloc(reader->arena, count, element_bytes);
        if (!memory)
            return rml_fail(reader->err, RML_ERR_NOMEM,
                            "out of memory: %zu elements of %zu bytes for a part of %s", count,
                            element_bytes, reader->format);
    }
    memcpy(out, &memory, sizeof memory);
    return RML_OK;
}

rml_status rml_message_next(rml_protobuf *message, uint32_t number, rml_protobuf_field *field,
                            bool *more, rml_error *err)
{
    do
        RML_TRY(rml_protobuf_next(message, field, more, err));
    while (*more && field->number != number);
    return RML_OK;
}

rml_status rml_message_inside(rml_protobuf *message, uint32_t number, const char *what,
                              rml_protobuf *inside, bool *more, rml_error *err)
{
    rml_protobuf_field field;
    RML_TRY(rml_message_next(message, number, &field, more, err));
    return *more ? rml_protobuf_enter(message, &field, what, inside, err) : RML_OK;
}

rml_status rml_message_count(const rml_protobuf *message, uint32_t number, size_t *count,
                             rml_error *err)
{
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = true;
    for (*count = 0;; (*count)++) {
        RML_TRY(rml_message_next(&rest, number, &field, &more, err));
        if (!more)
            return RML_OK;
    }
}

// ---- numbers ------------------------------------------------------------------------------------

rml_status rml_message_count_numbers(const rml_message_reader *reader, const rml_protobuf *message,
                                     uint32_t number, rml_protobuf_wire wire, const char *what,
                                     size_t *count, rml_protobuf *first)
{
    rml_protobuf rest = *message, numbers;
    rml_protobuf_field field;
    bool more = true;
    size_t now = 0;
    for (*count = 0;; *count += now) { // each has a byte at least, so that the sum fits
        RML_TRY(rml_message_next(&rest, number, &field, &more, reader->err));
        if (!more)
            return RML_OK;
        RML_TRY(rml_protobuf_numbers(message, &field, wire, what, &numbers, &now, reader->err));
        if (*count == 0)
            *first = numbers;
    }
}

rml_status rml_message_ints(const rml_message_reader *reader, const rml_protobuf *message,
                            uint32_t number, const char *what, size_t most, const int64_t **out,
                            size_t *count)
{
    rml_protobuf rest = *message, numbers;
    rml_protobuf_field field;
    bool more = true;
    size_t now = 0, done = 0;
    int64_t *list = NULL;
    RML_TRY(rml_message_count_numbers(reader, message, number, RML_PROTOBUF_VARINT, what, count,
                                      &numbers));
    if (*count > most)
        return rml_fail(reader->err, RML_ERR_LIMIT, "%s has %zu entries, the limit is %zu", what,
                        *count, most);
    RML_TRY(rml_message_array(reader, *count, sizeof *list, &list));
    *out = list;
    while (done < *count) {
        RML_TRY(rml_message_next(&rest, number, &field, &more, reader->err));
        RML_TRY(rml_protobuf_numbers(message, &field, RML_PROTOBUF_VARINT, what, &numbers, &now,
                                     reader->err));
        for (size_t i = 0; i < now; i++) {
            uint64_t value;
            RML_TRY(rml_protobuf_number(&numbers, RML_PROTOBUF_VARINT, &value, reader->err));
            list[done++] = (int64_t)value;
        }
    }
    return RML_OK;
}

rml_status rml_message_floats(const rml_message_reader *reader, const rml_protobuf *message,
                              uint32_t number, const char *what, const uint8_t **out, size_t *count)
{
    rml_protobuf rest = *message, numbers;
    rml_protobuf_field field;
    bool more = true;
    size_t now = 0, done = 0;
    uint8_t *list = NULL;
    *out = NULL;
    RML_TRY(rml_message_count_numbers(reader, message, number, RML_PROTOBUF_FIXED32, what, count,
                                      &numbers));
    while (done < *count) {
        RML_TRY(rml_message_next(&rest, number, &field, &more, reader->err));
        RML_TRY(rml_protobuf_numbers(message, &field, RML_PROTOBUF_FIXED32, what, &numbers, &now,
                                     reader->err));
        if (now == *count) { // one run has them all
            *out = field.data;
            return RML_OK;
        }
        if (!list)
            RML_TRY(rml_message_array(reader, *count, 4, &list));
        memcpy(list + done * 4, field.data, now * 4);
        done += now;
    }
    *out = list;
    return RML_OK;
}

// ---- texts --------------------------------------------------------------------------------------

rml_status rml_message_text(const rml_message_reader *reader, const rml_protobuf_field *field,
                            const char *what, rml_text *out)
{
    *out = (rml_text){"", 0};
    RML_TRY(rml_protobuf_expect(field, RML_PROTOBUF_BYTES, what, reader->err));
    if (field->bytes == 0)
        return RML_OK;
    char *copy = NULL;
    RML_TRY(rml_message_array(reader, field->bytes + 1, 1, &copy));
    memcpy(copy, field->data, field->bytes);
    *out = (rml_text){copy, field->bytes};
    return RML_OK;
}

rml_status rml_message_name(const rml_message_reader *reader, const rml_protobuf_field *field,
                            const char *what, const char **out)
{
    char quoted[RML_QUOTE_BYTES];
    rml_text text;
    const char *bytes = (const char *)field->data;
    if (field->wire == RML_PROTOBUF_BYTES && field->bytes > RML_MESSAGE_MAX_NAME_BYTES)
        return rml_fail(reader->err, RML_ERR_LIMIT, "%s at byte %zu has %zu bytes, the limit is %d",
                        what, field->at, field->bytes, RML_MESSAGE_MAX_NAME_BYTES);
    if (field->wire == RML_PROTOBUF_BYTES && !rml_text_is_clean(bytes, field->bytes))
        return rml_fail(reader->err, RML_ERR_FORMAT,
                        "damaged file: %s \"%s\" at byte %zu is not plain UTF-8 text", what,
                        rml_quote(quoted, bytes, field->bytes), field->at);
    RML_TRY(rml_message_text(reader, field, what, &text));
    *out = text.text;
    return RML_OK;
}

rml_status rml_message_texts(const rml_message_reader *reader, const rml_protobuf *message,
                             uint32_t number, const char *what, const rml_text **out, size_t *count)
{
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = true;
    rml_text *list = NULL;
    RML_TRY(rml_message_count(message, number, count, reader->err));
    RML_TRY(rml_message_array(reader, *count, sizeof *list, &list));
    for (size_t i = 0; i < *count; i++) {
        RML_TRY(rml_message_next(&rest, number, &field, &more, reader->err));
        RML_TRY(rml_message_text(reader, &field, what, &list[i]));
    }
    *out = list;
    return RML_OK;
}

// ---- messages -----------------------------------------------------------------------------------

static rml_status read_one(const rml_message_reader *reader, const rml_protobuf *message,
                           const rml_protobuf_field *field, const rml_message_want *want)
{
    static const rml_protobuf_wire wires[] = {
        [RML_WANT_INT] = RML_PROTOBUF_VARINT,
        [RML_WANT_FLAG] = RML_PROTOBUF_VARINT,
        [RML_WANT_FLOAT] = RML_PROTOBUF_FIXED32,
        [RML_WANT_DOUBLE] = RML_PROTOBUF_FIXED64,
    };
    switch (want->kind) {
    case RML_WANT_NAME:
        return rml_message_name(reader, field, want->what, want->out);
    case RML_WANT_TEXT:
        return rml_message_text(reader, field, want->what, want->out);
    case RML_WANT_MESSAGE:
        return rml_protobuf_enter(message, field, want->what, want->out, reader->err);
    default:
        RML_TRY(rml_protobuf_expect(field, wires[want->kind], want->what, reader->err));
    }
    if (want->kind == RML_WANT_INT)
        *(int64_t *)want->out = (int64_t)field->value;
    else if (want->kind == RML_WANT_FLAG)
        *(bool *)want->out = field->value != 0;
    else if (want->kind == RML_WANT_FLOAT)
        *(float *)want->out = rml_protobuf_f32(field->value);
    else
        memcpy(want->out, &field->value, sizeof(double));
    return RML_OK;
}

rml_status rml_message_read(const rml_message_reader *reader, const rml_protobuf *message,
                            const rml_message_want *wants)
{
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = true;
    for (;;) {
        RML_TRY(rml_protobuf_next(&rest, &field, &more, reader->err));
        if (!more)
            return RML_OK;
        for (const rml_message_want *want = wants; want->what; want++)
            if (want->number == field.number)
                RML_TRY(read_one(reader, &rest, &field, want));
    }
}
