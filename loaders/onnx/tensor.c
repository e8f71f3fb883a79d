// TensorProto: where a tensor's elements lie, in the file, in a file beside it, or in memory where
// the file keeps them in a form of their own.
#include "loaders/onnx/reader.h"

#include "tensor/size.h"
#include "tensor/tensor.h"

#include <string.h>

// Numbers of TensorProto's fields.
enum {
    DIMS = 1,
    DATA_TYPE = 2,
    SEGMENT = 3,
    FLOAT_DATA = 4,
    INT32_DATA = 5,
    INT64_DATA = 7,
    NAME = 8,
    RAW_DATA = 9,
    DOUBLE_DATA = 10,
    UINT64_DATA = 11,
    EXTERNAL_DATA = 13,
    DATA_LOCATION = 14,
};

// What is gathered before the elements can be found.
typedef struct tensor_fields {
    rml_onnx_reader *reader;
    const rml_protobuf *message;
    char label[RML_QUOTE_BYTES]; // for messages
    rml_protobuf_field raw;
    bool has_raw, is_external;
    rml_text location;
    uint64_t offset, length; // of external data; length UINT64_MAX: not told
} tensor_fields;

static rml_status add_dims(tensor_fields *t, const rml_protobuf_field *field, rml_shape *shape)
{
    rml_error *err = t->reader->fields.err;
    rml_protobuf numbers;
    size_t count;
    uint64_t value = 0;
    RML_TRY(rml_protobuf_numbers(t->message, field, RML_PROTOBUF_VARINT, "dimensions", &numbers,
                                 &count, err));
    for (size_t i = 0; i < count; i++) {
        RML_TRY(rml_protobuf_number(&numbers, RML_PROTOBUF_VARINT, &value, err));
        if (shape->rank == RML_MAX_RANK)
            return rml_fail(err, RML_ERR_LIMIT, "\"%s\" has more than %d dimensions", t->label,
                            RML_MAX_RANK);
        if ((int64_t)value < 0)
            return rml_fail(err, RML_ERR_FORMAT, "damaged file: \"%s\" has a dimension of %lld",
                            t->label, (long long)value);
        shape->dim[shape->rank++] = (int64_t)value;
    }
    return RML_OK;
}

static rml_status read_decimal(tensor_fields *t, const rml_text *text, const char *what,
                               uint64_t *out)
{
    char quoted[RML_QUOTE_BYTES];
    *out = 0;
    bool good = text->bytes > 0 && text->bytes <= 18; // so that it fits
    for (size_t i = 0; good && i < text->bytes; i++) {
        good = text->text[i] >= '0' && text->text[i] <= '9';
        *out = *out * 10 + (uint64_t)(text->text[i] - '0');
    }
    if (good)
        return RML_OK;
    return rml_fail(t->reader->fields.err, RML_ERR_FORMAT,
                    "damaged file: external data of \"%s\" have the %s \"%s\", which is no whole "
                    "number",
                    t->label, what, rml_quote(quoted, text->text, text->bytes));
}

// One of the pairs ("location", path), ("offset", number), ("length", number), ("checksum", ...).
static rml_status read_external_entry(tensor_fields *t, const rml_protobuf *entry)
{
    rml_text key = {"", 0}, value = {"", 0};
    const rml_message_want wants[] = {{1, RML_WANT_TEXT, "a key of external data", &key},
                                      {2, RML_WANT_TEXT, "a value of external data", &value},
                                      {0}};
    RML_TRY(rml_message_read(&t->reader->fields, entry, wants));
    if (strcmp(key.text, "location") == 0)
        t->location = value;
    if (strcmp(key.text, "offset") == 0)
        return read_decimal(t, &value, "offset", &t->offset);
    if (strcmp(key.text, "length") == 0)
        return read_decimal(t, &value, "length", &t->length);
    return RML_OK;
}

static rml_status gather(tensor_fields *t, rml_onnx_tensor *out, const char *what)
{
    rml_error *err = t->reader->fields.err;
    const rml_protobuf *message = t->message;
    int64_t element = 0, location = 0;
    const rml_message_want name[] = {{NAME, RML_WANT_NAME, "a tensor's name", &out->name}, {0}};
    const rml_message_want wants[] = {{DATA_TYPE, RML_WANT_INT, "an element type", &element},
                                      {DATA_LOCATION, RML_WANT_INT, "a data location", &location},
                                      {0}};
    rml_protobuf rest = *message, inside;
    rml_protobuf_field field;
    bool more = true;
    size_t segments = 0;
    out->name = "";
    RML_TRY(rml_message_read(&t->reader->fields, message, name)); // messages about the rest give it
    rml_quote(t->label, *out->name ? out->name : what, strlen(*out->name ? out->name : what));
    RML_TRY(rml_message_read(&t->reader->fields, message, wants));
    out->element = (int32_t)element;
    t->is_external = location == 1;
    RML_TRY(rml_message_count(message, SEGMENT, &segments, err));
    if (segments)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "\"%s\" is stored in segments, which is not supported", t->label);
    for (;;) {
        RML_TRY(rml_protobuf_next(&rest, &field, &more, err));
        if (!more)
            return RML_OK;
        if (field.number == DIMS)
            RML_TRY(add_dims(t, &field, &out->stored.shape));
        if (field.number == RAW_DATA) {
            RML_TRY(rml_protobuf_expect(&field, RML_PROTOBUF_BYTES, "raw data", err));
            t->raw = field;
            t->has_raw = field.bytes > 0; // some writers leave it empty beside typed elements
        }
        if (field.number == EXTERNAL_DATA) {
            RML_TRY(rml_protobuf_enter(&rest, &field, "external data", &inside, err));
            RML_TRY(read_external_entry(t, &inside));
        }
    }
}

