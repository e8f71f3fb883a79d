// Compressed weights, evaluated while a file is opened.
#include "loaders/coreml/mil_weights.h"

#include "tensor/dtype.h"
#include "tensor/tensor.h"

#include <string.h>

// ---- scales -------------------------------------------------------------------------------------

static void import_affine_dequantize(rml_mil_call *call)
{
    const rml_mil_value *codes = rml_mil_needed(call, "quantized_data"),
                        *scale = rml_mil_needed(call, "scale");
    const rml_mil_value *zero = rml_mil_needed(call, "zero_point"),
                        *along = rml_mil_operand(call, "axis");
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
    double factor = 0, zero_code = 0;
    for (size_t i = 0; i < codes->count && data; i++) {
        if (i % inner == 0) {
            const size_t at = i / inner % size;
            factor = rml_mil_number(scale, scale->count > 1 ? at : 0);
            zero_code = rml_mil_code_of(zero, zero->count > 1 ? at : 0);
        }
        data[i] = (float)(factor * (rml_mil_code_of(codes, i) - zero_code));
    }
    rml_mil_set_weights(call, 0, data, shape);
}

// scale * (code - offset) of any number of blocks in each dimension.
static float dequantized(const rml_mil_value *scale, const rml_mil_value *offset, double code,
                         size_t block)
{
    return (float)(rml_mil_number(scale, block) *
                   (code - (offset ? rml_mil_code_of(offset, block) : 0)));
}

static void import_blockwise(rml_mil_call *call)
{
    const rml_mil_value *codes = rml_mil_needed(call, "data"),
                        *scale = rml_mil_needed(call, "scale");
    const rml_mil_value *offset = rml_mil_operand(call, "offset");
    if (call->make.refused)
        return;
    const rml_shape *shape = &codes->type.shape;
    if (scale->type.shape.rank != shape->rank || !rml_mil_blocks_fit(shape, &scale->type.shape) ||
        (offset && !rml_shape_equal(&offset->type.shape, &scale->type.shape)))
        rml_coreml_refuse(&call->make, "scales and offsets do not fit the data");
    float *data =
        call->make.refused ? NULL : rml_coreml_alloc(&call->make, codes->count, sizeof *data);
    const size_t run = data ? rml_mil_run_of(shape, &scale->type.shape) : 1;
    size_t block = 0;
    for (size_t i = 0; i < codes->count && data; i++) {
        if (i % run == 0)
            block = rml_mil_block_of(i, shape, &scale->type.shape);
        data[i] = dequantized(scale, offset, rml_mil_code_of(codes, i), block);
    }
    rml_mil_set_weights(call, 0, data, shape);
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
    const rml_mil_value *codes = rml_mil_needed(call, "indices"),
                        *table = rml_mil_needed(call, "lut");
    const rml_mil_value *sizes = rml_mil_needed(call, "shape");
    rml_shape shape;
    size_t count = 0, bytes = 0;
    if (call->make.refused)
        return;
    const int bits = bits_of(table->count);
    const bool fits = shape_from(sizes, &shape, &count) && rml_size_mul(count, 8, &bytes) &&
                      table->count == (size_t)1 << bits &&
                      codes->bytes >= count / 8 * (size_t)bits + (count % 8 * (size_t)bits + 7) / 8;
    if (!fits)
        rml_coreml_refuse(&call->make, "%zu bytes of indices into a table of %zu numbers, for %zu",
                          codes->bytes, table->count, count);
    float *data = call->make.refused ? NULL : rml_coreml_alloc(&call->make, count, sizeof *data);
    float entries[256] = {0};
    for (size_t i = 0; i < table->count && data; i++)
        entries[i] = (float)rml_mil_number(table, i);
    for (size_t i = 0; i < count && data; i++)
        data[i] = entries[bits ? rml_mil_packed(codes->data, i, bits) : 0];
    rml_mil_set_weights(call, 0, data, &shape);
}

static void import_lut_to_dense(rml_mil_call *call)
{
    if (rml_mil_operand(call, "shape")) {
        import_lut_to_dense_old(call);
        return;
    }
    const rml_mil_value *codes = rml_mil_needed(call, "indices");
    rml_mil_tables t = {0};
    if (call->make.refused || !rml_mil_tables_of(call, &codes->type.shape, &t))
        return;
    size_t count = 0;
    const size_t step = rml_mil_step(&t, &codes->type.shape);
    const rml_shape shape = rml_mil_widened(call, &t, &codes->type.shape, &count);
    float *data = call->make.refused ? NULL : rml_coreml_alloc(&call->make, count, sizeof *data);
    const size_t run = data ? rml_mil_run_of(&codes->type.shape, &t.blocks) : 1;
    size_t block = 0;
    for (size_t i = 0; i < codes->count && data; i++) {
        if (i % run == 0)
            block = rml_mil_block_of(i, &codes->type.shape, &t.blocks);
        for (size_t v = 0; v < t.vector; v++)
            data[(i / step * t.vector + v) * step + i % step] =
                rml_mil_entry_of(call, &t, block, rml_mil_code_of(codes, i), v);
    }
    rml_mil_set_weights(call, 0, data, &shape);
}

// ---- sparse -------------------------------------------------------------------------------------

