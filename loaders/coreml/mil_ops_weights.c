// Compressed weights, evaluated while a file is opened; and numbers that are quantized in a run.
//
// Up to opset 7 operands are the operation's attributes, later its inputs; both are read.
#include "loaders/coreml/mil_handler.h"

#include "tensor/dtype.h"
#include "tensor/tensor.h"

#include <string.h>

// ---- operands -----------------------------------------------------------------------------------

// An operand in either place, or NULL.
static const rml_mil_value *operand(rml_mil_call *call, const char *name)
{
    const rml_mil_operation *operation = call->operation;
    for (size_t i = 0; i < operation->attribute_count; i++)
        if (strcmp(operation->attribute[i].name, name) == 0)
            return &operation->attribute[i].value;
    return rml_mil_constant(call, name);
}

static const rml_mil_value *need(rml_mil_call *call, const char *name)
{
    const rml_mil_value *value = operand(call, name);
    if (!value)
        rml_coreml_refuse(&call->make, "it has no operand \"%s\"", name);
    return value;
}

// Element `index` of packed ones of less than 8 bits, the first in the lowest bits.
static uint32_t packed(const uint8_t *data, size_t index, int bits)
{
    uint32_t value = 0;
    for (int b = 0; b < bits; b++) {
        const size_t at = index * (size_t)bits + (size_t)b;
        value |= (uint32_t)(data[at / 8] >> (at % 8) & 1) << b;
    }
    return value;
}

// Element `index` of numbers of any width.
static double number(const rml_mil_value *value, size_t index)
{
    const int bits = rml_mil_bits(value->type.element);
    if (bits >= 8)
        return rml_mil_number(value, index);
    const uint32_t code = packed(value->data, index, bits);
    return value->type.element == RML_MIL_I4 && code > 7 ? (double)code - 16 : (double)code;
}

// The result: a constant of f32, for what reads it as a constant and for the graph.
static void set_result(rml_mil_call *call, int output, const float *data, const rml_shape *shape)
{
    size_t count;
    rml_mil_value *value = rml_coreml_alloc(&call->make, 1, sizeof *value);
    if (!value || !data || call->make.refused || !rml_shape_count(shape, &count))
        return;
    *value = (rml_mil_value){.type = {RML_MIL_TENSOR, RML_MIL_F32, *shape},
                             .count = count,
                             .data = (const uint8_t *)data,
                             .bytes = count * sizeof *data};
    call->constant[output] = value;
}

// Which group of `groups` an index along a dimension of `size` lies in.
static size_t group_of(size_t index, size_t size, size_t groups)
{
    return groups == size ? index : index / (size / groups);
}

// The place in a tensor of the shape `blocks` of what element `index` of `shape` belongs to.
static size_t block_of(size_t index, const rml_shape *shape, const rml_shape *blocks)
{
    size_t at = 0, step = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        const size_t size = (size_t)shape->dim[i];
        at += group_of(index % size, size, (size_t)blocks->dim[i]) * step;
        step *= (size_t)blocks->dim[i];
        index /= size;
    }
    return at;
}

static bool blocks_fit(const rml_shape *shape, const rml_shape *blocks)
{
    for (int i = 0; i < shape->rank; i++)
        if (blocks->dim[i] < 1 || shape->dim[i] % blocks->dim[i] != 0)
            return false;
    return blocks->rank >= shape->rank;
}

// ---- scales -------------------------------------------------------------------------------------

