#include "writers/coreml/mil_compress.h"

#include "tensor/dtype.h"
#include "writers/palette.h"
#include "writers/quantize.h"

#define LEAST 2048 // elements; weights of fewer stay as they are

bool rml_emit_compresses(const rml_emitter *e, rml_dtype dtype, const rml_shape *shape)
{
    size_t count = 0;
    return e->w->settings.weights >= RML_WRITE_INT8 && dtype == RML_F32 &&
           rml_shape_count(shape, &count) && count > LEAST;
}

// An operation without inputs: what it makes the constant from lies in its attributes.
static void begin(rml_emitter *e, const char *type)
{
    rml_fields_begin(e->m, RML_MIL_BLOCK_OPERATION);
    rml_fields_text(e->m, 1, type);
}

static void attribute(rml_emitter *e, const char *key, rml_dtype dtype, const rml_shape *shape,
                      const void *data)
{
    const rml_operand type = {key, dtype, *shape};
    rml_elements elements = {.data = data, .allocator = e->w->allocator};
    rml_shape_count(shape, &elements.count);
    elements.bytes = elements.count * rml_dtype_size(dtype);
    rml_fields_begin(e->m, 5);
    rml_fields_text(e->m, 1, key);
    rml_emit_numbers(e, 2, &type, elements);
    rml_fields_end(e->m);
}

static void name(rml_emitter *e, const rml_operand *out)
{
    rml_fields_begin(e->m, 5);
    rml_fields_text(e->m, 1, "name");
    rml_emit_text_value(e->m, 2, out->name);
    rml_fields_end(e->m);
}

static void write_int8(rml_emitter *e, const rml_operand *out, const float *data, int axis)
{
    const int64_t channels = out->shape.dim[axis];
    const rml_shape vector = {1, {channels}};
    size_t count;
    rml_shape_count(&out->shape, &count);
    int8_t *code = rml_emit_alloc(e, count, 1), *zero = rml_emit_alloc(e, (size_t)channels, 1);
    float *scale = rml_emit_alloc(e, (size_t)channels, sizeof *scale);
    int32_t *place = rml_emit_alloc(e, 1, sizeof *place);
    if (!code || !zero || !scale || !place)
        return;
    *place = axis;
    rml_quantize(data, &out->shape, axis, code, scale);
    begin(e, "constexpr_affine_dequantize");
    rml_emit_named_type(e->m, 3, out);
    attribute(e, "axis", RML_I32, &(rml_shape){0}, place);
    name(e, out);
    attribute(e, "quantized_data", RML_I8, &out->shape, code);
    attribute(e, "scale", RML_F32, &vector, scale);
    attribute(e, "zero_point", RML_I8, &vector, zero);
    rml_fields_end(e->m);
}

// Places of `bits` bits each, the lowest first.
static void write_palette(rml_emitter *e, const rml_operand *out, const float *data, int bits)
{
    const rml_shape table_shape = {1, {(int64_t)1 << bits}}, rank = {1, {out->shape.rank}};
    size_t count;
    rml_shape_count(&out->shape, &count);
    const size_t bytes = (count * (size_t)bits + 7) / 8;
    const rml_shape packed_shape = {1, {(int64_t)bytes}};
    float *table = rml_emit_alloc(e, (size_t)table_shape.dim[0], sizeof *table);
    uint8_t *place = rml_emit_alloc(e, count, 1), *packed = rml_emit_alloc(e, bytes, 1);
    uint32_t *sizes = rml_emit_alloc(e, (size_t)out->shape.rank, sizeof *sizes);
    if (!table || !place || !packed || !sizes)
        return;
    e->status = rml_palette_make(data, count, bits, table, place, e->w->allocator, &e->error);
    for (size_t i = 0; i < count; i++) // bits divide 8, or 24: a place may lie in two bytes
        for (int b = 0; b < bits; b++) {
            const size_t at = i * (size_t)bits + (size_t)b;
            packed[at / 8] |= (uint8_t)((place[i] >> b & 1) << at % 8);
        }
    for (int i = 0; i < out->shape.rank; i++)
        sizes[i] = (uint32_t)out->shape.dim[i];
    begin(e, "constexpr_lut_to_dense");
    rml_emit_named_type(e->m, 3, out);
    attribute(e, "indices", RML_U8, &packed_shape, packed);
    attribute(e, "lut", RML_F32, &table_shape, table);
    name(e, out);
    attribute(e, "shape", RML_U32, &rank, sizes);
    rml_fields_end(e->m);
}

void rml_emit_compressed(rml_emitter *e, const rml_operand *out, const float *data, int axis)
{
    size_t count = 0;
    rml_emit_need(e, 6);
    rml_shape_count(&out->shape, &count);
    if (e->trial || e->status != RML_OK)
        return;
    if (!rml_are_finite(data, count))
        rml_emit_fail(e, RML_ERR_ARG, "weight %s has numbers that are not finite", out->name);
    else if (e->w->settings.weights == RML_WRITE_INT8)
        write_int8(e, out, data, axis);
    else
        write_palette(e, out, data, e->w->settings.palette_bits);
}
