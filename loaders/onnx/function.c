// FunctionProto: operators that a file defines itself.
#include "loaders/onnx/reader.h"

#include "tensor/size.h"

#include <string.h>

// Numbers of FunctionProto's fields, and of ModelProto's with them.
enum {
    NAME = 1,
    ATTRIBUTE = 6,
    OPSET = 9,
    DOMAIN = 10,
    ATTRIBUTE_DEFAULT = 11,
    OVERLOAD = 13,
    MODEL_FUNCTIONS = 25,
};

// Domain, name and overload in one text. They are free of control characters.
static rml_status make_key(rml_arena *arena, const char *domain, const char *name,
                           const char *overload, const char **key, rml_error *err)
{
    const size_t bytes = strlen(domain) + strlen(name) + strlen(overload) + 3;
    char *text = rml_arena_alloc(arena, bytes, 1);
    if (!text)
        return rml_fail_nomem(err, bytes, "the name of a function");
    strcat(strcat(strcat(strcat(strcpy(text, domain), "\n"), name), "\n"), overload);
    *key = text;
    return RML_OK;
}

rml_status rml_onnx_find_function(rml_onnx_reader *reader, rml_onnx_node *node)
{
    const char *key = NULL;
    size_t place = 0;
    if (reader->file->function_count == 0)
        return RML_OK;
    RML_TRY(make_key(&reader->file->arena, node->domain, node->op_type, node->overload, &key,
                     reader->fields.err));
    if (rml_names_find(&reader->functions, key, strlen(key), &place))
        node->function = &reader->file->function[place];
    return RML_OK;
}

static rml_status declare(rml_onnx_reader *reader, const rml_protobuf *message, size_t place,
                          rml_onnx_function *function)
{
    const rml_message_want wants[] = {
        {NAME, RML_WANT_NAME, "a function's name", &function->name},
        {DOMAIN, RML_WANT_NAME, "a function's domain", &function->domain},
        {OVERLOAD, RML_WANT_NAME, "a function's overload", &function->overload},
        {0}};
    const char *key = NULL;
    size_t now = 0;
    function->name = function->domain = function->overload = "";
    RML_TRY(rml_message_read(&reader->fields, message, wants));
    if (strcmp(function->domain, "ai.onnx") == 0)
        function->domain = "";
    RML_TRY(make_key(&reader->file->arena, function->domain, function->name, function->overload,
                     &key, reader->fields.err));
    RML_TRY(rml_names_add(&reader->functions, key, strlen(key), place, &now, reader->fields.err));
    char quoted[RML_QUOTE_BYTES];
    if (now != place)
        return rml_fail(reader->fields.err, RML_ERR_FORMAT,
                        "damaged file: two functions are named \"%s\"",
                        rml_quote(quoted, function->name, strlen(function->name)));
    return RML_OK;
}

rml_status rml_onnx_declare_functions(rml_onnx_reader *reader, const rml_protobuf *message)
{
    rml_onnx *file = reader->file;
    rml_protobuf rest = *message, inside;
    bool more = true;
    size_t count = 0;
    RML_TRY(rml_message_count(message, MODEL_FUNCTIONS, &count, reader->fields.err));
    RML_TRY(rml_message_array(&reader->fields, count, sizeof *file->function, &file->function));
    file->function_count = count;
    for (size_t i = 0; i < count; i++) {
        RML_TRY(rml_message_inside(&rest, MODEL_FUNCTIONS, "a function", &inside, &more,
                                   reader->fields.err));
        RML_TRY(declare(reader, &inside, i, &file->function[i]));
    }
    return RML_OK;
}

// ---- bodies -----------------------------------------------------------------------------------

static rml_status read_attributes(rml_onnx_reader *reader, const rml_protobuf *message,
                                  rml_onnx_function *function)
{
    rml_protobuf rest = *message, inside;
    rml_protobuf_field field;
    bool more = true;
    const char **name = NULL;
    rml_onnx_attribute *attribute = NULL;
    RML_TRY(rml_message_count(message, ATTRIBUTE, &function->attribute_count, reader->fields.err));
    RML_TRY(rml_message_count(message, ATTRIBUTE_DEFAULT, &function->default_count,
                              reader->fields.err));
    RML_TRY(rml_message_array(&reader->fields, function->attribute_count, sizeof *name, &name));
    RML_TRY(
        rml_message_array(&reader->fields, function->default_count, sizeof *attribute, &attribute));
    function->attribute = name;
    function->attribute_default = attribute;
    for (;;) {
        RML_TRY(rml_protobuf_next(&rest, &field, &more, reader->fields.err));
        if (!more)
            return RML_OK;
        if (field.number == ATTRIBUTE)
            RML_TRY(rml_message_name(&reader->fields, &field, "a function's attribute", name++));
        if (field.number == ATTRIBUTE_DEFAULT) {
            RML_TRY(rml_protobuf_enter(&rest, &field, "an attribute", &inside, reader->fields.err));
            RML_TRY(rml_onnx_read_attribute(reader, NULL, &inside, attribute++));
        }
    }
}