static void import_affine_dequantize(rml_mil_call *call)
{
    const rml_mil_value *codes = need(call, "quantized_data"), *scale = need(call, "scale");
    const rml_mil_value *zero = need(call, "zero_point"), *along = operand(call, "axis");
    if (call->make.refused)
        return;
    const rml_shape *shape = &codes->type.shape;
    const int axis =
        shape->rank
            ? rml_coreml_axis_of(&call->make, along ? rml_mil_integer(along, 0) : 0, shape->rank)
            : 0;
    const size_t size = shape->rank ? (size_t)shape->dim[axis] : 1;
    size_t inner = 1;
    for (int i = axis + 1; i < shape->rank; i++)
        inner *= (size_t)shape->dim[i];
    if ((scale->count != 1 && scale->count != size) || (zero->count != 1 && zero->count != size))
        rml_coreml_refuse(&call->make, "%zu scales and %zu zero points for a size of %zu",
                          scale->count, zero->count, size);
    float *data =
        call->make.refused ? NULL : rml_coreml_alloc(&call->make, codes->count, sizeof *data);
    for (size_t i = 0; i < codes->count && data; i++) {
        const size_t at = size ? i / inner % size : 0;
        data[i] = (float)(rml_mil_number(scale, scale->count > 1 ? at : 0) *
                          (number(codes, i) - rml_mil_number(zero, zero->count > 1 ? at : 0)));
    }
    set_result(call, 0, data, shape);
}

// scale * (code - offset) of any number of blocks in each dimension.
static float dequantized(const rml_mil_value *scale, const rml_mil_value *offset, double code,
                         size_t block)
{
    return (float)(rml_mil_number(scale, block) * (code - (offset ? number(offset, block) : 0)));
}

static void import_blockwise(rml_mil_call *call)
{
    const rml_mil_value *codes = need(call, "data"), *scale = need(call, "scale");
    const rml_mil_value *offset = operand(call, "offset");
    if (call->make.refused)
        return;
    const rml_shape *shape = &codes->type.shape;
    if (scale->type.shape.rank != shape->rank || !blocks_fit(shape, &scale->type.shape) ||
        (offset && !rml_shape_equal(&offset->type.shape, &scale->type.shape)))
        rml_coreml_refuse(&call->make, "scales and offsets do not fit the data");
    float *data =
        call->make.refused ? NULL : rml_coreml_alloc(&call->make, codes->count, sizeof *data);
    for (size_t i = 0; i < codes->count && data; i++)
        data[i] =
            dequantized(scale, offset, number(codes, i), block_of(i, shape, &scale->type.shape));
    set_result(call, 0, data, shape);
}

// ---- tables -------------------------------------------------------------------------------------

// Bits of an index into a table of so many entries.
static int bits_of(size_t entries)
{
    int bits = 0;
    while ((size_t)1 << bits < entries && bits < 8)
        bits++;
    return bits;
}

static bool shape_from(const rml_mil_value *list, rml_shape *out, size_t *count)
{
    *out = (rml_shape){.rank = (int)list->count};
    for (size_t i = 0; i < list->count && i < RML_MAX_RANK; i++)
        out->dim[i] = rml_mil_integer(list, i);
    return list->count <= RML_MAX_RANK && rml_shape_count(out, count);
}

// Before opset 8: one table, indices packed into bytes.
static void import_lut_to_dense_old(rml_mil_call *call)
{
    const rml_mil_value *codes = need(call, "indices"), *table = need(call, "lut");
    const rml_mil_value *sizes = need(call, "shape");
    rml_shape shape;
    size_t count = 0, bytes = 0;
    if (call->make.refused)
        return;
    const int bits = bits_of(table->count);
    const bool fits = shape_from(sizes, &shape, &count) && rml_size_mul(count, 8, &bytes) &&
                      table->count == (size_t)1 << bits &&
                      codes->count >= count / 8 * (size_t)bits + (count % 8 * (size_t)bits + 7) / 8;
    if (!fits)
        rml_coreml_refuse(&call->make, "%zu bytes of indices into a table of %zu numbers, for %zu",
                          codes->count, table->count, count);
    float *data = call->make.refused ? NULL : rml_coreml_alloc(&call->make, count, sizeof *data);
    for (size_t i = 0; i < count && data; i++)
        data[i] = (float)rml_mil_number(table, bits ? packed(codes->data, i, bits) : 0);
    set_result(call, 0, data, &shape);
}

