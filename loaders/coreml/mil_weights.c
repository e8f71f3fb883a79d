// Operands of compressed weights, which are evaluated while a file is opened.
#include "loaders/coreml/mil_weights.h"

#include "tensor/dtype.h"
#include "tensor/tensor.h"

#include <string.h>

// ---- operands -----------------------------------------------------------------------------------

// In either place.
static const rml_mil_value *find(rml_mil_call *call, const char *name)
{
    const rml_mil_operation *operation = call->operation;
    for (size_t i = 0; i < operation->attribute_count; i++)
        if (strcmp(operation->attribute[i].name, name) == 0)
            return &operation->attribute[i].value;
    return rml_mil_constant(call, name);
}

const rml_mil_value *rml_mil_operand(rml_mil_call *call, const char *name)
{
    const rml_mil_value *value = find(call, name);
    rml_dtype dtype;
    if (!value)
        return NULL;
    const int element = value->type.element, bits = rml_mil_bits(element);
    const bool are_numbers = bits > 0 && (bits < 8 || rml_mil_dtype(element, &dtype));
    if (value->type.kind == RML_MIL_TENSOR && are_numbers)
        return value;
    rml_coreml_refuse(&call->make, "operand \"%s\" is of type %s, which is not supported", name,
                      value->type.kind == RML_MIL_TENSOR ? rml_mil_element_name(element) : "list");
    return NULL;
}

const rml_mil_value *rml_mil_needed(rml_mil_call *call, const char *name)
{
    const rml_mil_value *value = rml_mil_operand(call, name);
    if (!value)
        rml_coreml_refuse(&call->make, "it has no operand \"%s\"", name);
    return value;
}

uint32_t rml_mil_packed(const uint8_t *data, size_t index, int bits)
{
    const size_t at = index * (size_t)bits;
    const int shift = (int)(at % 8);
    uint32_t value = data[at / 8];
    if (shift + bits > 8) // the rest of it lies in the next byte
        value |= (uint32_t)data[at / 8 + 1] << 8;
    return value >> shift & ((1u << bits) - 1);
}

// The bytes of most weights have a short way.
double rml_mil_code_of(const rml_mil_value *value, size_t index)
{
    const bool there = index < value->count && value->data;
    if (there && value->type.element == RML_MIL_I8)
        return (int8_t)value->data[index];
    if (there && value->type.element == RML_MIL_U8)
        return value->data[index];
    const int bits = rml_mil_bits(value->type.element);
    if (bits >= 8)
        return rml_mil_number(value, index);
    const uint32_t code = rml_mil_packed(value->data, index, bits);
    return value->type.element == RML_MIL_I4 && code > 7 ? (double)code - 16 : (double)code;
}

void rml_mil_set_weights(rml_mil_call *call, int output, const float *data, const rml_shape *shape)
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

// Which group of `blocks` an index along a dimension of `size` lies in.
static size_t group_of(size_t index, size_t size, size_t blocks)
{
    return blocks == size ? index : index / (size / blocks);
}

size_t rml_mil_block_of(size_t index, const rml_shape *shape, const rml_shape *blocks)
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

size_t rml_mil_run_of(const rml_shape *shape, const rml_shape *blocks)
{
    size_t run = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        run *= (size_t)(shape->dim[i] / blocks->dim[i]);
        if (blocks->dim[i] != 1)
            break;
    }
    return run;
}

bool rml_mil_blocks_fit(const rml_shape *shape, const rml_shape *blocks)
{
    for (int i = 0; i < shape->rank; i++)
        if (blocks->dim[i] < 1 || shape->dim[i] % blocks->dim[i] != 0)
            return false;
    return blocks->rank >= shape->rank;
}

// ---- tables -------------------------------------------------------------------------------------

bool rml_mil_tables_of(rml_mil_call *call, const rml_shape *shape, rml_mil_tables *out)
{
    const rml_mil_value *along = rml_mil_operand(call, "vector_axis");
    out->lut = rml_mil_needed(call, "lut");
    if (call->make.refused)
        return false;
    const rml_shape *lut = &out->lut->type.shape;
    bool fits = lut->rank == shape->rank + 2 && rml_mil_blocks_fit(shape, lut);
    if (fits) {
        out->blocks = *lut;
        out->blocks.rank = shape->rank;
        out->entries = (size_t)lut->dim[shape->rank];
        out->vector = (size_t)lut->dim[shape->rank + 1];
        out->axis = along && shape->rank
                        ? rml_coreml_axis_of(&call->make, rml_mil_integer(along, 0), shape->rank)
                        : 0;
        fits =
            out->entries > 0 && out->vector > 0 && (out->vector == 1 || (along && shape->rank > 0));
    }
    if (!fits)
        rml_coreml_refuse(&call->make, "its tables do not fit the indices");
    return fits && !call->make.refused;
}

float rml_mil_entry_of(rml_mil_call *call, const rml_mil_tables *t, size_t block, double code,
                       size_t part)
{
    if (code >= 0 && code < (double)t->entries)
        return (float)rml_mil_number(t->lut,
                                     (block * t->entries + (size_t)code) * t->vector + part);
    rml_coreml_refuse(&call->make, "an index of %g into a table of %zu", code, t->entries);
    return 0;
}

rml_shape rml_mil_widened(rml_mil_call *call, const rml_mil_tables *t, const rml_shape *shape,
                          size_t *count)
{
    rml_shape out = *shape;
    if (out.rank)
        out.dim[t->axis] *= (int64_t)t->vector;
    if (t->vector > INT32_MAX || !rml_shape_count(&out, count))
        rml_coreml_refuse(&call->make, "it makes a tensor that is too large");
    return out;
}

size_t rml_mil_step(const rml_mil_tables *t, const rml_shape *shape)
{
    size_t step = 1;
    for (int i = t->axis + 1; i < shape->rank; i++)
        step *= (size_t)shape->dim[i];
    return step;
}
