// Fields of an ONNX file that occur in many of its messages: names, texts, operator sets.
#include "loaders/onnx/reader.h"

#include <string.h>

rml_status rml_onnx_array(rml_onnx_reader *reader, size_t count, size_t element_bytes, void *out)
{
    void *memory = NULL;
    if (count > 0) {
        memory = rml_arena_alloc(&reader->file->arena, count, element_bytes);
        if (!memory)
            return rml_fail_nomem(reader->err, count * element_bytes, "a part of an ONNX file");
    }
    memcpy(out, &memory, sizeof memory);
    return RML_OK;
}

rml_status rml_onnx_next(rml_protobuf *message, uint32_t number, rml_protobuf_field *field,
                         bool *more, rml_error *err)
{
    do
        RML_TRY(rml_protobuf_next(message, field, more, err));
    while (*more && field->number != number);
    return RML_OK;
}

rml_status rml_onnx_inside(rml_onnx_reader *reader, rml_protobuf *message, uint32_t number,
                           const char *what, rml_protobuf *inside, bool *more)
{
    rml_protobuf_field field;
    RML_TRY(rml_onnx_next(message, number, &field, more, reader->err));
    return *more ? rml_protobuf_enter(message, &field, what, inside, reader->err) : RML_OK;
}

rml_status rml_onnx_count(const rml_protobuf *message, uint32_t number, size_t *count,
                          rml_error *err)
{
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = true;
    for (*count = 0;; (*count)++) {
        RML_TRY(rml_onnx_next(&rest, number, &field, &more, err));
        if (!more)
            return RML_OK;
    }
}

rml_status rml_onnx_count_numbers(rml_onnx_reader *reader, const rml_protobuf *message,
                                  uint32_t number, rml_protobuf_wire wire, const char *what,
                                  size_t *count, rml_protobuf *first)
{
    rml_protobuf rest = *message, numbers;
    rml_protobuf_field field;
    bool more = true;
    size_t now = 0;
    for (*count = 0;; *count += now) { // each has a byte at least, so that the sum fits
        RML_TRY(rml_onnx_next(&rest, number, &field, &more, reader->err));
        if (!more)
            return RML_OK;
        RML_TRY(rml_protobuf_numbers(message, &field, wire, what, &numbers, &now, reader->err));
        if (*count == 0)
            *first = numbers;
    }
}

rml_status rml_onnx_read_text(rml_onnx_reader *reader, const rml_protobuf_field *field,
                              const char *what, rml_onnx_text *out)
{
    *out = (rml_onnx_text){"", 0};
    RML_TRY(rml_protobuf_expect(field, RML_PROTOBUF_BYTES, what, reader->err));
    if (field->bytes == 0)
        return RML_OK;
    char *copy = NULL;
    RML_TRY(rml_onnx_array(reader, field->bytes + 1, 1, &copy));
    memcpy(copy, field->data, field->bytes);
    *out = (rml_onnx_text){copy, field->bytes};
    return RML_OK;
}

rml_status rml_onnx_name(rml_onnx_reader *reader, const rml_protobuf_field *field, const char *what,
                         const char **out)
{
    char quoted[RML_QUOTE_BYTES];
    rml_onnx_text text;
    const char *bytes = (const char *)field->data;
    if (field->wire == RML_PROTOBUF_BYTES && field->bytes > RML_ONNX_MAX_NAME_BYTES)
        return rml_fail(reader->err, RML_ERR_LIMIT, "%s at byte %zu has %zu bytes, the limit is %d",
                        what, field->at, field->bytes, RML_ONNX_MAX_NAME_BYTES);
    if (field->wire == RML_PROTOBUF_BYTES && !rml_text_is_clean(bytes, field->bytes))
        return rml_fail(reader->err, RML_ERR_FORMAT,
                        "damaged file: %s \"%s\" at byte %zu is not plain UTF-8 text", what,
                        rml_quote(quoted, bytes, field->bytes), field->at);
    RML_TRY(rml_onnx_read_text(reader, field, what, &text));
    *out = text.text;
    return RML_OK;
}

static rml_status read_one(rml_onnx_reader *reader, const rml_protobuf *message,
                           const rml_protobuf_field *field, const rml_onnx_want *want)
{
    switch (want->kind) {
    case RML_ONNX_WANT_NAME:
        return rml_onnx_name(reader, field, want->what, want->out);
    case RML_ONNX_WANT_TEXT:
        return rml_onnx_read_text(reader, field, want->what, want->out);
    case RML_ONNX_WANT_INT:
        RML_TRY(rml_protobuf_expect(field, RML_PROTOBUF_VARINT, want->what, reader->err));
        *(int64_t *)want->out = (int64_t)field->value;
        return RML_OK;
    default:
        return rml_protobuf_enter(message, field, want->what, want->out, reader->err);
    }
}

rml_status rml_onnx_read(rml_onnx_reader *reader, const rml_protobuf *message,
                         const rml_onnx_want *wants)
{
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = true;
    for (;;) {
        RML_TRY(rml_protobuf_next(&rest, &field, &more, reader->err));
        if (!more)
            return RML_OK;
        for (const rml_onnx_want *want = wants; want->what; want++)
            if (want->number == field.number)
                RML_TRY(read_one(reader, &rest, &field, want));
    }
}

static rml_status read_opset(rml_onnx_reader *reader, const rml_protobuf *message,
                             rml_onnx_opset *out)
{
    const rml_onnx_want wants[] = {
        {1, RML_ONNX_WANT_NAME, "an operator set's domain", &out->domain},
        {2, RML_ONNX_WANT_INT, "an operator set's version", &out->version},
        {0}};
    *out = (rml_onnx_opset){"", 0};
    RML_TRY(rml_onnx_read(reader, message, wants));
    if (strcmp(out->domain, "ai.onnx") == 0)
        out->domain = "";
    if (out->version < 1)
        return rml_fail(reader->err, RML_ERR_FORMAT,
                        "damaged file: version %lld of operator set \"%s\", they begin with 1",
                        (long long)out->version, out->domain);
    return RML_OK;
}

rml_status rml_onnx_read_opsets(rml_onnx_reader *reader, const rml_protobuf *message,
                                uint32_t number, const rml_onnx_opset **out, size_t *count)
{
    rml_protobuf rest = *message, inside;
    bool more = true;
    rml_onnx_opset *opset = NULL;
    RML_TRY(rml_onnx_count(message, number, count, reader->err));
    if (*count > RML_ONNX_MAX_OPSETS)
        return rml_fail(reader->err, RML_ERR_LIMIT, "%zu operator sets, the limit is %d", *count,
                        RML_ONNX_MAX_OPSETS);
    RML_TRY(rml_onnx_array(reader, *count, sizeof *opset, &opset));
    for (size_t i = 0; i < *count; i++) {
        RML_TRY(rml_onnx_inside(reader, &rest, number, "an operator set", &inside, &more));
        RML_TRY(read_opset(reader, &inside, &opset[i]));
    }
    *out = opset;
    return RML_OK;
}
