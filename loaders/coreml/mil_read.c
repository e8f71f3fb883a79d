// Functions, blocks and operations of an ML Program.
#include "loaders/coreml/mil.h"
#include "loaders/coreml/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct program_reader {
    rml_coreml *file;
    rml_message_reader fields;
    size_t operations; // so far
} program_reader;

static rml_status array(const program_reader *reader, size_t count, size_t bytes, void *out)
{
    return rml_message_array(&reader->fields, count, bytes, out);
}

// ---- operations ---------------------------------------------------------------------------------

static rml_status read_ports(program_reader *reader, const rml_protobuf *message, uint32_t number,
                             const rml_mil_port **out, size_t *count)
{
    rml_error *err = reader->fields.err;
    rml_protobuf rest = *message, inside;
    bool more = true;
    rml_mil_port *port = NULL;
    RML_TRY(rml_message_count(message, number, count, err));
    RML_TRY(array(reader, *count, sizeof *port, &port));
    *out = port;
    for (size_t i = 0; i < *count; i++) {
        rml_protobuf type = {0};
        const rml_message_want wants[] = {{1, RML_WANT_NAME, "a value's name", &port[i].name},
                                          {2, RML_WANT_MESSAGE, "a value's type", &type},
                                          {0}};
        port[i].name = "";
        RML_TRY(rml_message_inside(&rest, number, "a value", &inside, &more, err));
        RML_TRY(rml_message_read(&reader->fields, &inside, wants));
        if (!*port[i].name || !type.data)
            return rml_fail(err, RML_ERR_FORMAT, "a value has no name or no type");
        RML_TRY(rml_mil_read_type(&reader->fields, &type, &port[i].type));
    }
    return RML_OK;
}

// A value of an operation.
static rml_status read_value(program_reader *reader, const rml_mil_operation *operation,
                             const rml_protobuf *message, rml_mil_value *out)
{
    const rml_coreml_watch *watch = reader->file->watch;
    rml_error why;
    const rml_status status =
        rml_mil_read_value(reader->file, message, out, watch ? &why : reader->fields.err);
    if (!watch || status == RML_OK)
        return status;
    if (status == RML_ERR_NOMEM)
        return rml_fail(reader->fields.err, status, "%s", why.message);
    *out = (rml_mil_value){0};
    watch->unread(watch->user, operation->type,
                  operation->output_count ? operation->output[0].name : operation->type,
                  why.message);
    return RML_OK;
}

static rml_status read_binding(program_reader *reader, const rml_mil_operation *operation,
                               const rml_protobuf *message, rml_mil_binding *out)
{
    rml_protobuf inside = {0};
    rml_mil_value *value = NULL;
    const rml_message_want wants[] = {{1, RML_WANT_NAME, "a value's name", &out->name},
                                      {2, RML_WANT_MESSAGE, "a value", &inside},
                                      {0}};
    RML_TRY(rml_message_read(&reader->fields, message, wants));
    if (out->name)
        return RML_OK;
    RML_TRY(array(reader, 1, sizeof *value, &value));
    out->value = value;
    if (!inside.data)
        return rml_fail(reader->fields.err, RML_ERR_FORMAT, "an argument is empty");
    return read_value(reader, operation, &inside, value);
}

// Key and value of an entry of a map.
static rml_status read_entry(program_reader *reader, const rml_protobuf *entry, const char **key,
                             rml_protobuf *value)
{
    const rml_message_want wants[] = {
        {1, RML_WANT_NAME, "a key", key}, {2, RML_WANT_MESSAGE, "an entry", value}, {0}};
    *key = "";
    *value = (rml_protobuf){0};
    RML_TRY(rml_message_read(&reader->fields, entry, wants));
    return value->data ? RML_OK
                       : rml_fail(reader->fields.err, RML_ERR_FORMAT, "\"%s\" is empty", *key);
}

