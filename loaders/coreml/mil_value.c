// ValueType and Value: types, and elements that lie in the model or in a file of weights.
#include "loaders/coreml/mil.h"
#include "loaders/coreml/reader.h"

#include "tensor/tensor.h"

#include <string.h>

#define MAX_ITEMS ((size_t)1 << 20) // of a list

static const struct {
    int element, bits, dtype; // dtype below 0: none
    const char *name;
} elements[] = {
    {RML_MIL_BOOL, 8, RML_BOOL, "bool"},
    {RML_MIL_STRING, 0, -1, "string"},
    {RML_MIL_F16, 16, RML_F16, "fp16"},
    {RML_MIL_F32, 32, RML_F32, "fp32"},
    {RML_MIL_F64, 64, RML_F64, "fp64"},
    {RML_MIL_BF16, 16, RML_BF16, "bf16"},
    {RML_MIL_I8, 8, RML_I8, "int8"},
    {RML_MIL_I16, 16, RML_I16, "int16"},
    {RML_MIL_I32, 32, RML_I32, "int32"},
    {RML_MIL_I64, 64, RML_I64, "int64"},
    {RML_MIL_I4, 4, -1, "int4"},
    {RML_MIL_U8, 8, RML_U8, "uint8"},
    {RML_MIL_U16, 16, RML_U16, "uint16"},
    {RML_MIL_U32, 32, RML_U32, "uint32"},
    {RML_MIL_U64, 64, RML_U64, "uint64"},
    {RML_MIL_U4, 4, -1, "uint4"},
    {RML_MIL_U2, 2, -1, "uint2"},
    {RML_MIL_U1, 1, -1, "uint1"},
    {RML_MIL_U6, 6, -1, "uint6"},
    {RML_MIL_U3, 3, -1, "uint3"},
    {RML_MIL_F8E4M3FN, 8, -1, "fp8e4m3fn"},
    {RML_MIL_F8E5M2, 8, -1, "fp8e5m2"},
};

static int index_of(int element)
{
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (elements[i].element == element)
            return (int)i;
    return -1;
}

int rml_mil_bits(int element)
{
    const int i = index_of(element);
    return i < 0 ? 0 : elements[i].bits;
}

bool rml_mil_dtype(int element, rml_dtype *dtype)
{
    const int i = index_of(element);
    if (i < 0 || elements[i].dtype < 0)
        return false;
    *dtype = (rml_dtype)elements[i].dtype;
    return true;
}

const char *rml_mil_element_name(int element)
{
    const int i = index_of(element);
    return i < 0 ? "?" : elements[i].name;
}

bool rml_mil_bytes(int element, size_t count, size_t *bytes)
{
    const size_t bits = (size_t)rml_mil_bits(element);
    if (bits >= 8)
        return rml_size_mul(count, bits / 8, bytes);
    *bytes = bits ? count / 8 * bits + (count % 8 * bits + 7) / 8 : 0;
    return true;
}

// ---- types --------------------------------------------------------------------------------------

static rml_status read_dimension(const rml_message_reader *reader, const rml_protobuf *message,
                                 rml_mil_type *out)
{
    rml_protobuf constant = {0}, unknown = {0};
    bool variadic = false;
    int64_t size = 0;
    const rml_message_want wants[] = {{1, RML_WANT_MESSAGE, "a dimension", &constant},
                                      {2, RML_WANT_MESSAGE, "a dimension", &unknown},
                                      {0}};
    const rml_message_want of_constant[] = {{1, RML_WANT_INT, "a size", &size}, {0}};
    const rml_message_want of_unknown[] = {{1, RML_WANT_FLAG, "variadic", &variadic}, {0}};
    RML_TRY(rml_message_read(reader, message, wants));
    if (constant.data) {
        RML_TRY(rml_message_read(reader, &constant, of_constant));
        if (size < 0 || size > RML_COREML_MAX_SIZE)
            return rml_fail(reader->err, RML_ERR_LIMIT, "a dimension of size %llu, the limit is %d",
                            (unsigned long long)size, RML_COREML_MAX_SIZE);
    } else {
        size = -1;
        if (unknown.data)
            RML_TRY(rml_message_read(reader, &unknown, of_unknown));
    }
    if (variadic)
        out->shape.rank = RML_RANK_UNKNOWN;
    else if (out->shape.rank != RML_RANK_UNKNOWN)
        out->shape.dim[out->shape.rank++] = size;
    return RML_OK;
}