// A table for each group of elements: (groups.., entries, vector). An entry of V numbers stands for
// as many elements side by side along an axis.
typedef struct tables {
    const rml_mil_value *lut;
    rml_shape groups;
    size_t entries, vector;
    int axis; // of the vector
} tables;

static bool tables_of(rml_mil_call *call, const rml_shape *shape, tables *out)
{
    const rml_mil_value *along = operand(call, "vector_axis");
    out->lut = need(call, "lut");
    if (call->make.refused)
        return false;
    const rml_shape *lut = &out->lut->type.shape;
    bool fits = lut->rank == shape->rank + 2 && blocks_fit(shape, lut);
    if (fits) {
        out->groups = *lut;
        out->groups.rank = shape->rank;
        out->entries = (size_t)lut->dim[shape->rank];
        out->vector = (size_t)lut->dim[shape->rank + 1];
        out->axis = along && shape->rank
                        ? rml_coreml_axis_of(&call->make, rml_mil_integer(along, 0), shape->rank)
                        : 0;
        fits = out->entries > 0 && out->vector > 0 && (out->vector == 1 || along);
    }
    if (!fits)
        rml_coreml_refuse(&call->make, "its tables do not fit the indices");
    return fits && !call->make.refused;
}

static double entry(const tables *t, size_t group, uint32_t code, size_t part)
{
    const size_t at = code < t->entries ? code : 0;
    return rml_mil_number(t->lut, (group * t->entries + at) * t->vector + part);
}

static void import_lut_to_dense(rml_mil_call *call)
{
    if (operand(call, "shape")) {
        import_lut_to_dense_old(call);
        return;
    }
    const rml_mil_value *codes = need(call, "indices");
    tables t = {0};
    if (call->make.refused || !tables_of(call, &codes->type.shape, &t))
        return;
    rml_shape shape = codes->type.shape;
    size_t inner = 1, count;
    for (int i = t.axis + 1; i < shape.rank; i++)
        inner *= (size_t)shape.dim[i];
    const size_t size = shape.rank ? (size_t)shape.dim[t.axis] : 1;
    if (shape.rank)
        shape.dim[t.axis] *= (int64_t)t.vector;
    if (!rml_shape_count(&shape, &count)) {
        rml_coreml_refuse(&call->make, "it makes a tensor that is too large");
        return;
    }
    float *data = rml_coreml_alloc(&call->make, count, sizeof *data);
    for (size_t i = 0; i < codes->count && data; i++) {
        const uint32_t code = (uint32_t)number(codes, i);
        const size_t group = block_of(i, &codes->type.shape, &t.groups);
        const size_t outer = i / (inner * size), along = i / inner % size;
        for (size_t v = 0; v < t.vector; v++)
            data[((outer * size + along) * t.vector + v) * inner + i % inner] =
                (float)entry(&t, group, code, v);
    }
    set_result(call, 0, data, &shape);
}

// ---- sparse -------------------------------------------------------------------------------------

static bool is_set(const rml_mil_value *mask, size_t index)
{
    return rml_mil_bits(mask->type.element) == 1
               ? packed(mask->data, index, 1) != 0
               : mask->data[index / 8] >> (index % 8) & 1; // before opset 8: packed into bytes
}

// Counts those that are set among `count`; refuses a mask that is too short, or a list of values of
// another length.
static bool check_mask(rml_mil_call *call, const rml_mil_value *mask, size_t count, size_t values)
{
    const size_t room = rml_mil_bits(mask->type.element) == 1 ? mask->count : mask->count * 8;
    size_t set = 0;
    for (size_t i = 0; i < count && count <= room; i++)
        set += is_set(mask, i);
    if (count > room || set != values)
        rml_coreml_refuse(&call->make, "a mask of %zu of %zu elements, with %zu set and %zu values",
                          room, count, set, values);
    return !call->make.refused;
}

