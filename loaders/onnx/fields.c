// Fields of an ONNX file that occur in many of its messages: names, texts, operator sets.
#include "loaders/onnx/reader.h"

#include <string.h>

static rml_message_reader fields_of(const rml_onnx_reader *reader)
{
    return (rml_message_reader){&reader->file->arena, "an ONNX file", reader->err};
}

rml_status rml_onnx_array(rml_onnx_reader *reader, size_t count, size_t element_bytes, void *out)
{
    const rml_message_reader fields = fields_of(reader);
    return rml_message_array(&fields, count, element_bytes, out);
}

rml_status rml_onnx_next(rml_protobuf *message, uint32_t number, rml_protobuf_field *field,
                         bool *more, rml_error *err)
{
    return rml_message_next(message, number, field, more, err);
}

rml_status rml_onnx_inside(rml_onnx_reader *reader, rml_protobuf *message, uint32_t number,
                           const char *what, rml_protobuf *inside, bool *more)
{
    return rml_message_inside(message, number, what, inside, more, reader->err);
}

rml_status rml_onnx_count(const rml_protobuf *message, uint32_t number, size_t *count,
                          rml_error *err)
{
    return rml_message_count(message, number, count, err);
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
    const rml_message_reader fields = fields_of(reader);
    return rml_message_text(&fields, field, what, out);
}

rml_status rml_onnx_name(rml_onnx_reader *reader, const rml_protobuf_field *field, const char *what,
                         const char **out)
{
    const rml_message_reader fields = fields_of(reader);
    return rml_message_name(&fields, field, what, out);
}

rml_status rml_onnx_read(rml_onnx_reader *reader, const rml_protobuf *message,
                         const rml_message_want *wants)
{
    const rml_message_reader fields = fields_of(reader);
    return rml_message_read(&fields, message, wants);
}

static rml_status read_opset(rml_onnx_reader *reader, const rml_protobuf *message,
                             rml_onnx_opset *out)
{
    const rml_message_want wants[] = {{1, RML_WANT_NAME, "an operator set's domain", &out->domain},
                                      {2, RML_WANT_INT, "an operator set's version", &out->version},
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
