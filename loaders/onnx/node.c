// NodeProto: what nodes compute and what they read.
#include "loaders/onnx/reader.h"

#include <stdio.h>
#include <string.h>

// Numbers of NodeProto's fields.
enum {
    NODE_INPUT = 1,
    NODE_OUTPUT,
    NODE_NAME,
    NODE_OP_TYPE,
    NODE_ATTRIBUTE,
    NODE_DOMAIN = 7,
    NODE_OVERLOAD = 8
};

const char *rml_onnx_node_label(const rml_onnx_node *nodes, size_t index, char *out)
{
    char name[RML_QUOTE_BYTES], op[RML_QUOTE_BYTES];
    const rml_onnx_node *node = &nodes[index];
    snprintf(out, RML_ONNX_LABEL_BYTES, "node %zu \"%s\" (%s)", index,
             rml_quote(name, node->name, strlen(node->name)),
             rml_quote(op, node->op_type, strlen(node->op_type)));
    return out;
}

// ---- parts of a node ---------------------------------------------------------------------------

// Name, operator and outputs.
static rml_status declare_node(rml_onnx_reader *reader, rml_onnx_scope *scope,
                               const rml_protobuf *message, uint32_t index, rml_onnx_node *node)
{
    const rml_message_want wants[] = {
        {NODE_NAME, RML_WANT_NAME, "a node's name", &node->name},
        {NODE_OP_TYPE, RML_WANT_NAME, "an operator", &node->op_type},
        {NODE_DOMAIN, RML_WANT_NAME, "an operator's domain", &node->domain},
        {NODE_OVERLOAD, RML_WANT_NAME, "an operator's overload", &node->overload},
        {0}};
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = true;
    uint32_t *output = NULL;
    node->name = node->op_type = node->domain = node->overload = "";
    RML_TRY(rml_message_count(message, NODE_OUTPUT, &node->output_count, reader->fields.err));
    RML_TRY(rml_message_array(&reader->fields, node->output_count, sizeof *output, &output));
    node->output = output;
    RML_TRY(rml_message_read(&reader->fields, message, wants));
    for (size_t i = 0; i < node->output_count; i++) {
        rml_onnx_value value = {.kind = RML_ONNX_NODE_OUTPUT, .producer = index};
        output[i] = RML_ONNX_NONE;
        RML_TRY(rml_message_next(&rest, NODE_OUTPUT, &field, &more, reader->fields.err));
        RML_TRY(rml_message_name(&reader->fields, &field, "an output", &value.name));
        if (*value.name)
            RML_TRY(rml_onnx_add_value(reader, scope, &value, &output[i]));
    }
    if (!*node->op_type)
        return rml_fail(reader->fields.err, RML_ERR_FORMAT,
                        "damaged file: node %u at byte %zu has no operator", (unsigned)index,
                        message->at);
    if (strcmp(node->domain, "ai.onnx") == 0)
        node->domain = "";
    for (size_t i = 0; i < reader->opset_count; i++)
        if (strcmp(reader->opset[i].domain, node->domain) == 0)
            node->opset = reader->opset[i].version;
    return rml_onnx_find_function(reader, node);
}

static rml_status read_node_inputs(rml_onnx_reader *reader, const rml_onnx_scope *scope,
                                   const rml_protobuf *message, rml_onnx_node *node)
{
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = true;
    const char *name = "";
    uint32_t *input = NULL;
    RML_TRY(rml_message_count(message, NODE_INPUT, &node->input_count, reader->fields.err));
    RML_TRY(rml_message_array(&reader->fields, node->input_count, sizeof *input, &input));
    node->input = input;
    for (size_t i = 0; i < node->input_count; i++) {
        RML_TRY(rml_message_next(&rest, NODE_INPUT, &field, &more, reader->fields.err));
        input[i] = RML_ONNX_NONE;
        RML_TRY(rml_message_name(&reader->fields, &field, "an input", &name));
        if (*name)
            RML_TRY(rml_onnx_find_value(reader, scope, name, "input", &input[i]));
    }
    return RML_OK;
}

