// AttributeProto: one value or a list, of one of seven kinds.
#include "loaders/onnx/reader.h"

#include <string.h>

// Numbers of AttributeProto's fields.
enum { NAME = 1, TYPE = 20, REFERENCE = 21 };

static const struct {
    int type; // AttributeProto.AttributeType
    uint32_t field;
    rml_onnx_attribute_kind kind;
    bool is_list;
} kinds[] = {
    {1, 2, RML_ONNX_FLOATS, false},
    {2, 3, RML_ONNX_INTS, false},
    {3, 4, RML_ONNX_TEXTS, false},
    {4, 5, RML_ONNX_TENSORS, false},
    {5, 6, RML_ONNX_GRAPHS, false},
    {6, 7, RML_ONNX_FLOATS, true},
    {7, 8, RML_ONNX_INTS, true},
    {8, 9, RML_ONNX_TEXTS, true},
    {9, 10, RML_ONNX_TENSORS, true},
    {10, 11, RML_ONNX_GRAPHS, true},
    {11, 22, RML_ONNX_SPARSE_TENSORS, false},
    {12, 23, RML_ONNX_SPARSE_TENSORS, true},
    {13, 14, RML_ONNX_TYPES, false},
    {14, 15, RML_ONNX_TYPES, true},
};
#define KINDS (sizeof kinds / sizeof *kinds)

// Name, reference and type. Files before IR version 2 do not tell the type: then it is that of the
// field that is there.
static rml_status read_head(rml_onnx_reader *reader, const rml_protobuf *message,
                            rml_onnx_attribute *out, size_t *kind)
{
    rml_error *err = reader->fields.err;
    int64_t type = 0;
    const rml_message_want wants[] = {
        {NAME, RML_WANT_NAME, "an attribute's name", &out->name},
        {REFERENCE, RML_WANT_NAME, "an attribute's reference", &out->reference},
        {TYPE, RML_WANT_INT, "an attribute's type", &type},
        {0}};
    RML_TRY(rml_message_read(&reader->fields, message, wants));
    char quoted[RML_QUOTE_BYTES];
    if (!*out->name)
        return rml_fail(err, RML_ERR_FORMAT, "damaged file: an attribute without a name");
    if (out->reference && !*out->reference)
        out->reference = NULL;
    *kind = KINDS;
    for (size_t i = 0; i < KINDS; i++) {
        size_t count = 0;
        if (type == 0)
            RML_TRY(rml_message_count(message, kinds[i].field, &count, err));
        if (type == kinds[i].type || count > 0)
            *kind = i;
    }
    if (*kind == KINDS)
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged file: attribute \"%s\" of type %lld, which is none",
                        rml_quote(quoted, out->name, strlen(out->name)), (long long)type);
    out->kind = kinds[*kind].kind;
    out->is_list = kinds[*kind].is_list;
    return RML_OK;
}

// ---- numbers ----------------------------------------------------------------------------------

// Of a number that is no list the last one counts, and one that is not there is 0, as protobuf
// prescribes.
static rml_status read_numbers(rml_onnx_reader *reader, const rml_protobuf *message,
                               uint32_t number, rml_onnx_attribute *out)
{
    const bool is_float = out->kind == RML_ONNX_FLOATS;
    const rml_protobuf_wire wire = is_float ? RML_PROTOBUF_FIXED32 : RML_PROTOBUF_VARINT;
    rml_protobuf rest = *message, numbers;
    rml_protobuf_field field;
    bool more = true;
    size_t count = 0, at = 0;
    uint64_t value = 0;
    void *list = NULL;
    RML_TRY(rml_message_count_numbers(&reader->fields, message, number, wire,
                                      "an attribute's numbers", &out->count, &numbers));
    if (!out->is_list)
        out->count = 1;
    RML_TRY(rml_message_array(&reader->fields, out->count,
                              is_float ? sizeof(float) : sizeof(int64_t), &list));
    for (;;) {
        RML_TRY(rml_message_next(&rest, number, &field, &more, reader->fields.err));
        if (!more)
            break;
        RML_TRY(rml_protobuf_numbers(message, &field, wire, "an attribute's numbers", &numbers,
                                     &count, reader->fields.err));
        for (size_t i = 0; i < count; i++) {
            RML_TRY(rml_protobuf_number(&numbers, wire, &value, reader->fields.err));
            if (is_float)
                ((float *)list)[at] = rml_protobuf_f32(value);
            else
                ((int64_t *)list)[at] = (int64_t)value;
            at += out->is_list;
        }
    }
    memcpy(&out->u, &list, sizeof list); // pointers all
    return RML_OK;
}

