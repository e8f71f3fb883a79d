// Operations, their arguments and their constants.
#include "writers/coreml/mil.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// ---- failures and memory ------------------------------------------------------------------------

void rml_emit_fail(rml_emitter *e, rml_status status, const char *format, ...)
{
    if (e->status != RML_OK)
        return;
    va_list list;
    va_start(list, format);
    vsnprintf(e->error.message, sizeof e->error.message, format, list);
    va_end(list);
    e->status = status;
}

void rml_emit_need(rml_emitter *e, int opset)
{
    if (e->needs < opset)
        e->needs = opset;
}

void *rml_emit_alloc(rml_emitter *e, size_t count, size_t element_bytes)
{
    void *memory = rml_arena_alloc(e->arena, count ? count : 1, element_bytes);
    if (!memory)
        rml_emit_fail(e, RML_ERR_NOMEM, "out of memory: %zu elements of %zu bytes", count,
                      element_bytes);
    return memory;
}

// ---- names --------------------------------------------------------------------------------------

const char *rml_emit_name(rml_emitter *e, const char *wanted)
{
    const char *name = "";
    if (e->status == RML_OK)
        e->status = rml_name_take(&e->naming, wanted, &name, &e->error);
    return name;
}

const char *rml_emit_joined(rml_emitter *e, const char *base, const char *part)
{
    const size_t length = strlen(base) + strlen(part) + 2;
    char *text = rml_emit_alloc(e, length, 1);
    if (!text)
        return "";
    snprintf(text, length, "%s_%s", base, part);
    return text;
}

rml_operand rml_emit_part(rml_emitter *e, const rml_operand *base, const char *part,
                          const rml_shape *shape)
{
    const char *name = rml_emit_name(e, rml_emit_joined(e, base->name, part));
    return (rml_operand){name, base->dtype, *shape};
}

// ---- constants ----------------------------------------------------------------------------------

static void write_note(rml_fields *m, const char *key, const char *text)
{
    rml_fields_begin(m, 5);
    rml_fields_text(m, 1, key);
    rml_emit_text_value(m, 2, text);
    rml_fields_end(m);
}

static void begin_const(rml_emitter *e, const rml_operand *type)
{
    rml_fields_begin(e->m, RML_MIL_BLOCK_OPERATION);
    rml_fields_text(e->m, 1, "const");
    rml_emit_named_type(e->m, 3, type);
    write_note(e->m, "name", type->name);
}

void rml_emit_const(rml_emitter *e, const rml_operand *type, rml_elements elements)
{
    if (e->status != RML_OK) {
        rml_elements_release(&elements);
        return;
    }
    begin_const(e, type);
    rml_fields_begin(e->m, 5);
    rml_fields_text(e->m, 1, "val");
    rml_emit_numbers(e, 2, type, elements);
    rml_fields_end(e->m);
    rml_fields_end(e->m);
}

// Of memory that stays.
static rml_operand plain_const(rml_emitter *e, const char *name, rml_dtype dtype,
                               const rml_shape *shape, const void *data)
{
    const rml_operand type = {rml_emit_name(e, name), dtype, *shape};
    rml_elements elements = {.data = data, .allocator = e->w->allocator};
    if (!data || !rml_shape_count(shape, &elements.count))
        return type;
    elements.bytes = elements.count * rml_dtype_size(dtype);
    rml_emit_const(e, &type, elements);
    return type;
}

rml_operand rml_emit_floats(rml_emitter *e, const char *name, const float *data,
                            const rml_shape *shape, rml_dtype dtype)
{
    size_t count = 0;
    const void *own = data;
    rml_shape_count(shape, &count);
    if (dtype == RML_F16 && data) {
        uint16_t *halves = rml_emit_alloc(e, count, sizeof *halves);
        if (halves)
            rml_make_halves(data, halves, count, &e->losses);
        own = halves;
    }
    return plain_const(e, name, dtype, shape, own);
}

rml_operand rml_emit_list(rml_emitter *e, const char *name, const int64_t *data, int count)
{
    int32_t *list = rml_emit_alloc(e, (size_t)count, sizeof *list);
    for (int i = 0; i < count && list; i++) {
        list[i] = (int32_t)data[i];
        if (list[i] != data[i])
            rml_emit_fail(e, RML_ERR_UNSUPPORTED, "%s: %lld does not fit 32 bits", name,
                          (long long)data[i]);
    }
    return plain_const(e, name, RML_I32, &(rml_shape){1, {count}}, list);
}

