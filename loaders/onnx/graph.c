// GraphProto, and the body of FunctionProto: names become numbers, and what is read must be there.
//
// A graph is gone over several times, because the file has its nodes before its initializers and
// inputs: values first (initializers, inputs, what nodes compute), then what nodes read, then
// attributes, in which there may be graphs that read this one's values.
#include "loaders/onnx/reader.h"

#include "tensor/tensor.h"

#include <string.h>

// Numbers of fields; 0 for what a message of this kind has not.
typedef struct graph_fields {
    uint32_t node, input, output, value_info, initializer, sparse_initializer, name;
    bool has_types; // inputs and outputs are ValueInfoProto; otherwise names
} graph_fields;

static const graph_fields of_graph = {1, 11, 12, 13, 5, 15, 2, true};
static const graph_fields of_function = {7, 4, 5, 12, 0, 0, 0, false};

// ---- inputs, initializers, outputs -------------------------------------------------------------

// An input that has an initializer: both must say the same.
static rml_status check_default(rml_onnx_reader *reader, const rml_onnx_value *value,
                                const rml_onnx_type *type)
{
    char name[RML_QUOTE_BYTES], declared[RML_SHAPE_TEXT_BYTES], stored[RML_SHAPE_TEXT_BYTES];
    if (!type || type->kind != RML_ONNX_TENSOR)
        return RML_OK;
    const rml_onnx_tensor *tensor = value->tensor;
    const rml_shape *shape = &tensor->stored.shape;
    bool same = type->element == 0 || type->element == tensor->element;
    if (type->has_shape) {
        same = same && type->shape.rank == shape->rank;
        for (int i = 0; same && i < shape->rank; i++)
            same = type->shape.dim[i] < 0 || type->shape.dim[i] == shape->dim[i];
    }
    if (same)
        return RML_OK;
    const char *element = rml_onnx_element_name(type->element);
    return rml_fail(reader->fields.err, RML_ERR_FORMAT,
                    "damaged file: input \"%s\" is %s %s, and its initializer %s %s",
                    rml_quote(name, value->name, strlen(value->name)), element ? element : "?",
                    rml_shape_text(&type->shape, declared), rml_onnx_element_name(tensor->element),
                    rml_shape_text(shape, stored));
}

static rml_status read_initializers(rml_onnx_reader *reader, rml_onnx_scope *scope,
                                    const rml_protobuf *message, const graph_fields *fields)
{
    rml_protobuf rest = *message, inside;
    rml_protobuf_field field;
    bool more = true;
    size_t count = 0;
    uint32_t id = 0;
    rml_onnx_tensor *tensors = NULL;
    RML_TRY(rml_message_count(message, fields->sparse_initializer, &count, reader->fields.err));
    if (count > 0)
        return rml_fail(reader->fields.err, RML_ERR_UNSUPPORTED,
                        "%zu sparse initializers, which are not supported", count);
    RML_TRY(rml_message_count(message, fields->initializer, &count, reader->fields.err));
    RML_TRY(rml_message_array(&reader->fields, count, sizeof *tensors, &tensors));
    for (size_t i = 0; i < count; i++) {
        RML_TRY(rml_message_next(&rest, fields->initializer, &field, &more, reader->fields.err));
        RML_TRY(rml_protobuf_enter(&rest, &field, "an initializer", &inside, reader->fields.err));
        RML_TRY(rml_onnx_read_tensor(reader, &inside, "an initializer", &tensors[i]));
        if (!*tensors[i].name)
            return rml_fail(reader->fields.err, RML_ERR_FORMAT,
                            "damaged file: the initializer at byte %zu has no name", field.at);
        const rml_onnx_value value = {
            .name = tensors[i].name, .kind = RML_ONNX_INITIALIZER, .tensor = &tensors[i]};
        RML_TRY(rml_onnx_add_value(reader, scope, &value, &id));
    }
    return RML_OK;
}

// Name and type of an input or output; *type is NULL where they are told by their names alone.
static rml_status read_port(rml_onnx_reader *reader, const rml_protobuf *message,
                            const rml_protobuf_field *field, const graph_fields *fields,
                            const char **name, const rml_onnx_type **type)
{
    *type = NULL;
    if (fields->has_types)
        return rml_onnx_read_value_info(reader, message, field, name, type);
    return rml_message_name(&reader->fields, field, "an input or output", name);
}

