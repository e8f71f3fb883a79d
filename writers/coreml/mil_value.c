// The messages of types and of constant values: ValueType and Value.
#include "writers/coreml/mil.h"

#include <string.h>

#define LEAST_BLOB 10 // elements of constants that lie in weight.bin
#define BLOB_FILE "@model_path/weights/weight.bin"

enum { FLOATS = 1, INTS = 2, BOOLS = 3, STRINGS = 4, LONGS = 5, BYTES = 7 }; // of TensorValue

static int64_t type_number(rml_dtype dtype)
{
    if (dtype == RML_EMIT_TEXT)
        return 2;
    switch (dtype) {
    case RML_BOOL:
        return 1;
    case RML_F16:
        return 10;
    case RML_F32:
        return 11;
    case RML_F64:
        return 12;
    case RML_I8:
        return 21;
    case RML_I32:
        return 23;
    case RML_I64:
        return 24;
    case RML_U8:
        return 31;
    default:
        return 33; // RML_U32
    }
}

void rml_emit_type(rml_fields *m, uint32_t field, rml_dtype dtype, const rml_shape *shape)
{
    rml_fields_begin(m, field);
    rml_fields_begin(m, 1);
    rml_fields_int(m, 1, type_number(dtype));
    if (shape->rank > 0)
        rml_fields_int(m, 2, shape->rank);
    for (int i = 0; i < shape->rank; i++) {
        rml_fields_begin(m, 3);
        rml_fields_begin(m, shape->dim[i] >= 0 ? 1 : 2);
        if (shape->dim[i] > 0)
            rml_fields_int(m, 1, shape->dim[i]);
        rml_fields_end(m);
        rml_fields_end(m);
    }
    rml_fields_end(m);
    rml_fields_end(m);
}

void rml_emit_named_type(rml_fields *m, uint32_t field, const rml_operand *value)
{
    rml_fields_begin(m, field);
    rml_fields_text(m, 1, value->name);
    rml_emit_type(m, 2, value->dtype, &value->shape);
    rml_fields_end(m);
}

static void begin_scalar(rml_fields *m, uint32_t field, rml_dtype dtype, uint32_t kind)
{
    rml_fields_begin(m, field);
    rml_emit_type(m, 2, dtype, &(rml_shape){0});
    rml_fields_begin(m, 3);
    rml_fields_begin(m, 1);
    rml_fields_begin(m, kind);
}

static void end_scalar(rml_fields *m)
{
    for (int i = 0; i < 4; i++)
        rml_fields_end(m);
}

void rml_emit_text_value(rml_fields *m, uint32_t field, const char *text)
{
    begin_scalar(m, field, RML_EMIT_TEXT, STRINGS);
    rml_fields_text(m, 1, text);
    end_scalar(m);
}

void rml_emit_long_value(rml_fields *m, uint32_t field, int64_t number)
{
    begin_scalar(m, field, RML_I64, LONGS);
    rml_fields_ints(m, 1, &number, 1);
    end_scalar(m);
}

// TensorValue
static void write_tensor(rml_emitter *e, rml_dtype dtype, const rml_elements *elements)
{
    rml_fields *m = e->m;
    const uint32_t kind = dtype == RML_F32    ? FLOATS
                          : dtype == RML_I32  ? INTS
                          : dtype == RML_BOOL ? BOOLS
                                              : BYTES;
    rml_fields_begin(m, 1);
    rml_fields_begin(m, kind);
    if (kind == INTS) {
        int64_t *wide = rml_emit_alloc(e, elements->count, sizeof *wide);
        for (size_t i = 0; i < elements->count && wide; i++)
            wide[i] = ((const int32_t *)elements->data)[i];
        if (wide)
            rml_fields_ints(m, 1, wide, elements->count);
    } else if (elements->count) {
        rml_fields_bytes(m, 1, elements->data, elements->bytes);
    }
    rml_fields_end(m);
    rml_fields_end(m);
}

void rml_emit_numbers(rml_emitter *e, uint32_t field, const rml_operand *type,
                      rml_elements elements)
{
    rml_fields *m = e->m;
    rml_fields_begin(m, field);
    rml_emit_type(m, 2, type->dtype, &type->shape);
    if (elements.count >= LEAST_BLOB && rml_blobs_take(type->dtype)) {
        uint64_t offset = 0;
        const rml_status status =
            rml_blobs_add(e->blobs, elements, type->dtype, &offset, &e->error);
        if (e->status == RML_OK)
            e->status = status;
        rml_fields_begin(m, 5);
        rml_fields_text(m, 1, BLOB_FILE);
        rml_fields_int(m, 2, (int64_t)offset);
        rml_fields_end(m);
    } else {
        rml_fields_begin(m, 3);
        write_tensor(e, type->dtype, &elements);
        rml_fields_end(m);
        rml_elements_release(&elements);
    }
    rml_fields_end(m);
}