static rml_status read_argument(program_reader *reader, const rml_mil_operation *operation,
                                const rml_protobuf *entry, rml_mil_argument *out)
{
    rml_error *err = reader->fields.err;
    rml_protobuf value, inside;
    bool more = true;
    rml_mil_binding *binding = NULL;
    RML_TRY(read_entry(reader, entry, &out->name, &value));
    RML_TRY(rml_message_count(&value, 1, &out->count, err));
    RML_TRY(array(reader, out->count, sizeof *binding, &binding));
    out->binding = binding;
    for (size_t i = 0; i < out->count; i++) {
        RML_TRY(rml_message_inside(&value, 1, "an argument", &inside, &more, err));
        RML_TRY(read_binding(reader, operation, &inside, &binding[i]));
    }
    return RML_OK;
}

static rml_status read_arguments(program_reader *reader, const rml_protobuf *message,
                                 rml_mil_operation *out)
{
    enum { INPUTS = 2, ATTRIBUTES = 5 };
    rml_error *err = reader->fields.err;
    rml_protobuf rest = *message, entry, value;
    bool more = true;
    rml_mil_argument *argument = NULL;
    rml_mil_attribute *attribute = NULL;
    RML_TRY(rml_message_count(message, INPUTS, &out->argument_count, err));
    RML_TRY(rml_message_count(message, ATTRIBUTES, &out->attribute_count, err));
    if (out->argument_count > RML_MIL_MAX_ARGUMENTS || out->attribute_count > RML_MIL_MAX_ARGUMENTS)
        return rml_fail(err, RML_ERR_LIMIT, "an operation of %zu arguments, the limit is %d",
                        out->argument_count + out->attribute_count, RML_MIL_MAX_ARGUMENTS);
    RML_TRY(array(reader, out->argument_count, sizeof *argument, &argument));
    RML_TRY(array(reader, out->attribute_count, sizeof *attribute, &attribute));
    out->argument = argument;
    out->attribute = attribute;
    for (size_t i = 0; i < out->argument_count; i++) {
        RML_TRY(rml_message_inside(&rest, INPUTS, "an argument", &entry, &more, err));
        RML_TRY(read_argument(reader, out, &entry, &argument[i]));
    }
    rest = *message;
    for (size_t i = 0; i < out->attribute_count; i++) {
        RML_TRY(rml_message_inside(&rest, ATTRIBUTES, "an attribute", &entry, &more, err));
        RML_TRY(read_entry(reader, &entry, &attribute[i].name, &value));
        RML_TRY(read_value(reader, out, &value, &attribute[i].value));
    }
    return RML_OK;
}

static rml_status read_block(program_reader *reader, const rml_protobuf *message, int depth,
                             rml_mil_block *out);

static rml_status read_blocks(program_reader *reader, const rml_protobuf *message, int depth,
                              rml_mil_operation *out)
{
    enum { BLOCKS = 4 };
    rml_error *err = reader->fields.err;
    rml_protobuf rest = *message, inside;
    bool more = true;
    rml_mil_block *block = NULL;
    RML_TRY(rml_message_count(message, BLOCKS, &out->block_count, err));
    RML_TRY(array(reader, out->block_count, sizeof *block, &block));
    out->block = block;
    for (size_t i = 0; i < out->block_count; i++) {
        RML_TRY(rml_message_inside(&rest, BLOCKS, "a block", &inside, &more, err));
        RML_TRY(read_block(reader, &inside, depth + 1, &block[i]));
    }
    return RML_OK;
}

static const char *name_of(const rml_mil_operation *operation)
{
    for (size_t i = 0; i < operation->attribute_count; i++) {
        const rml_mil_attribute *attribute = &operation->attribute[i];
        if (strcmp(attribute->name, "name") == 0 && attribute->value.text &&
            attribute->value.count == 1 &&
            rml_text_is_clean(attribute->value.text->text, attribute->value.text->bytes))
            return attribute->value.text->text;
    }
    return operation->output_count ? operation->output[0].name : operation->type;
}

