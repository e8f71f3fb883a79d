// What handlers ask of an operation: its arguments.
#include "loaders/coreml/mil_importer.h"

#include "loaders/formats/bytes.h"
#include "tensor/dtype.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const rml_mil_argument *argument_of(const rml_mil_call *call, const char *name)
{
    for (size_t i = 0; i < call->operation->argument_count; i++)
        if (strcmp(call->operation->argument[i].name, name) == 0)
            return &call->operation->argument[i];
    return NULL;
}

static const rml_mil_argument *ask(rml_mil_call *call, const char *name)
{
    const rml_mil_argument *argument = argument_of(call, name);
    if (argument)
        call->asked |= (uint64_t)1 << (argument - call->operation->argument);
    return argument && argument->count > 0 ? argument : NULL;
}

bool rml_mil_has(const rml_mil_call *call, const char *name)
{
    const rml_mil_argument *argument = argument_of(call, name);
    return argument && argument->count > 0;
}

// ---- values of the graph ------------------------------------------------------------------------

static rml_value_id value_of(rml_mil_call *call, const rml_mil_binding *binding)
{
    rml_value_id value = RML_NO_VALUE;
    rml_mil_place literal = {.constant = binding->value};
    rml_mil_place *place = binding->name ? rml_mil_find(call->importer, binding->name) : &literal;
    if (!place) {
        rml_coreml_refuse(&call->make, "\"%.64s\" is given nowhere before", binding->name);
        return RML_NO_VALUE;
    }
    rml_error error = {0};
    rml_error *outer = call->importer->err;
    call->importer->err = &error;
    const rml_status status = rml_mil_materialise(call->importer, place, &value);
    call->importer->err = outer;
    if (status != RML_OK)
        rml_graph_fail(call->make.graph, status, "%s", error.message);
    return value;
}

rml_value_id rml_mil_optional(rml_mil_call *call, const char *name)
{
    const rml_mil_argument *argument = ask(call, name);
    if (!argument)
        return RML_NO_VALUE;
    if (argument->count > 1)
        rml_coreml_refuse(&call->make, "argument \"%s\" has %zu values", name, argument->count);
    return value_of(call, argument->binding);
}

rml_value_id rml_mil_in(rml_mil_call *call, const char *name)
{
    if (!rml_mil_has(call, name))
        rml_coreml_refuse(&call->make, "it has no argument \"%s\"", name);
    return rml_mil_optional(call, name);
}

int rml_mil_tuple(rml_mil_call *call, const char *name, rml_value_id *values, int capacity)
{
    const rml_mil_argument *argument = ask(call, name);
    if (!argument || argument->count > (size_t)capacity) {
        rml_coreml_refuse(&call->make, "argument \"%s\" has %zu values, 1 to %d are supported",
                          name, argument ? argument->count : 0, capacity);
        return 0;
    }
    for (size_t i = 0; i < argument->count; i++)
        values[i] = value_of(call, &argument->binding[i]);
    return (int)argument->count;
}

// ---- constants ----------------------------------------------------------------------------------

static const rml_mil_value *constant_of(rml_mil_call *call, const char *name,
                                        const rml_mil_binding *binding)
{
    if (!binding->name)
        return binding->value;
    const rml_mil_place *place = rml_mil_find(call->importer, binding->name);
    if (!place || !place->constant)
        rml_coreml_refuse(&call->make, "argument \"%s\" is not constant", name);
    return place ? place->constant : NULL;
}

const rml_mil_value *rml_mil_constant(rml_mil_call *call, const char *name)
{
    const rml_mil_argument *argument = ask(call, name);
    if (!argument)
        return NULL;
    if (argument->count != 1) {
        rml_coreml_refuse(&call->make, "argument \"%s\" has %zu values", name, argument->count);
        return NULL;
    }
    return constant_of(call, name, argument->binding);
}

const rml_mil_value *rml_mil_required(rml_mil_call *call, const char *name)
{
    const rml_mil_value *value = rml_mil_constant(call, name);
    if (!value)
        rml_coreml_refuse(&call->make, "it has no argument \"%s\"", name);
    return value;
}

int64_t rml_mil_integer(const rml_mil_value *value, size_t index)
{
    const int element = value->type.element;
    const int bits = rml_mil_bits(element);
    if (index >= value->count || !value->data)
        return 0;
    if (bits < 8 || element == RML_MIL_F8E4M3FN || element == RML_MIL_F8E5M2)
        return 0;
    const uint8_t *at = value->data + index * (size_t)bits / 8;
    const uint64_t raw = rml_le(at, (size_t)bits / 8);
    switch (element) {
    case RML_MIL_I8:
        return (int8_t)raw;
    case RML_MIL_I16:
        return (int16_t)raw;
    case RML_MIL_I32:
        return (int32_t)raw;
    case RML_MIL_F16:
    case RML_MIL_F32:
    case RML_MIL_F64:
    case RML_MIL_BF16: {
        const double number = rml_mil_number(value, index);
        return number >= -0x1p62 && number <= 0x1p62 ? (int64_t)number : 0;
    }
    default:
        return (int64_t)raw;
    }
}

