// Element types and declared types of values.
#include "loaders/onnx/reader.h"

#include "tensor/tensor.h"

static const struct {
    const char *name;
    int dtype; // an rml_dtype, or -1
} elements[] = {
    // the index is the number in TensorProto.DataType
    {"UNDEFINED", -1},      {"FLOAT", RML_F32},   {"UINT8", RML_U8},      {"INT8", RML_I8},
    {"UINT16", RML_U16},    {"INT16", RML_I16},   {"INT32", RML_I32},     {"INT64", RML_I64},
    {"STRING", -1},         {"BOOL", RML_BOOL},   {"FLOAT16", RML_F16},   {"DOUBLE", RML_F64},
    {"UINT32", RML_U32},    {"UINT64", RML_U64},  {"COMPLEX64", -1},      {"COMPLEX128", -1},
    {"BFLOAT16", RML_BF16}, {"FLOAT8E4M3FN", -1}, {"FLOAT8E4M3FNUZ", -1}, {"FLOAT8E5M2", -1},
    {"FLOAT8E5M2FNUZ", -1}, {"UINT4", -1},        {"INT4", -1},           {"FLOAT4E2M1", -1},
    {"FLOAT8E8M0", -1},     {"UINT2", -1},        {"INT2", -1},
};
#define ELEMENTS ((int32_t)(sizeof elements / sizeof *elements))

const char *rml_onnx_element_name(int32_t element)
{
    return element >= 0 && element < ELEMENTS ? elements[element].name : NULL;
}

bool rml_onnx_element_dtype(int32_t element, rml_dtype *dtype)
{
    if (element < 0 || element >= ELEMENTS || elements[element].dtype < 0)
        return false;
    *dtype = (rml_dtype)elements[element].dtype;
    return true;
}

int rml_onnx_element_bits(int32_t element, rml_dtype *dtype)
{
    enum { UINT4 = 21, INT4 = 22, UINT2 = 25, INT2 = 26 };
    *dtype = element == INT4 || element == INT2 ? RML_I8 : RML_U8;
    if (element == UINT4 || element == INT4)
        return 4;
    return element == UINT2 || element == INT2 ? 2 : 0;
}

static rml_status read_dim(rml_onnx_reader *reader, const rml_protobuf *message, int64_t *size,
                           const char **name)
{
    *size = -1;
    RML_TRY(
        rml_message_read(&reader->fields, message,
                         (const rml_message_want[]){{1, RML_WANT_INT, "a dimension", size},
                                                    {2, RML_WANT_NAME, "a dimension's name", name},
                                                    {0}}));
    *size = *size < 0 ? -1 : *size; // some exporters write any where they do not know
    if (*name && !**name)
        *name = NULL;
    return RML_OK;
}

// Known dimensions must have a product that can be addressed, whatever the unknown ones are.
static bool can_be_addressed(const rml_shape *shape)
{
    rml_shape known = *shape;
    size_t count;
    for (int i = 0; i < known.rank; i++)
        if (known.dim[i] <= 0) // an empty tensor has strides, too
            known.dim[i] = 1;
    return rml_shape_count(&known, &count);
}

static rml_status read_shape(rml_onnx_reader *reader, rml_protobuf *message, const char *what,
                             rml_onnx_type *out)
{
    rml_protobuf inside;
    bool more = true;
    out->has_shape = true;
    for (;;) {
        RML_TRY(rml_message_inside(message, 1, "a dimension", &inside, &more, reader->fields.err));
        if (!more)
            break;
        if (out->shape.rank == RML_MAX_RANK)
            return rml_fail(reader->fields.err, RML_ERR_LIMIT, "%s has more than %d dimensions",
                            what, RML_MAX_RANK);
        const int axis = out->shape.rank++;
        RML_TRY(read_dim(reader, &inside, &out->shape.dim[axis], &out->dim_name[axis]));
    }
    char text[RML_SHAPE_TEXT_BYTES];
    if (!can_be_addressed(&out->shape))
        return rml_fail(reader->fields.err, RML_ERR_LIMIT,
                        "%s has shape %s, which is too large to address", what,
                        rml_shape_text(&out->shape, text));
    return RML_OK;
}

// TypeProto.Tensor and TypeProto.SparseTensor, which have the same fields.
static rml_status read_tensor_type(rml_onnx_reader *reader, const rml_protobuf *message,
                                   const char *what, rml_onnx_type *out)
{
    rml_protobuf shape = {.data = NULL};
    int64_t element = out->element;
    RML_TRY(
        rml_message_read(&reader->fields, message,
                         (const rml_message_want[]){{1, RML_WANT_INT, "an element type", &element},
                                                    {2, RML_WANT_MESSAGE, "a shape", &shape},
                                                    {0}}));
    out->element = (int32_t)element;
    return shape.data ? read_shape(reader, &shape, what, out) : RML_OK;
}

rml_status rml_onnx_read_type(rml_onnx_reader *reader, const rml_protobuf *message,
                              const char *what, rml_onnx_type *out)
{
    static const struct {
        uint32_t number;
        rml_onnx_type_kind kind;
    } kinds[] = {{1, RML_ONNX_TENSOR}, {4, RML_ONNX_SEQUENCE}, {5, RML_ONNX_MAP},
                 {7, RML_ONNX_OPAQUE}, {8, RML_ONNX_SPARSE},   {9, RML_ONNX_OPTIONAL}};
    rml_protobuf rest = *message, inside;
    rml_protobuf_field field;
    bool more = true;
    *out = (rml_onnx_type){.kind = RML_ONNX_TENSOR};
    for (;;) {
        RML_TRY(rml_protobuf_next(&rest, &field, &more, reader->fields.err));
        if (!more)
            return RML_OK;
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            if (field.number != kinds[i].number)
                continue;
            *out = (rml_onnx_type){.kind = kinds[i].kind};
            RML_TRY(rml_protobuf_enter(&rest, &field, "a type", &inside, reader->fields.err));
            if (kinds[i].kind == RML_ONNX_TENSOR || kinds[i].kind == RML_ONNX_SPARSE)
                RML_TRY(read_tensor_type(reader, &inside, what, out));
        }
    }
}