// ---- elements in fields of their own type -----------------------------------------------------

typedef struct typed_field {
    uint32_t number;
    const char *name;
    rml_protobuf_wire wire;
} typed_field;

static const typed_field typed_fields[] = {
    {FLOAT_DATA, "float_data", RML_PROTOBUF_FIXED32},
    {INT32_DATA, "int32_data", RML_PROTOBUF_VARINT},
    {INT64_DATA, "int64_data", RML_PROTOBUF_VARINT},
    {DOUBLE_DATA, "double_data", RML_PROTOBUF_FIXED64},
    {UINT64_DATA, "uint64_data", RML_PROTOBUF_VARINT},
};
#define TYPED_FIELDS (sizeof typed_fields / sizeof *typed_fields)

static const typed_field *field_of(rml_dtype dtype)
{
    switch (dtype) {
    case RML_F32:
        return &typed_fields[0];
    case RML_I64:
        return &typed_fields[2];
    case RML_F64:
        return &typed_fields[3];
    case RML_U32:
    case RML_U64:
        return &typed_fields[4];
    default: // 16-bit floating point numbers as their bits, everything else as a number
        return &typed_fields[1];
    }
}

// False when an encoded number is not one of the type's.
static bool put_element(rml_dtype dtype, uint64_t value, uint8_t *dst)
{
    const size_t bytes = rml_dtype_size(dtype);
    const int64_t number = (int64_t)value;
    bool fits = true;
    if (dtype == RML_I8 || dtype == RML_I16 || dtype == RML_I32) {
        const int64_t limit = (int64_t)1 << (8 * bytes - 1);
        fits = number >= -limit && number < limit;
    } else if (dtype == RML_BOOL) {
        fits = value <= 1;
    } else if (bytes < 8) {
        fits = value >> (8 * bytes) == 0;
    }
    for (size_t i = 0; i < bytes; i++)
        dst[i] = (uint8_t)(value >> (8 * i));
    return fits;
}

static rml_status copy_numbers(tensor_fields *t, const typed_field *typed, rml_dtype dtype,
                               uint8_t *dst)
{
    rml_error *err = t->reader->fields.err;
    rml_protobuf rest = *t->message, numbers;
    rml_protobuf_field field;
    bool more = true;
    size_t count = 0;
    uint64_t value = 0;
    for (;;) {
        RML_TRY(rml_message_next(&rest, typed->number, &field, &more, err));
        if (!more)
            return RML_OK;
        RML_TRY(rml_protobuf_numbers(t->message, &field, typed->wire, typed->name, &numbers, &count,
                                     err));
        for (size_t i = 0; i < count; i++, dst += rml_dtype_size(dtype)) {
            RML_TRY(rml_protobuf_number(&numbers, typed->wire, &value, err));
            if (!put_element(dtype, value, dst))
                return rml_fail(err, RML_ERR_FORMAT,
                                "damaged file: \"%s\" holds the number %lld, which is no %s",
                                t->label, (long long)value, rml_dtype_name(dtype));
        }
    }
}

// ---- where the elements are -------------------------------------------------------------------

// Counts the numbers in fields of every type: those of the right one, and those of a wrong one.
static rml_status find_typed(tensor_fields *t, const typed_field *right, size_t *count,
                             rml_protobuf *first, const typed_field **wrong)
{
    *wrong = NULL;
    for (size_t i = 0; i < TYPED_FIELDS; i++) {
        rml_protobuf place;
        size_t now = 0;
        RML_TRY(rml_message_count_numbers(&t->reader->fields, t->message, typed_fields[i].number,
                                          typed_fields[i].wire, typed_fields[i].name, &now,
                                          &place));
        if (&typed_fields[i] == right) {
            *count = now;
            *first = place;
        } else if (now > 0) {
            *wrong = &typed_fields[i];
        }
    }
    return RML_OK;
}

static rml_status wrong_amount(const tensor_fields *t, const rml_onnx_tensor *tensor,
                               uint64_t amount, const char *unit, size_t needed)
{
    char text[RML_SHAPE_TEXT_BYTES];
    return rml_fail(t->reader->fields.err, RML_ERR_FORMAT,
                    "damaged file: \"%s\" of type %s and shape %s has %llu %s and needs %zu",
                    t->label, rml_onnx_element_name(tensor->element),
                    rml_shape_text(&tensor->stored.shape, text), (unsigned long long)amount, unit,
                    needed);
}