double rml_mil_number(const rml_mil_value *value, size_t index)
{
    rml_dtype dtype;
    if (index >= value->count || !value->data || !rml_mil_dtype(value->type.element, &dtype))
        return 0;
    const uint8_t *at = value->data + index * rml_dtype_size(dtype);
    if (dtype == RML_F64) {
        double number;
        memcpy(&number, at, sizeof number);
        return number;
    }
    return rml_dtype_is_float(dtype) ? (double)rml_dtype_load_f32(dtype, at)
                                     : (double)rml_mil_integer(value, index);
}

// Of a type that is read here: no words, and no elements of fewer than 8 bits.
static bool are_numbers(const rml_mil_value *value)
{
    rml_dtype dtype;
    return value->type.kind == RML_MIL_TENSOR && rml_mil_dtype(value->type.element, &dtype);
}

// One number, or NULL where the argument is left out.
static const rml_mil_value *single(rml_mil_call *call, const char *name)
{
    const rml_mil_value *value = rml_mil_constant(call, name);
    if (value && (value->count != 1 || !are_numbers(value))) {
        rml_coreml_refuse(&call->make, "argument \"%s\" is not one number", name);
        return NULL;
    }
    return value;
}

int64_t rml_mil_int(rml_mil_call *call, const char *name, int64_t absent)
{
    const rml_mil_value *value = single(call, name);
    return value ? rml_coreml_held(rml_mil_integer(value, 0)) : absent;
}

double rml_mil_float(rml_mil_call *call, const char *name, double absent)
{
    const rml_mil_value *value = single(call, name);
    return value ? rml_mil_number(value, 0) : absent;
}

bool rml_mil_flag(rml_mil_call *call, const char *name, bool absent)
{
    return rml_mil_int(call, name, absent) != 0;
}

int rml_mil_ints(rml_mil_call *call, const char *name, int64_t *list, int capacity)
{
    const rml_mil_value *value = rml_mil_constant(call, name);
    if (!value)
        return -1;
    if (value->count > (size_t)capacity || !are_numbers(value)) {
        rml_coreml_refuse(&call->make, "argument \"%s\" is no list of at most %d numbers", name,
                          capacity);
        return -1;
    }
    for (size_t i = 0; i < value->count; i++)
        list[i] = rml_coreml_held(rml_mil_integer(value, i));
    return (int)value->count;
}

int rml_mil_tuple_of_ints(rml_mil_call *call, const char *name, int64_t *list, int capacity)
{
    const rml_mil_argument *argument = ask(call, name);
    const size_t count = argument ? argument->count : 0;
    for (size_t i = 0; i < count && i < (size_t)capacity; i++) {
        const rml_mil_value *value = constant_of(call, name, &argument->binding[i]);
        if (!value || value->count != 1 || !are_numbers(value))
            rml_coreml_refuse(&call->make, "argument \"%s\" is no tuple of numbers", name);
        else
            list[i] = rml_coreml_held(rml_mil_integer(value, 0));
    }
    return count > (size_t)capacity ? capacity + 1 : (int)count;
}

int rml_mil_axes(rml_mil_call *call, const char *name, int *list, int capacity)
{
    int64_t wide[RML_MAX_RANK];
    const int count =
        rml_mil_ints(call, name, wide, capacity < RML_MAX_RANK ? capacity : RML_MAX_RANK);
    for (int i = 0; i < count; i++) // what is no axis stays none when it is made shorter
        list[i] = wide[i] < -RML_MAX_RANK || wide[i] > RML_MAX_RANK ? RML_MAX_RANK : (int)wide[i];
    return count;
}

static bool same_word(const char *word, size_t bytes, const rml_text *text)
{
    if (bytes != text->bytes)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (tolower((unsigned char)word[i]) != tolower((unsigned char)text->text[i]))
            return false;
    return true;
}

int rml_mil_word(rml_mil_call *call, const char *name, const char *words, int absent)
{
    char quoted[RML_QUOTE_BYTES];
    const rml_mil_value *value = rml_mil_constant(call, name);
    if (!value)
        return absent;
    if (!value->text || value->count != 1) {
        rml_coreml_refuse(&call->make, "argument \"%s\" is no word", name);
        return absent;
    }
    for (int i = 0; *words; i++) {
        const size_t length = strcspn(words, " ");
        if (same_word(words, length, value->text))
            return i;
        words += length + (words[length] == ' ');
    }
    rml_coreml_refuse(&call->make, "%s \"%s\" is not supported", name,
                      rml_quote(quoted, value->text->text, value->text->bytes));
    return absent;
}
