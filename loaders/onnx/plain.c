// Operators that differ from one of ours in names alone: their attributes go to fields of its own.
#include "loaders/onnx/make.h"

#include <string.h>

int rml_onnx_word(rml_onnx_call *call, const char *name, const char *words, int absent)
{
    const char *text = rml_onnx_text_of(call, name, NULL);
    const size_t bytes = text ? strlen(text) : 0;
    if (!text)
        return absent;
    for (int i = 0; *words; i++) {
        const size_t length = strcspn(words, " ");
        if (length == bytes && strncmp(words, text, length) == 0)
            return i;
        words += length + (words[length] == ' ');
    }
    rml_onnx_refuse(call, "%s \"%.40s\" is not supported", name, text);
    return absent;
}

int rml_onnx_axis(rml_onnx_call *call, const char *name, int64_t absent)
{
    const int64_t axis = rml_onnx_int(call, name, absent);
    if (axis < -RML_MAX_RANK || axis > RML_MAX_RANK)
        rml_onnx_refuse(call, "there is no axis %lld", (long long)axis);
    return (int)axis;
}

int rml_onnx_axes(rml_onnx_call *call, const char *name, int *axes)
{
    int64_t list[RML_MAX_RANK];
    const int count = rml_onnx_axes_list(call, name, list, RML_MAX_RANK);
    for (int i = 0; i < count; i++) // what is no axis stays none when it is made shorter
        axes[i] = list[i] < -RML_MAX_RANK || list[i] > RML_MAX_RANK ? RML_MAX_RANK : (int)list[i];
    return count;
}

// The list in the attribute where the input is not there, or the input as i64.
static rml_value_id input_of(rml_onnx_call *call, const rml_onnx_field *field)
{
    const rml_value_id in = rml_onnx_in(call, field->input);
    return field->kind == RML_FIELD_LIST && in != RML_NO_VALUE
               ? in
               : rml_onnx_list(call, field->input, field->name);
}

static void read_field(rml_onnx_call *call, const rml_onnx_field *field, rml_op_attr *attr)
{
    void *to = (char *)attr + field->at;
    const char *name = field->name;
    switch (field->kind) {
    case RML_FIELD_INT:
        *(int64_t *)to = rml_onnx_int(call, name, field->absent);
        break;
    case RML_FIELD_AXIS:
        *(int *)to = rml_onnx_axis(call, name, field->absent);
        break;
    case RML_FIELD_AXES:
        *(int *)to = rml_onnx_axes(call, name, (int *)to + 1);
        if (!rml_onnx_has(call, name))
            *(int *)to = field->absent;
        break;
    case RML_FIELD_FLAG:
        *(bool *)to = rml_onnx_int(call, name, field->absent) != 0;
        break;
    case RML_FIELD_UNLESS:
        *(bool *)to = rml_onnx_int(call, name, field->absent) == 0;
        break;
    case RML_FIELD_ABSENT:
        *(bool *)to = !rml_onnx_has(call, name);
        break;
    case RML_FIELD_FLOAT:
        *(float *)to = (float)rml_onnx_float(call, name, field->number);
        break;
    case RML_FIELD_INT_AS_FLOAT:
        *(float *)to = (float)rml_onnx_int(call, name, field->absent);
        break;
    case RML_FIELD_NUMBER:
        *(float *)to = (float)field->number;
        break;
    case RML_FIELD_DTYPE:
        *(rml_dtype *)to = rml_onnx_dtype_of(
            call, name, field->absent < 0 ? rml_onnx_fact(call, 0).dtype : RML_F32);
        break;
    case RML_FIELD_WORD: // an enum: they are of one size
        *(int *)to = rml_onnx_word(call, name, field->words, field->absent);
        break;
    case RML_FIELD_WORD_FLAG:
        *(bool *)to = rml_onnx_word(call, name, field->words, field->absent) != 0;
        break;
    case RML_FIELD_OPTION:
        *(int *)to = rml_onnx_option(call);
        break;
    case RML_FIELD_OPTION_FLAG:
        *(bool *)to = rml_onnx_option(call) != 0;
        break;
    default:
        rml_onnx_ignore(call, name);
    }
}

void rml_onnx_import_plain(rml_onnx_call *call, rml_op_id op, const rml_onnx_field *fields)
{
    enum { MOST = 8 }; // inputs of an operator with lists among them
    rml_op_attr attr = {0};
    rml_value_id in[MOST];
    const rml_value_id *from = call->in;
    int count = call->in_count;
    for (int i = 0; i < MOST; i++)
        in[i] = rml_onnx_in(call, i);
    for (const rml_onnx_field *field = fields; field && field->kind; field++)
        if (field->kind != RML_FIELD_LIST && field->kind != RML_FIELD_I64) {
            read_field(call, field, &attr);
        } else if (call->in_count <= MOST) {
            in[field->input] = input_of(call, field);
            from = in;
            if (in[field->input] != RML_NO_VALUE && field->input >= count)
                count = field->input + 1;
        }
    rml_onnx_emit(call, op, &attr, from, count);
}