static rml_status from_external(tensor_fields *t, const rml_onnx_tensor *tensor, size_t bytes,
                                const uint8_t **data)
{
    size_t available = 0;
    if (t->location.bytes == 0)
        return rml_fail(t->reader->fields.err, RML_ERR_FORMAT,
                        "damaged file: external data of \"%s\" without a location", t->label);
    if (t->length != UINT64_MAX && t->length != bytes)
        return wrong_amount(t, tensor, t->length, "bytes of external data", bytes);
    rml_status status = rml_onnx_external(t->reader, &t->location, t->offset, data, &available);
    if (status != RML_OK) {
        char context[RML_QUOTE_BYTES + 32] = "external data of \"";
        strcat(strcat(context, t->label), "\"");
        rml_error_prefix(t->reader->fields.err, context);
        return status;
    }
    char quoted[RML_QUOTE_BYTES];
    if (available < bytes)
        return rml_fail(t->reader->fields.err, RML_ERR_FORMAT,
                        "external data of \"%s\" are %zu bytes at byte %llu of \"%s\", which has "
                        "%zu bytes from there on",
                        t->label, bytes, (unsigned long long)t->offset,
                        rml_quote(quoted, t->location.text, t->location.bytes), available);
    return RML_OK;
}

static rml_status find_elements(tensor_fields *t, rml_onnx_tensor *tensor, rml_dtype dtype,
                                size_t count, const uint8_t **data)
{
    const typed_field *right = field_of(dtype), *wrong = NULL;
    const size_t bytes = count * rml_dtype_size(dtype); // counted by rml_shape_count: it fits
    size_t numbers = 0;
    rml_protobuf first = {.data = NULL};
    RML_TRY(find_typed(t, right, &numbers, &first, &wrong));
    if (wrong)
        return rml_fail(t->reader->fields.err, RML_ERR_FORMAT,
                        "damaged file: \"%s\" of type %s has elements in %s", t->label,
                        rml_onnx_element_name(tensor->element), wrong->name);
    if ((numbers > 0) + t->has_raw + t->is_external > 1)
        return rml_fail(t->reader->fields.err, RML_ERR_FORMAT,
                        "damaged file: \"%s\" has its elements in more than one place", t->label);
    if (t->is_external)
        return from_external(t, tensor, bytes, data);
    if (t->has_raw) {
        *data = t->raw.data;
        return t->raw.bytes == bytes ? RML_OK
                                     : wrong_amount(t, tensor, t->raw.bytes, "bytes", bytes);
    }
    if (numbers != count)
        return wrong_amount(t, tensor, numbers, "elements", count);
    if (count == 0)
        return RML_OK;
    if (right->wire != RML_PROTOBUF_VARINT && first.end - first.at == bytes) {
        *data = first.data + first.at; // packed floating point numbers lie as they are used
        return RML_OK;
    }
    uint8_t *copy = NULL;
    RML_TRY(rml_message_array(&t->reader->fields, bytes, 1, &copy));
    *data = copy;
    return copy_numbers(t, right, dtype, copy);
}

rml_status rml_onnx_read_tensor(rml_onnx_reader *reader, const rml_protobuf *message,
                                const char *what, rml_onnx_tensor *out)
{
    tensor_fields t = {.reader = reader, .message = message, .length = UINT64_MAX};
    char text[RML_SHAPE_TEXT_BYTES];
    rml_dtype dtype;
    size_t count;
    const uint8_t *data = NULL;
    *out = (rml_onnx_tensor){.name = ""};
    RML_TRY(gather(&t, out, what));
    if (!rml_onnx_element_name(out->element) || out->element == 0)
        return rml_fail(reader->fields.err, RML_ERR_UNSUPPORTED,
                        "\"%s\" has elements of type %d, which is not known", t.label,
                        (int)out->element);
    const rml_shape shape = out->stored.shape;
    if (!rml_shape_count(&shape, &count))
        return rml_fail(reader->fields.err, RML_ERR_LIMIT,
                        "\"%s\" has shape %s, which is too large to address", t.label,
                        rml_shape_text(&shape, text));
    out->readable = rml_onnx_element_dtype(out->element, &dtype);
    out->bits = out->readable ? 0 : rml_onnx_element_bits(out->element, &dtype);
    if (out->bits) {
        const size_t each = 8 / (size_t)out->bits;
        out->stored.dtype = dtype;
        return find_elements(&t, out, RML_U8, count / each + (count % each != 0), &out->packed);
    }
    if (!out->readable)
        return RML_OK;
    RML_TRY(find_elements(&t, out, dtype, count, &data));
    out->stored = rml_stored_plain(data, dtype, &shape);
    return RML_OK;
}