// ---- texts and messages -----------------------------------------------------------------------

static rml_status read_item(rml_onnx_reader *reader, const rml_onnx_scope *scope,
                            const rml_protobuf *message, const rml_protobuf_field *field,
                            rml_onnx_attribute_kind kind, void *item)
{
    rml_protobuf inside;
    if (kind == RML_ONNX_TEXTS)
        return rml_message_text(&reader->fields, field, "an attribute's text", item);
    RML_TRY(
        rml_protobuf_enter(message, field, "an attribute's value", &inside, reader->fields.err));
    if (kind == RML_ONNX_GRAPHS)
        return rml_onnx_read_graph(reader, scope, &inside, item);
    if (kind == RML_ONNX_TENSORS)
        return rml_onnx_read_tensor(reader, &inside, "value", item);
    return rml_onnx_read_type(reader, &inside, "value", item);
}

static rml_status read_items(rml_onnx_reader *reader, const rml_onnx_scope *scope,
                             const rml_protobuf *message, uint32_t number, rml_onnx_attribute *out)
{
    static const size_t sizes[] = {[RML_ONNX_TEXTS] = sizeof(rml_text),
                                   [RML_ONNX_TENSORS] = sizeof(rml_onnx_tensor),
                                   [RML_ONNX_GRAPHS] = sizeof(rml_onnx_graph),
                                   [RML_ONNX_TYPES] = sizeof(rml_onnx_type)};
    const size_t item_bytes = sizes[out->kind];
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = true;
    char *items = NULL;
    size_t count = 0;
    RML_TRY(rml_message_count(message, number, &count, reader->fields.err));
    if (!out->is_list && out->kind == RML_ONNX_TEXTS && count == 0) {
        static const rml_text empty = {"", 0}; // as protobuf prescribes
        out->count = 1;
        out->u.text = &empty;
        return RML_OK;
    }
    if (!out->is_list && count != 1)
        return rml_fail(reader->fields.err, RML_ERR_FORMAT,
                        "damaged file: it has %zu values, not 1", count);
    out->count = count;
    RML_TRY(rml_message_array(&reader->fields, count, item_bytes, &items));
    for (size_t i = 0; i < count; i++) {
        RML_TRY(rml_message_next(&rest, number, &field, &more, reader->fields.err));
        RML_TRY(read_item(reader, scope, &rest, &field, out->kind, items + i * item_bytes));
    }
    memcpy(&out->u, &items, sizeof items); // pointers all
    return RML_OK;
}

rml_status rml_onnx_read_attribute(rml_onnx_reader *reader, const rml_onnx_scope *scope,
                                   const rml_protobuf *message, rml_onnx_attribute *out)
{
    size_t kind = 0;
    *out = (rml_onnx_attribute){.name = ""};
    RML_TRY(read_head(reader, message, out, &kind));
    if (out->reference || out->kind == RML_ONNX_SPARSE_TENSORS)
        return RML_OK;
    rml_status status = out->kind == RML_ONNX_FLOATS || out->kind == RML_ONNX_INTS
                            ? read_numbers(reader, message, kinds[kind].field, out)
                            : read_items(reader, scope, message, kinds[kind].field, out);
    if (status != RML_OK) {
        char context[RML_QUOTE_BYTES + 16] = "attribute \"", quoted[RML_QUOTE_BYTES];
        strcat(strcat(context, rml_quote(quoted, out->name, strlen(out->name))), "\"");
        rml_error_prefix(reader->fields.err, context);
    }
    return status;
}