static rml_status read_tensor_type(const rml_message_reader *reader, const rml_protobuf *message,
                                   rml_mil_type *out)
{
    enum { DIMENSIONS = 3 };
    rml_protobuf rest = *message, inside;
    bool more = true;
    int64_t element = 0, rank = 0;
    size_t count;
    const rml_message_want wants[] = {
        {1, RML_WANT_INT, "an element type", &element}, {2, RML_WANT_INT, "a rank", &rank}, {0}};
    RML_TRY(rml_message_read(reader, message, wants));
    RML_TRY(rml_message_count(message, DIMENSIONS, &count, reader->err));
    if (count > RML_MAX_RANK)
        return rml_fail(reader->err, RML_ERR_LIMIT, "a tensor of %zu dimensions, the limit is %d",
                        count, RML_MAX_RANK);
    out->element = (int)element;
    if (element != (int)element || index_of(out->element) < 0)
        return rml_fail(reader->err, RML_ERR_UNSUPPORTED, "element type %lld is not known",
                        (long long)element);
    for (size_t i = 0; i < count; i++) {
        RML_TRY(rml_message_inside(&rest, DIMENSIONS, "a dimension", &inside, &more, reader->err));
        RML_TRY(read_dimension(reader, &inside, out));
    }
    if (rank < 0)
        out->shape.rank = RML_RANK_UNKNOWN;
    return RML_OK;
}

rml_status rml_mil_read_type(const rml_message_reader *reader, const rml_protobuf *message,
                             rml_mil_type *out)
{
    rml_protobuf rest = *message, inside, wrapped = {0};
    rml_protobuf_field field;
    bool more = true;
    *out = (rml_mil_type){0};
    for (;;) {
        RML_TRY(rml_protobuf_next(&rest, &field, &more, reader->err));
        if (!more)
            break;
        if (field.number < RML_MIL_TENSOR || field.number > RML_MIL_STATE)
            continue;
        *out = (rml_mil_type){.kind = (rml_mil_kind)field.number};
        RML_TRY(rml_protobuf_enter(&rest, &field, "a type", &inside, reader->err));
        const rml_message_want wants[] = {{1, RML_WANT_MESSAGE, "a type inside", &wrapped}, {0}};
        if (out->kind == RML_MIL_TENSOR)
            RML_TRY(read_tensor_type(reader, &inside, out));
        if (out->kind == RML_MIL_LIST || out->kind == RML_MIL_STATE)
            RML_TRY(rml_message_read(reader, &inside, wants));
        if (wrapped.data) {
            const rml_mil_kind kind = out->kind;
            RML_TRY(rml_mil_read_type(reader, &wrapped, out));
            out->kind = kind;
        }
    }
    return out->kind ? RML_OK : rml_fail(reader->err, RML_ERR_FORMAT, "a value has no type");
}

// ---- values in the model ------------------------------------------------------------------------

static rml_status check_count(const rml_message_reader *reader, const rml_mil_value *value,
                              size_t count)
{
    char text[RML_SHAPE_TEXT_BYTES];
    if (count == value->count)
        return RML_OK;
    return rml_fail(reader->err, RML_ERR_FORMAT, "a value of shape %s has %zu elements",
                    rml_shape_text(&value->type.shape, text), count);
}

// Integers of any width, which the file has as variable ones.
static rml_status read_integers(const rml_message_reader *reader, const rml_protobuf *message,
                                rml_mil_value *out)
{
    const int64_t *list;
    uint8_t *data = NULL;
    size_t count;
    const size_t size = (size_t)rml_mil_bits(out->type.element) / 8;
    RML_TRY(rml_message_ints(reader, message, 1, "a value", SIZE_MAX, &list, &count));
    RML_TRY(check_count(reader, out, count));
    RML_TRY(rml_message_array(reader, count, size, &data));
    for (size_t i = 0; i < count; i++)
        for (size_t b = 0; b < size; b++)
            data[i * size + b] = (uint8_t)((uint64_t)list[i] >> (8 * b));
    out->data = data;
    out->bytes = count * size;
    return RML_OK;
}