static rml_status read_function(rml_onnx_reader *reader, const rml_protobuf *message,
                                rml_onnx_function *function)
{
    RML_TRY(rml_onnx_read_opsets(reader, message, OPSET, &function->opset, &function->opset_count));
    reader->opset = function->opset;
    reader->opset_count = function->opset_count;
    RML_TRY(read_attributes(reader, message, function));
    return rml_onnx_read_body(reader, message, &function->body);
}

// ---- calls ------------------------------------------------------------------------------------

// Counts the nodes of functions with all calls written out: few bytes could stand for endless
// nodes.
typedef struct call_walk {
    const rml_onnx *file;
    size_t *nodes; // of each function; 0: not counted yet, SIZE_MAX: being counted
    int depth;
    rml_error *err;
} call_walk;

static rml_status count_graph(call_walk *walk, const rml_onnx_graph *graph, size_t *total);

static rml_status count_call(call_walk *walk, const rml_onnx_function *function, size_t *total)
{
    char quoted[RML_QUOTE_BYTES];
    size_t *nodes = &walk->nodes[function - walk->file->function];
    if (*nodes == SIZE_MAX)
        return rml_fail(walk->err, RML_ERR_FORMAT,
                        "damaged file: function \"%s\" calls itself, directly or through others",
                        rml_quote(quoted, function->name, strlen(function->name)));
    if (*nodes == 0) {
        if (++walk->depth > RML_ONNX_MAX_CALL_DEPTH)
            return rml_fail(walk->err, RML_ERR_LIMIT,
                            "calls of functions are nested deeper than %d",
                            RML_ONNX_MAX_CALL_DEPTH);
        size_t inside = 1; // so that an empty function counts as counted
        *nodes = SIZE_MAX;
        RML_TRY(count_graph(walk, &function->body, &inside));
        *nodes = inside;
        walk->depth--;
    }
    *total += *nodes;
    return RML_OK;
}

static rml_status count_graph(call_walk *walk, const rml_onnx_graph *graph, size_t *total)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_onnx_node *node = &graph->node[i];
        *total += 1;
        if (node->function)
            RML_TRY(count_call(walk, node->function, total));
        if (*total > RML_ONNX_MAX_NODES)
            return rml_fail(walk->err, RML_ERR_LIMIT,
                            "more than %zu nodes once the calls of functions are written out",
                            RML_ONNX_MAX_NODES);
        for (size_t k = 0; k < node->attribute_count; k++) {
            const rml_onnx_attribute *attribute = &node->attribute[k];
            for (size_t g = 0; attribute->kind == RML_ONNX_GRAPHS && g < attribute->count; g++)
                RML_TRY(count_graph(walk, &attribute->u.graph[g], total));
        }
    }
    return RML_OK;
}

rml_status rml_onnx_read_functions(rml_onnx_reader *reader, const rml_protobuf *message)
{
    rml_onnx *file = reader->file;
    rml_protobuf rest = *message, inside;
    bool more = true;
    for (size_t i = 0; i < file->function_count; i++) {
        RML_TRY(rml_message_inside(&rest, MODEL_FUNCTIONS, "a function", &inside, &more,
                                   reader->fields.err));
        rml_status status = read_function(reader, &inside, &file->function[i]);
        if (status != RML_OK) {
            char context[RML_QUOTE_BYTES + 16] = "function \"", quoted[RML_QUOTE_BYTES];
            const char *name = file->function[i].name;
            strcat(strcat(context, rml_quote(quoted, name, strlen(name))), "\"");
            rml_error_prefix(reader->fields.err, context);
            return status;
        }
    }
    call_walk walk = {.file = file, .err = reader->fields.err};
    size_t total = 0;
    RML_TRY(
        rml_message_array(&reader->fields, file->function_count, sizeof *walk.nodes, &walk.nodes));
    for (size_t i = 0; i < file->function_count; i++) {
        total = 0;
        RML_TRY(count_call(&walk, &file->function[i], &total));
    }
    total = 0;
    return count_graph(&walk, &file->graph, &total);
}