rml_operand rml_emit_number(rml_emitter *e, const char *name, double number, rml_dtype dtype)
{
    const rml_shape scalar = {0};
    const float real = (float)number;
    int32_t *whole = rml_emit_alloc(e, 1, sizeof *whole);
    float *copy = rml_emit_alloc(e, 1, sizeof *copy);
    if (!copy || !whole)
        return (rml_operand){.name = ""};
    if (dtype == RML_I32 && !(number >= INT32_MIN && number <= INT32_MAX)) {
        rml_emit_fail(e, RML_ERR_UNSUPPORTED, "%s: %.0f does not fit 32 bits", name, number);
        return (rml_operand){.name = ""};
    }
    *copy = real;
    if (dtype == RML_F32 || dtype == RML_F16)
        return rml_emit_floats(e, name, copy, &scalar, dtype);
    if (dtype == RML_BOOL)
        *(uint8_t *)whole = number != 0;
    else
        *whole = (int32_t)number;
    return plain_const(e, name, dtype, &scalar, whole);
}

// ---- operations ---------------------------------------------------------------------------------

rml_emit_op rml_emit_begin(rml_emitter *e, const char *type, rml_operand out)
{
    return (rml_emit_op){.e = e, .type = type, .out = {out}, .out_count = 1};
}

void rml_emit_also(rml_emit_op *op, rml_operand out)
{
    if (op->out_count < RML_MAX_OUTPUTS)
        op->out[op->out_count++] = out;
}

void rml_emit_value(rml_emit_op *op, const char *key, rml_operand value)
{
    if (op->argument_count == RML_EMIT_ARGUMENTS) {
        rml_emit_fail(op->e, RML_ERR_INTERNAL, "%s has too many arguments", op->type);
        return;
    }
    op->argument[op->argument_count].key = key;
    op->argument[op->argument_count].name = value.name;
    op->argument[op->argument_count++].count = 1;
}

void rml_emit_tuple(rml_emit_op *op, const char *key, const rml_operand *values, int count)
{
    const char **names = rml_emit_alloc(op->e, (size_t)count, sizeof *names);
    for (int i = 0; i < count && names; i++)
        names[i] = values[i].name;
    rml_emit_value(op, key, (rml_operand){.name = ""});
    op->argument[op->argument_count - 1].names = names;
    op->argument[op->argument_count - 1].count = names ? count : 0;
}

// "<op>_<key>_0"
static const char *constant_name(rml_emit_op *op, const char *key)
{
    return rml_emit_joined(op->e, rml_emit_joined(op->e, op->out[0].name, key), "0");
}

void rml_emit_int(rml_emit_op *op, const char *key, int64_t value)
{
    rml_emit_value(op, key, rml_emit_number(op->e, constant_name(op, key), (double)value, RML_I32));
}

void rml_emit_ints(rml_emit_op *op, const char *key, const int64_t *values, int count)
{
    rml_emit_value(op, key, rml_emit_list(op->e, constant_name(op, key), values, count));
}

void rml_emit_flag(rml_emit_op *op, const char *key, bool value)
{
    rml_emit_value(op, key, rml_emit_number(op->e, constant_name(op, key), value, RML_BOOL));
}

void rml_emit_flags(rml_emit_op *op, const char *key, const bool *values, int count)
{
    uint8_t *list = rml_emit_alloc(op->e, (size_t)count, sizeof *list);
    for (int i = 0; i < count && list; i++)
        list[i] = values[i];
    rml_emit_value(
        op, key,
        plain_const(op->e, constant_name(op, key), RML_BOOL, &(rml_shape){1, {count}}, list));
}

void rml_emit_text(rml_emit_op *op, const char *key, const char *value)
{
    rml_emitter *e = op->e;
    const rml_operand type = {rml_emit_name(e, constant_name(op, key)), RML_EMIT_TEXT, {0}};
    begin_const(e, &type);
    write_note(e->m, "val", value);
    rml_fields_end(e->m);
    rml_emit_value(op, key, type);
}

void rml_emit_natural(rml_emit_op *op, const char *key, uint32_t value)
{
    uint32_t *copy = rml_emit_alloc(op->e, 1, sizeof *copy);
    if (copy)
        *copy = value;
    rml_emit_value(op, key,
                   plain_const(op->e, constant_name(op, key), RML_U32, &(rml_shape){0}, copy));
}

void rml_emit_real(rml_emit_op *op, const char *key, double value)
{
    rml_emit_value(op, key, rml_emit_number(op->e, constant_name(op, key), value, op->e->real));
}