static rml_status read_operation(program_reader *reader, const rml_protobuf *message, int depth,
                                 rml_mil_operation *out)
{
    char quoted[RML_QUOTE_BYTES];
    const rml_message_want wants[] = {{1, RML_WANT_NAME, "an operation's type", &out->type}, {0}};
    out->type = "";
    RML_TRY(rml_message_read(&reader->fields, message, wants));
    if (!*out->type)
        return rml_fail(reader->fields.err, RML_ERR_FORMAT, "an operation has no type");
    if (++reader->operations > RML_MIL_MAX_OPERATIONS)
        return rml_fail(reader->fields.err, RML_ERR_LIMIT, "more than %zu operations",
                        RML_MIL_MAX_OPERATIONS);
    RML_TRY(read_ports(reader, message, 3, &out->output, &out->output_count));
    rml_quote(quoted, out->type, strlen(out->type));
    RML_TRY(rml_named(read_arguments(reader, message, out), reader->fields.err, quoted));
    out->name = name_of(out);
    return read_blocks(reader, message, depth, out);
}

// ---- blocks and functions -----------------------------------------------------------------------

static rml_status read_block(program_reader *reader, const rml_protobuf *message, int depth,
                             rml_mil_block *out)
{
    enum { INPUTS = 1, OUTPUTS, OPERATIONS };
    rml_error *err = reader->fields.err;
    rml_protobuf rest = *message, inside;
    bool more = true;
    rml_mil_operation *operation = NULL;
    if (depth > RML_MIL_MAX_DEPTH)
        return rml_fail(err, RML_ERR_LIMIT, "blocks are nested deeper than %d", RML_MIL_MAX_DEPTH);
    RML_TRY(read_ports(reader, message, INPUTS, &out->input, &out->input_count));
    RML_TRY(rml_message_texts(&reader->fields, message, OUTPUTS, "an output", &out->output,
                              &out->output_count));
    RML_TRY(rml_message_count(message, OPERATIONS, &out->operation_count, err));
    RML_TRY(array(reader, out->operation_count, sizeof *operation, &operation));
    out->operation = operation;
    for (size_t i = 0; i < out->operation_count; i++) {
        RML_TRY(rml_message_inside(&rest, OPERATIONS, "an operation", &inside, &more, err));
        RML_TRY(read_operation(reader, &inside, depth, &operation[i]));
    }
    return RML_OK;
}

// The block of a function that is for its operator set.
static rml_status read_specialization(program_reader *reader, const rml_protobuf *message,
                                      const char *opset, rml_mil_function *out)
{
    enum { SPECIALIZATIONS = 3 };
    rml_error *err = reader->fields.err;
    rml_protobuf rest = *message, entry, block;
    bool more = true;
    const char *key;
    for (;;) {
        RML_TRY(rml_message_inside(&rest, SPECIALIZATIONS, "a block", &entry, &more, err));
        if (!more)
            return rml_fail(err, RML_ERR_FORMAT, "function \"%s\" has no block for \"%s\"",
                            out->name, opset);
        RML_TRY(read_entry(reader, &entry, &key, &block));
        if (strcmp(key, opset) == 0)
            return read_block(reader, &block, 0, &out->block);
    }
}

static rml_status read_function(program_reader *reader, const rml_protobuf *message,
                                rml_mil_function *out)
{
    enum { FIRST = 5, LAST = 9 };
    const char *opset = "";
    const rml_message_want wants[] = {{2, RML_WANT_NAME, "an operator set", &opset}, {0}};
    RML_TRY(read_ports(reader, message, 1, &out->input, &out->input_count));
    RML_TRY(rml_message_read(&reader->fields, message, wants));
    if (strncmp(opset, "CoreML", 6) == 0)
        out->opset = atoi(opset + 6);
    if (out->opset < FIRST || out->opset > LAST)
        return rml_fail(reader->fields.err, RML_ERR_UNSUPPORTED,
                        "operator set \"%s\" is not known, CoreML%d to CoreML%d are", opset, FIRST,
                        LAST);
    return read_specialization(reader, message, opset, out);
}