static void import_sparse_to_dense(rml_mil_call *call)
{
    const rml_mil_value *values = need(call, "nonzero_data"), *mask = need(call, "mask");
    const rml_mil_value *sizes = operand(call, "shape");
    rml_shape shape;
    size_t count = 0, next = 0;
    if (call->make.refused)
        return;
    shape = mask->type.shape;
    if (!(sizes ? shape_from(sizes, &shape, &count) : rml_shape_count(&shape, &count)))
        rml_coreml_refuse(&call->make, "its shape cannot be addressed");
    if (call->make.refused || !check_mask(call, mask, count, values->count))
        return;
    float *data = rml_coreml_alloc(&call->make, count, sizeof *data);
    for (size_t i = 0; i < count && data; i++)
        data[i] = is_set(mask, i) ? (float)number(values, next++) : 0;
    set_result(call, 0, data, &shape);
}

// Values of the elements that are set, from codes and what belongs to their places.
static void decode_sparse(rml_mil_call *call, const rml_mil_value *mask, const rml_mil_value *codes,
                          const tables *t, const rml_mil_value *scale, const rml_mil_value *offset)
{
    const rml_shape *shape = &mask->type.shape;
    size_t next = 0;
    if (!check_mask(call, mask, mask->count, codes->count))
        return;
    float *data = rml_coreml_alloc(&call->make, codes->count + 1, sizeof *data);
    for (size_t i = 0; i < mask->count && data; i++) {
        if (!is_set(mask, i))
            continue;
        const double code = number(codes, next);
        data[next++] =
            scale ? dequantized(scale, offset, code, block_of(i, shape, &scale->type.shape))
                  : (float)entry(t, block_of(i, shape, &t->groups), (uint32_t)code, 0);
    }
    set_result(call, 1, data, &(rml_shape){1, {(int64_t)codes->count}});
    call->constant[0] = mask;
}

static void import_lut_to_sparse(rml_mil_call *call)
{
    const rml_mil_value *mask = need(call, "indices_mask");
    const rml_mil_value *codes = need(call, "indices_nonzero_data");
    tables t = {0};
    if (call->make.refused || !tables_of(call, &mask->type.shape, &t))
        return;
    if (t.vector != 1 || rml_mil_bits(mask->type.element) != 1)
        rml_coreml_refuse(&call->make, "vectors of %zu are not supported", t.vector);
    else
        decode_sparse(call, mask, codes, &t, NULL, NULL);
}

static void import_sparse_blockwise(rml_mil_call *call)
{
    const rml_mil_value *mask = need(call, "data_mask"), *codes = need(call, "nonzero_data");
    const rml_mil_value *scale = need(call, "scale"), *offset = operand(call, "offset");
    if (call->make.refused)
        return;
    if (rml_mil_bits(mask->type.element) != 1 || scale->type.shape.rank != mask->type.shape.rank ||
        !blocks_fit(&mask->type.shape, &scale->type.shape) ||
        (offset && !rml_shape_equal(&offset->type.shape, &scale->type.shape)))
        rml_coreml_refuse(&call->make, "scales and offsets do not fit the mask");
    else
        decode_sparse(call, mask, codes, NULL, scale, offset);
}

static void import_constexpr_cast(rml_mil_call *call)
{
    const rml_mil_value *value = need(call, "source_val");
    operand(call, "output_dtype"); // floats are f32 here, whatever they are in the file
    if (!call->make.refused)
        call->constant[0] = value;
}

const rml_mil_entry rml_mil_weights[] = {
    {"constexpr_affine_dequantize", import_affine_dequantize, 0},
    {"constexpr_blockwise_shift_scale", import_blockwise, 0},
    {"constexpr_lut_to_dense", import_lut_to_dense, 0},
    {"constexpr_sparse_to_dense", import_sparse_to_dense, 0},
    {"constexpr_lut_to_sparse", import_lut_to_sparse, 0},
    {"constexpr_sparse_blockwise_shift_scale", import_sparse_blockwise, 0},
    {"constexpr_cast", import_constexpr_cast, 0},
    {0},
};