static rml_status read_inputs(rml_onnx_reader *reader, rml_onnx_scope *scope,
                              const rml_protobuf *message, const graph_fields *fields,
                              rml_onnx_graph *out)
{
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = true;
    size_t count = 0, now = 0;
    uint32_t *input = NULL;
    RML_TRY(rml_message_count(message, fields->input, &count, reader->fields.err));
    RML_TRY(rml_message_array(&reader->fields, count, sizeof *input, &input));
    out->input = input;
    for (size_t i = 0; i < count; i++) {
        rml_onnx_value value = {.kind = RML_ONNX_INPUT};
        RML_TRY(rml_message_next(&rest, fields->input, &field, &more, reader->fields.err));
        RML_TRY(read_port(reader, &rest, &field, fields, &value.name, &value.type));
        if (rml_names_find(&scope->names, value.name, strlen(value.name), &now) &&
            reader->file->value[now].kind == RML_ONNX_INITIALIZER) {
            RML_TRY(check_default(reader, &reader->file->value[now], value.type));
            reader->file->value[now].type = value.type;
        } else {
            RML_TRY(rml_onnx_add_value(reader, scope, &value, &input[out->input_count]));
            out->input_count++;
        }
    }
    return RML_OK;
}

static rml_status read_outputs(rml_onnx_reader *reader, const rml_onnx_scope *scope,
                               const rml_protobuf *message, const graph_fields *fields,
                               rml_onnx_graph *out)
{
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = true;
    const char *name = "";
    uint32_t *output = NULL;
    RML_TRY(rml_message_count(message, fields->output, &out->output_count, reader->fields.err));
    RML_TRY(rml_message_array(&reader->fields, out->output_count, sizeof *output, &output));
    out->output = output;
    for (size_t i = 0; i < out->output_count; i++) {
        const rml_onnx_type *type = NULL;
        RML_TRY(rml_message_next(&rest, fields->output, &field, &more, reader->fields.err));
        RML_TRY(read_port(reader, &rest, &field, fields, &name, &type));
        RML_TRY(rml_onnx_find_value(reader, scope, name, "output", &output[i]));
        rml_onnx_value *value = &reader->file->value[output[i]];
        if (!value->type)
            value->type = type;
    }
    return RML_OK;
}

// Types of values inside the graph; what it says of others is of no use.
static rml_status read_value_infos(rml_onnx_reader *reader, const rml_onnx_scope *scope,
                                   const rml_protobuf *message, const graph_fields *fields)
{
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = true;
    const char *name = "";
    size_t place = 0;
    for (;;) {
        const rml_onnx_type *type = NULL;
        RML_TRY(rml_message_next(&rest, fields->value_info, &field, &more, reader->fields.err));
        if (!more)
            return RML_OK;
        RML_TRY(rml_onnx_read_value_info(reader, &rest, &field, &name, &type));
        if (rml_names_find(&scope->names, name, strlen(name), &place) &&
            !reader->file->value[place].type)
            reader->file->value[place].type = type;
    }
}

// ---- graphs -----------------------------------------------------------------------------------

static rml_status read_parts(rml_onnx_reader *reader, rml_onnx_scope *scope,
                             const rml_protobuf *message, const graph_fields *fields,
                             rml_onnx_graph *out)
{
    const rml_message_want wants[] = {{fields->name, RML_WANT_NAME, "a graph's name", &out->name},
                                      {0}};
    RML_TRY(rml_message_read(&reader->fields, message, wants));
    RML_TRY(read_initializers(reader, scope, message, fields));
    RML_TRY(read_inputs(reader, scope, message, fields, out));
    RML_TRY(rml_onnx_read_nodes(reader, scope, message, fields->node, out));
    RML_TRY(read_outputs(reader, scope, message, fields, out));
    return read_value_infos(reader, scope, message, fields);
}

static rml_status read_any(rml_onnx_reader *reader, const rml_onnx_scope *outer,
                           const rml_protobuf *message, const graph_fields *fields,
                           rml_onnx_graph *out)
{
    rml_onnx_scope scope = {.outer = outer,
                            .value_begin = (uint32_t)reader->file->value_count,
                            .depth = outer ? outer->depth + 1 : 0};
    if (scope.depth > RML_ONNX_MAX_SUBGRAPH_DEPTH)
        return rml_fail(reader->fields.err, RML_ERR_LIMIT, "graphs are nested deeper than %d",
                        RML_ONNX_MAX_SUBGRAPH_DEPTH);
    *out = (rml_onnx_graph){.name = "", .value_begin = scope.value_begin};
    rml_names_init(&scope.names, reader->file->allocator);
    rml_status status = read_parts(reader, &scope, message, fields, out);
    rml_names_release(&scope.names);
    out->value_end = (uint32_t)reader->file->value_count;
    return status;
}

rml_status rml_onnx_read_graph(rml_onnx_reader *reader, const rml_onnx_scope *outer,
                               const rml_protobuf *message, rml_onnx_graph *out)
{
    return read_any(reader, outer, message, &of_graph, out);
}

rml_status rml_onnx_read_body(rml_onnx_reader *reader, const rml_protobuf *message,
                              rml_onnx_graph *out)
{
    return read_any(reader, NULL, message, &of_function, out);
}