// Entries of a map come in the order of their keys, so that the bytes are the same every time.
static void sort_arguments(rml_emit_op *op)
{
    for (int i = 1; i < op->argument_count; i++)
        for (int k = i; k > 0 && strcmp(op->argument[k - 1].key, op->argument[k].key) > 0; k--) {
            const rml_emit_argument later = op->argument[k - 1];
            op->argument[k - 1] = op->argument[k];
            op->argument[k] = later;
        }
}

void rml_emit_open(rml_emit_op *op)
{
    rml_fields *m = op->e->m;
    sort_arguments(op);
    rml_fields_begin(m, RML_MIL_BLOCK_OPERATION);
    rml_fields_text(m, 1, op->type);
    for (int i = 0; i < op->argument_count; i++) {
        rml_fields_begin(m, 2);
        rml_fields_text(m, 1, op->argument[i].key);
        rml_fields_begin(m, 2);
        for (int k = 0; k < op->argument[i].count; k++) {
            rml_fields_begin(m, 1);
            rml_fields_text(
                m, 1, op->argument[i].names ? op->argument[i].names[k] : op->argument[i].name);
            rml_fields_end(m);
        }
        rml_fields_end(m);
        rml_fields_end(m);
    }
    for (int i = 0; i < op->out_count; i++)
        rml_emit_named_type(m, 3, &op->out[i]);
}

void rml_emit_close(rml_emit_op *op)
{
    write_note(op->e->m, "name", op->out[0].name);
    rml_fields_end(op->e->m);
}

rml_operand rml_emit_end(rml_emit_op *op)
{
    rml_emit_open(op);
    rml_emit_close(op);
    return op->out[0];
}

// ---- often needed -------------------------------------------------------------------------------

rml_operand rml_emit_unary(rml_emitter *e, const char *type, rml_operand x, rml_operand out)
{
    rml_emit_op op = rml_emit_begin(e, type, out);
    rml_emit_value(&op, "x", x);
    return rml_emit_end(&op);
}

rml_operand rml_emit_binary(rml_emitter *e, const char *type, rml_operand x, rml_operand y,
                            rml_operand out)
{
    rml_emit_op op = rml_emit_begin(e, type, out);
    rml_emit_value(&op, "x", x);
    rml_emit_value(&op, "y", y);
    return rml_emit_end(&op);
}

rml_operand rml_emit_with(rml_emitter *e, const char *type, rml_operand x, double number,
                          rml_operand out)
{
    const char *name = rml_emit_joined(e, out.name, "y_0");
    return rml_emit_binary(e, type, x, rml_emit_number(e, name, number, x.dtype), out);
}

// One size may be unknown.
rml_operand rml_emit_reshape(rml_emitter *e, rml_operand x, rml_operand out)
{
    rml_emit_op op = rml_emit_begin(e, "reshape", out);
    rml_emit_value(&op, "x", x);
    rml_emit_ints(&op, "shape", out.shape.dim, out.shape.rank);
    return rml_emit_end(&op);
}

rml_operand rml_emit_transpose(rml_emitter *e, rml_operand x, const int *perm, rml_operand out)
{
    int64_t order[RML_MAX_RANK];
    rml_emit_op op = rml_emit_begin(e, "transpose", out);
    for (int i = 0; i < x.shape.rank; i++)
        order[i] = perm[i];
    rml_emit_value(&op, "x", x);
    rml_emit_ints(&op, "perm", order, x.shape.rank);
    return rml_emit_end(&op);
}

rml_operand rml_emit_reduce(rml_emitter *e, const char *type, rml_operand x, const int64_t *axes,
                            int count, bool keep, rml_operand out)
{
    rml_emit_op op = rml_emit_begin(e, type, out);
    rml_emit_value(&op, "x", x);
    rml_emit_ints(&op, "axes", axes, count);
    rml_emit_flag(&op, "keep_dims", keep);
    return rml_emit_end(&op);
}

rml_operand rml_emit_cast(rml_emitter *e, rml_operand x, rml_operand out)
{
    rml_emit_op op = rml_emit_begin(e, "cast", out);
    rml_emit_value(&op, "x", x);
    rml_emit_text(&op, "dtype",
                  out.dtype == RML_F16    ? "fp16"
                  : out.dtype == RML_F32  ? "fp32"
                  : out.dtype == RML_BOOL ? "bool"
                                          : "int32");
    return rml_emit_end(&op);
}