static bool is_set(const rml_mil_value *mask, size_t index)
{
    return rml_mil_bits(mask->type.element) == 1
               ? rml_mil_packed(mask->data, index, 1) != 0
               : mask->data[index / 8] >> (index % 8) & 1; // before opset 8: packed into bytes
}

// Counts those that are set among `count`; refuses a mask that is too short, or a list of values of
// another length.
static bool check_mask(rml_mil_call *call, const rml_mil_value *mask, size_t count, size_t values)
{
    const size_t room = rml_mil_bits(mask->type.element) == 1 ? mask->count : mask->bytes * 8;
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
    const rml_mil_value *values = rml_mil_needed(call, "nonzero_data"),
                        *mask = rml_mil_needed(call, "mask");
    const rml_mil_value *sizes = rml_mil_operand(call, "shape");
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
        data[i] = is_set(mask, i) ? (float)rml_mil_code_of(values, next++) : 0;
    rml_mil_set_weights(call, 0, data, &shape);
}

// The mask of vectors: each element of `mask` as often as they have numbers, along their axis.
static const rml_mil_value *spread_mask(rml_mil_call *call, const rml_mil_tables *t,
                                        const rml_mil_value *mask)
{
    const size_t step = rml_mil_step(t, &mask->type.shape);
    size_t count = 0, bytes;
    const rml_shape shape = rml_mil_widened(call, t, &mask->type.shape, &count);
    rml_mil_value *out = rml_coreml_alloc(&call->make, 1, sizeof *out);
    if (!out || call->make.refused || !rml_mil_bytes(mask->type.element, count, &bytes))
        return NULL;
    uint8_t *data = rml_coreml_alloc(&call->make, bytes + 1, 1);
    for (size_t i = 0; i < count && data; i++)
        if (is_set(mask, i / (step * t->vector) * step + i % step))
            data[i / 8] |= (uint8_t)(1u << i % 8);
    *out = *mask;
    out->type.shape = shape;
    out->count = count;
    out->data = data;
    out->bytes = bytes;
    return data ? out : NULL;
}

// Vectors lie along their axis: of a row of indices, all first numbers come before any second one.
static void import_lut_to_sparse(rml_mil_call *call)
{
    const rml_mil_value *mask = rml_mil_needed(call, "indices_mask");
    const rml_mil_value *codes = rml_mil_needed(call, "indices_nonzero_data");
    rml_mil_tables t = {0};
    if (call->make.refused || !rml_mil_tables_of(call, &mask->type.shape, &t))
        return;
    if (rml_mil_bits(mask->type.element) != 1)
        rml_coreml_refuse(&call->make, "its mask is of type %s",
                          rml_mil_element_name(mask->type.element));
    if (call->make.refused || !check_mask(call, mask, mask->count, codes->count))
        return;
    const rml_mil_value *wide = t.vector > 1 ? spread_mask(call, &t, mask) : mask;
    const size_t step = rml_mil_step(&t, &mask->type.shape);
    size_t count, next = 0, begin = 0, at = 0;
    if (!wide || !rml_size_mul(codes->count, t.vector, &count))
        return;
    float *data = rml_coreml_alloc(&call->make, count + 1, sizeof *data);
    for (size_t row = 0; row < mask->count && data; row += step, begin = at)
        for (size_t v = 0; v < t.vector; v++) {
            at = begin;
            for (size_t i = row; i < row + step; i++)
                if (is_set(mask, i))
                    data[next++] = rml_mil_entry_of(
                        call, &t, rml_mil_block_of(i, &mask->type.shape, &t.blocks),
                        rml_mil_code_of(codes, at++), v);
        }
    rml_mil_set_weights(call, 1, data, &(rml_shape){1, {(int64_t)count}});
    call->constant[0] = wide;
}

static void import_sparse_blockwise(rml_mil_call *call)
{
    const rml_mil_value *mask = rml_mil_needed(call, "data_mask"),
                        *codes = rml_mil_needed(call, "nonzero_data");
    const rml_mil_value *scale = rml_mil_needed(call, "scale"),
                        *offset = rml_mil_operand(call, "offset");
    if (call->make.refused)
        return;
    if (rml_mil_bits(mask->type.element) != 1 || scale->type.shape.rank != mask->type.shape.rank ||
        !rml_mil_blocks_fit(&mask->type.shape, &scale->type.shape) ||
        (offset && !rml_shape_equal(&offset->type.shape, &scale->type.shape)))
        rml_coreml_refuse(&call->make, "scales and offsets do not fit the mask");
    if (call->make.refused || !check_mask(call, mask, mask->count, codes->count))
        return;
    const rml_shape *shape = &mask->type.shape;
    size_t next = 0;
    float *data = rml_coreml_alloc(&call->make, codes->count + 1, sizeof *data);
    for (size_t i = 0; i < mask->count && data; i++)
        if (is_set(mask, i)) {
            const size_t block = rml_mil_block_of(i, shape, &scale->type.shape);
            data[next] = dequantized(scale, offset, rml_mil_code_of(codes, next), block);
            next++;
        }
    rml_mil_set_weights(call, 1, data, &(rml_shape){1, {(int64_t)codes->count}});
    call->constant[0] = mask;
}

static void import_constexpr_cast(rml_mil_call *call)
{
    const rml_mil_value *value = rml_mil_needed(call, "source_val");
    rml_mil_constant(call, "output_dtype"); // floats are f32 here, whatever they are in the file
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
