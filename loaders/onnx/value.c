// Values of a graph: their names, and what a file says of their types.
#include "loaders/onnx/reader.h"

#include <stdio.h>
#include <string.h>

rml_status rml_onnx_add_value(rml_onnx_reader *reader, rml_onnx_scope *scope,
                              const rml_onnx_value *value, uint32_t *id)
{
    rml_onnx *file = reader->file;
    char quoted[RML_QUOTE_BYTES];
    const size_t bytes = strlen(value->name);
    size_t now = 0;
    if (file->value_count >= RML_ONNX_MAX_VALUES)
        return rml_fail(reader->fields.err, RML_ERR_LIMIT, "more than %zu values",
                        RML_ONNX_MAX_VALUES);
    rml_onnx_value *grown = rml_grow(file->allocator, file->value, &file->value_capacity,
                                     file->value_count + 1, sizeof *grown);
    if (!grown)
        return rml_fail_nomem(reader->fields.err, file->value_count * sizeof *grown,
                              "a table of values");
    file->value = grown;
    *id = (uint32_t)file->value_count;
    RML_TRY(rml_names_add(&scope->names, value->name, bytes, *id, &now, reader->fields.err));
    if (now != *id)
        return rml_fail(reader->fields.err, RML_ERR_FORMAT,
                        "damaged file: two values of one graph are named \"%s\"",
                        rml_quote(quoted, value->name, bytes));
    file->value[file->value_count++] = *value;
    return RML_OK;
}

rml_status rml_onnx_find_value(rml_onnx_reader *reader, const rml_onnx_scope *scope,
                               const char *name, const char *what, uint32_t *id)
{
    char quoted[RML_QUOTE_BYTES];
    const size_t bytes = strlen(name);
    size_t value = 0;
    rml_quote(quoted, name, bytes);
    for (const rml_onnx_scope *s = scope; s; s = s->outer) {
        if (!rml_names_find(&s->names, name, bytes, &value))
            continue;
        *id = (uint32_t)value;
        return RML_OK;
    }
    return rml_fail(reader->fields.err, RML_ERR_FORMAT,
                    "%s \"%s\" is given nowhere: neither an input, nor an initializer, nor what a "
                    "node computes",
                    what, quoted);
}

rml_status rml_onnx_read_value_info(rml_onnx_reader *reader, const rml_protobuf *message,
                                    const rml_protobuf_field *info, const char **name,
                                    const rml_onnx_type **type)
{
    rml_protobuf inside, type_message = {.data = NULL};
    char quoted[RML_QUOTE_BYTES];
    *name = "";
    RML_TRY(
        rml_protobuf_enter(message, info, "a value's description", &inside, reader->fields.err));
    RML_TRY(
        rml_message_read(&reader->fields, &inside,
                         (const rml_message_want[]){{1, RML_WANT_NAME, "a value's name", name},
                                                    {2, RML_WANT_MESSAGE, "a type", &type_message},
                                                    {0}}));
    if (!**name)
        return rml_fail(reader->fields.err, RML_ERR_FORMAT,
                        "damaged file: the value described at byte %zu has no name", info->at);
    *type = NULL;
    if (!type_message.data)
        return RML_OK;
    rml_onnx_type *read = NULL;
    char what[RML_QUOTE_BYTES + 2];
    snprintf(what, sizeof what, "\"%s\"", rml_quote(quoted, *name, strlen(*name)));
    RML_TRY(rml_message_array(&reader->fields, 1, sizeof *read, &read));
    RML_TRY(rml_onnx_read_type(reader, &type_message, what, read));
    *type = read;
    return RML_OK;
}