rml_status rml_mil_read_block(rml_coreml *file, const rml_protobuf *message, rml_mil_block *out,
                              rml_error *err)
{
    program_reader reader = {.file = file, .fields = rml_coreml_messages(file, err)};
    *out = (rml_mil_block){0};
    return read_block(&reader, message, 0, out);
}

rml_status rml_mil_read_ports(rml_coreml *file, const rml_protobuf *message, uint32_t number,
                              const rml_mil_port **out, size_t *count, rml_error *err)
{
    program_reader reader = {.file = file, .fields = rml_coreml_messages(file, err)};
    return read_ports(&reader, message, number, out, count);
}

rml_status rml_mil_functions(rml_coreml *file, const rml_coreml_model *model, rml_mil_named **out,
                             size_t *count, rml_error *err)
{
    enum { FUNCTIONS = 2 };
    program_reader reader = {.file = file, .fields = rml_coreml_messages(file, err)};
    rml_protobuf rest = model->body, entry;
    int64_t version = 0;
    bool more = true;
    const rml_message_want wants[] = {{1, RML_WANT_INT, "a program's version", &version}, {0}};
    RML_TRY(rml_message_read(&reader.fields, &model->body, wants));
    if (version != 1)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "version %lld of ML Programs is not known, 1 is",
                        (long long)version);
    RML_TRY(rml_message_count(&model->body, FUNCTIONS, count, err));
    if (*count > RML_MIL_MAX_FUNCTIONS)
        return rml_fail(err, RML_ERR_LIMIT, "%zu functions, the limit is %d", *count,
                        RML_MIL_MAX_FUNCTIONS);
    RML_TRY(array(&reader, *count, sizeof **out, out));
    for (size_t i = 0; i < *count; i++) {
        RML_TRY(rml_message_inside(&rest, FUNCTIONS, "a function", &entry, &more, err));
        RML_TRY(read_entry(&reader, &entry, &(*out)[i].name, &(*out)[i].body));
        for (size_t k = 0; k < i; k++)
            if (strcmp((*out)[k].name, (*out)[i].name) == 0)
                return rml_fail(err, RML_ERR_FORMAT, "two functions are named \"%s\"",
                                (*out)[i].name);
    }
    return RML_OK;
}

static rml_status no_function(const rml_mil_named *list, size_t count, const char *name,
                              rml_status status, rml_error *err)
{
    char names[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                 list[i].name);
    return rml_fail(err, status, "there is no function \"%.80s\"; there are: %s", name,
                    count ? names : "none");
}

rml_status rml_mil_choose(rml_coreml *file, const rml_coreml_model *model, const char *wanted,
                          rml_mil_named *out, rml_error *err)
{
    rml_mil_named *list;
    size_t count, at = 0;
    RML_TRY(rml_mil_functions(file, model, &list, &count, err));
    const char *name = *wanted                    ? wanted
                       : *model->default_function ? model->default_function
                                                  : "main";
    const bool any = count == 1 && !*wanted && !*model->default_function;
    while (at < count && !any && strcmp(list[at].name, name) != 0)
        at++;
    if (at == count)
        return no_function(list, count, name, *wanted ? RML_ERR_ARG : RML_ERR_FORMAT, err);
    *out = list[at];
    return RML_OK;
}

static void keep_first(void *user, const rml_error *fault)
{
    rml_error *first = user;
    if (first->status == RML_OK)
        *first = *fault;
}

rml_status rml_mil_read(rml_coreml *file, const rml_mil_named *from, rml_mil_function *out,
                        rml_error *err)
{
    program_reader reader = {.file = file, .fields = rml_coreml_messages(file, err)};
    *out = (rml_mil_function){.name = from->name};
    RML_TRY(read_function(&reader, &from->body, out));
    rml_error fault = {0};
    if (!file->watch)
        rml_mil_overlaps(file, keep_first, &fault);
    return fault.status == RML_OK ? RML_OK : rml_fail(err, fault.status, "%s", fault.message);
}