// f32 elements, also where the type is narrower.
static rml_status read_floats(const rml_message_reader *reader, const rml_protobuf *message,
                              rml_mil_value *out)
{
    size_t count;
    RML_TRY(rml_message_floats(reader, message, 1, "a value", &out->data, &count));
    RML_TRY(check_count(reader, out, count));
    out->type.element = RML_MIL_F32;
    out->bytes = count * 4;
    return RML_OK;
}

static rml_status read_doubles(const rml_message_reader *reader, const rml_protobuf *message,
                               rml_mil_value *out)
{
    rml_protobuf rest = *message, numbers;
    rml_protobuf_field field;
    bool more = true;
    uint8_t *data = NULL;
    size_t done = 0, now;
    RML_TRY(rml_message_array(reader, out->count, 8, &data));
    for (;;) {
        RML_TRY(rml_message_next(&rest, 1, &field, &more, reader->err));
        if (!more)
            break;
        RML_TRY(rml_protobuf_numbers(message, &field, RML_PROTOBUF_FIXED64, "a value", &numbers,
                                     &now, reader->err));
        if (now > out->count - done)
            return check_count(reader, out, done + now);
        memcpy(data + done * 8, field.data, now * 8);
        done += now;
    }
    out->data = data;
    out->bytes = done * 8;
    return check_count(reader, out, done);
}

static rml_status read_bytes(const rml_message_reader *reader, const rml_protobuf *message,
                             rml_mil_value *out)
{
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = true;
    size_t wanted;
    RML_TRY(rml_message_next(&rest, 1, &field, &more, reader->err));
    if (more)
        RML_TRY(rml_protobuf_expect(&field, RML_PROTOBUF_BYTES, "a value", reader->err));
    out->data = more ? field.data : NULL;
    out->bytes = more ? field.bytes : 0;
    if (rml_mil_bytes(out->type.element, out->count, &wanted) && wanted == out->bytes)
        return RML_OK;
    return rml_fail(reader->err, RML_ERR_FORMAT, "a value of %zu elements of type %s has %zu bytes",
                    out->count, rml_mil_element_name(out->type.element), out->bytes);
}

enum { FLOATS = 1, INTS, BOOLS, STRINGS, LONGS, DOUBLES, BYTES }; // fields of TensorValue

// Writers differ in where they put halves and narrow integers.
static bool may_lie_in(int element, uint32_t field)
{
    const bool is_float = element == RML_MIL_F16 || element == RML_MIL_F32 ||
                          element == RML_MIL_F64 || element == RML_MIL_BF16;
    switch (field) {
    case FLOATS:
        return is_float && element != RML_MIL_F64;
    case DOUBLES:
        return element == RML_MIL_F64;
    case STRINGS:
        return element == RML_MIL_STRING;
    case BYTES:
        return element != RML_MIL_STRING;
    default:
        return !is_float && rml_mil_bits(element) >= 8 && element < RML_MIL_F8E4M3FN;
    }
}

static rml_status read_tensor(const rml_message_reader *reader, const rml_protobuf *message,
                              rml_mil_value *out)
{
    rml_protobuf rest = *message, inside;
    rml_protobuf_field field;
    bool more = true;
    for (;;) {
        RML_TRY(rml_protobuf_next(&rest, &field, &more, reader->err));
        if (!more)
            break;
        if (field.number < FLOATS || field.number > BYTES)
            continue;
        RML_TRY(rml_protobuf_enter(&rest, &field, "a value", &inside, reader->err));
        if (!may_lie_in(out->type.element, field.number))
            return rml_fail(reader->err, RML_ERR_FORMAT,
                            "a value of type %s lies in field %u of TensorValue",
                            rml_mil_element_name(out->type.element), field.number);
        if (field.number == FLOATS)
            return read_floats(reader, &inside, out);
        if (field.number == DOUBLES)
            return read_doubles(reader, &inside, out);
        if (field.number == BYTES)
            return read_bytes(reader, &inside, out);
        if (field.number != STRINGS)
            return read_integers(reader, &inside, out);
        size_t count;
        RML_TRY(rml_message_texts(reader, &inside, 1, "a text", &out->text, &count));
        return check_count(reader, out, count);
    }
    return check_count(reader, out, 0);
}