static rml_status read_node_attributes(rml_onnx_reader *reader, const rml_onnx_scope *scope,
                                       const rml_protobuf *message, rml_onnx_node *node)
{
    rml_protobuf rest = *message, inside;
    bool more = true;
    char quoted[RML_QUOTE_BYTES];
    rml_onnx_attribute *attribute = NULL;
    RML_TRY(rml_message_count(message, NODE_ATTRIBUTE, &node->attribute_count, reader->fields.err));
    if (node->attribute_count > RML_ONNX_MAX_ATTRIBUTES)
        return rml_fail(reader->fields.err, RML_ERR_LIMIT, "%zu attributes, the limit is %d",
                        node->attribute_count, RML_ONNX_MAX_ATTRIBUTES);
    RML_TRY(
        rml_message_array(&reader->fields, node->attribute_count, sizeof *attribute, &attribute));
    node->attribute = attribute;
    for (size_t i = 0; i < node->attribute_count; i++) {
        RML_TRY(rml_message_inside(&rest, NODE_ATTRIBUTE, "an attribute", &inside, &more,
                                   reader->fields.err));
        RML_TRY(rml_onnx_read_attribute(reader, scope, &inside, &attribute[i]));
        for (size_t k = 0; k < i; k++)
            if (strcmp(attribute[k].name, attribute[i].name) == 0)
                return rml_fail(reader->fields.err, RML_ERR_FORMAT,
                                "damaged file: two attributes are named \"%s\"",
                                rml_quote(quoted, attribute[i].name, strlen(attribute[i].name)));
    }
    return RML_OK;
}

// ---- all nodes --------------------------------------------------------------------------------

typedef enum node_part { NODE_HEAD, NODE_INPUTS, NODE_ATTRIBUTES } node_part;

// Reads one part of every node.
static rml_status read_part(rml_onnx_reader *reader, rml_onnx_scope *scope,
                            const rml_protobuf *message, uint32_t number, node_part part,
                            rml_onnx_node *nodes)
{
    rml_protobuf rest = *message, inside;
    bool more = true;
    for (uint32_t i = 0; i < scope->node_count; i++) {
        RML_TRY(rml_message_inside(&rest, number, "a node", &inside, &more, reader->fields.err));
        if (part == NODE_HEAD) {
            RML_TRY(declare_node(reader, scope, &inside, i, &nodes[i]));
            continue;
        }
        const rml_status status = part == NODE_INPUTS
                                      ? read_node_inputs(reader, scope, &inside, &nodes[i])
                                      : read_node_attributes(reader, scope, &inside, &nodes[i]);
        if (status != RML_OK) {
            char label[RML_ONNX_LABEL_BYTES];
            rml_error_prefix(reader->fields.err, rml_onnx_node_label(nodes, i, label));
            return status;
        }
    }
    return RML_OK;
}

rml_status rml_onnx_read_nodes(rml_onnx_reader *reader, rml_onnx_scope *scope,
                               const rml_protobuf *message, uint32_t number, rml_onnx_graph *out)
{
    rml_onnx_node *nodes = NULL;
    size_t count = 0;
    RML_TRY(rml_message_count(message, number, &count, reader->fields.err));
    if (count > RML_ONNX_MAX_NODES - reader->node_count)
        return rml_fail(reader->fields.err, RML_ERR_LIMIT, "more than %zu nodes",
                        RML_ONNX_MAX_NODES);
    reader->node_count += count;
    RML_TRY(rml_message_array(&reader->fields, count, sizeof *nodes, &nodes));
    out->node = scope->node = nodes;
    out->node_count = scope->node_count = count;
    RML_TRY(read_part(reader, scope, message, number, NODE_HEAD, nodes));
    scope->value_end = (uint32_t)reader->file->value_count;
    RML_TRY(read_part(reader, scope, message, number, NODE_INPUTS, nodes));
    RML_TRY(read_part(reader, scope, message, number, NODE_ATTRIBUTES, nodes));
    return rml_onnx_sort_nodes(reader, scope, out);
}