// ---- values -------------------------------------------------------------------------------------

static rml_status read_items(rml_coreml *file, const rml_protobuf *message, rml_mil_value *out,
                             rml_error *err)
{
    const rml_message_reader reader = rml_coreml_messages(file, err);
    rml_protobuf rest = *message, inside;
    bool more = true;
    rml_mil_value *item = NULL;
    RML_TRY(rml_message_count(message, 1, &out->item_count, err));
    if (out->item_count > MAX_ITEMS)
        return rml_fail(err, RML_ERR_LIMIT, "a list of %zu values, the limit is %zu",
                        out->item_count, MAX_ITEMS);
    RML_TRY(rml_message_array(&reader, out->item_count, sizeof *item, &item));
    out->item = item;
    for (size_t i = 0; i < out->item_count; i++) {
        RML_TRY(rml_message_inside(&rest, 1, "a value", &inside, &more, err));
        RML_TRY(rml_mil_read_value(file, &inside, &item[i], err));
    }
    return RML_OK;
}

static rml_status read_immediate(rml_coreml *file, const rml_protobuf *message, rml_mil_value *out,
                                 rml_error *err)
{
    const rml_message_reader reader = rml_coreml_messages(file, err);
    rml_protobuf tensor = {0}, tuple = {0}, list = {0};
    const rml_message_want wants[] = {{1, RML_WANT_MESSAGE, "a tensor", &tensor},
                                      {2, RML_WANT_MESSAGE, "a tuple", &tuple},
                                      {3, RML_WANT_MESSAGE, "a list", &list},
                                      {0}};
    RML_TRY(rml_message_read(&reader, message, wants));
    if (out->type.kind == RML_MIL_TENSOR) // of no elements there need not be one
        return tensor.data ? read_tensor(&reader, &tensor, out) : check_count(&reader, out, 0);
    if (tuple.data || list.data)
        return read_items(file, tuple.data ? &tuple : &list, out, err);
    return RML_OK; // dictionaries are about who built the file
}

rml_status rml_mil_read_value(rml_coreml *file, const rml_protobuf *message, rml_mil_value *out,
                              rml_error *err)
{
    const rml_message_reader reader = rml_coreml_messages(file, err);
    rml_protobuf type = {0}, immediate = {0}, blob = {0};
    rml_text location = {"", 0}, doc = {"", 0};
    int64_t offset = 0;
    char text[RML_SHAPE_TEXT_BYTES];
    const rml_message_want wants[] = {{1, RML_WANT_TEXT, "a docString", &doc},
                                      {2, RML_WANT_MESSAGE, "a value's type", &type},
                                      {3, RML_WANT_MESSAGE, "a value", &immediate},
                                      {5, RML_WANT_MESSAGE, "a value in a file", &blob},
                                      {0}};
    const rml_message_want of_blob[] = {{1, RML_WANT_TEXT, "a file's name", &location},
                                        {2, RML_WANT_INT, "an offset", &offset},
                                        {0}};
    *out = (rml_mil_value){0};
    RML_TRY(rml_message_read(&reader, message, wants));
    out->has_doc = doc.bytes > 0;
    if (!type.data)
        return rml_fail(err, RML_ERR_FORMAT, "a value has no type");
    RML_TRY(rml_mil_read_type(&reader, &type, &out->type));
    if (out->type.kind == RML_MIL_TENSOR && !rml_shape_count(&out->type.shape, &out->count))
        return rml_fail(err, RML_ERR_FORMAT, "a value has the shape %s",
                        out->type.shape.rank < 0 ? "(?)" : rml_shape_text(&out->type.shape, text));
    if (blob.data && out->type.kind == RML_MIL_TENSOR) {
        RML_TRY(rml_message_read(&reader, &blob, of_blob));
        return rml_mil_read_blob(file, &location, (uint64_t)offset, out, err);
    }
    return immediate.data ? read_immediate(file, &immediate, out, err)
                          : rml_fail(err, RML_ERR_FORMAT, "a value has no contents");
}
