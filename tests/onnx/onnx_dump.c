// Prints everything the ONNX reader made of each file as a line of JSON, for test_onnx_file.py to
// hold against the onnx package:  onnx_dump FILE...
#include "loaders/onnx/file.h"

#include "tensor/dtype.h"
#include "tensor/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const rml_onnx *file;

static void print_bytes(const char *text, size_t bytes)
{
    putchar('"');
    for (size_t i = 0; i < bytes; i++)
        printf("%02x", (unsigned char)text[i]);
    putchar('"');
}

// Texts as hexadecimal bytes, so that nothing needs escaping.
static void print_text(const char *text)
{
    print_bytes(text, strlen(text));
}

static void print_shape(const rml_shape *shape)
{
    putchar('[');
    for (int i = 0; i < shape->rank; i++)
        printf("%s%lld", i ? "," : "", (long long)shape->dim[i]);
    putchar(']');
}

static void print_tensor(const rml_onnx_tensor *tensor)
{
    size_t count = 0;
    printf("{\"element\":%d,\"shape\":", (int)tensor->element);
    print_shape(&tensor->stored.shape);
    if (tensor->readable && rml_shape_count(&tensor->stored.shape, &count)) {
        printf(",\"data\":");
        print_bytes((const char *)tensor->stored.data,
                    count * rml_dtype_size(tensor->stored.dtype));
    }
    putchar('}');
}

static void print_type(const rml_onnx_type *type)
{
    if (!type) {
        printf("null");
        return;
    }
    printf("{\"kind\":%d,\"element\":%d", type->kind, (int)type->element);
    if (type->has_shape) {
        printf(",\"shape\":");
        print_shape(&type->shape);
        printf(",\"names\":[");
        for (int i = 0; i < type->shape.rank; i++) {
            printf("%s", i ? "," : "");
            if (type->dim_name[i])
                print_text(type->dim_name[i]);
            else
                printf("null");
        }
        putchar(']');
    }
    putchar('}');
}

static void print_values(const char *key, const uint32_t *values, size_t count)
{
    printf(",\"%s\":[", key);
    for (size_t i = 0; i < count; i++) {
        printf("%s", i ? "," : "");
        if (values[i] == RML_ONNX_NONE)
            printf("\"\"");
        else
            print_text(file->value[values[i]].name);
    }
    putchar(']');
}

static void print_graph(const rml_onnx_graph *graph);

static void print_attribute(const rml_onnx_attribute *attribute)
{
    print_text(attribute->name);
    printf(":{\"kind\":%d,\"list\":%d,\"reference\":", attribute->kind, attribute->is_list);
    if (attribute->reference)
        print_text(attribute->reference);
    else
        printf("null");
    printf(",\"values\":[");
    for (size_t i = 0; i < attribute->count; i++) {
        printf("%s", i ? "," : "");
        switch (attribute->kind) {
        case RML_ONNX_FLOATS:
            print_bytes((const char *)&attribute->u.number[i], sizeof(float));
            break;
        case RML_ONNX_INTS:
            printf("%lld", (long long)attribute->u.integer[i]);
            break;
        case RML_ONNX_TEXTS:
            print_bytes(attribute->u.text[i].text, attribute->u.text[i].bytes);
            break;
        case RML_ONNX_TENSORS:
            print_tensor(&attribute->u.tensor[i]);
            break;
        case RML_ONNX_GRAPHS:
            print_graph(&attribute->u.graph[i]);
            break;
        case RML_ONNX_TYPES:
            print_type(&attribute->u.type[i]);
            break;
        case RML_ONNX_SPARSE_TENSORS:
            break;
        }
    }
    printf("]}");
}

static void print_attributes(const rml_onnx_attribute *attribute, size_t count)
{
    printf("{");
    for (size_t i = 0; i < count; i++) {
        printf("%s", i ? "," : "");
        print_attribute(&attribute[i]);
    }
    printf("}");
}

static void print_node(const rml_onnx_node *node)
{
    printf("{\"name\":");
    print_text(node->name);
    printf(",\"op\":");
    print_text(node->op_type);
    printf(",\"domain\":");
    print_text(node->domain);
    printf(",\"opset\":%lld,\"function\":%d", (long long)node->opset, node->function != NULL);
    print_values("input", node->input, node->input_count);
    print_values("output", node->output, node->output_count);
    printf(",\"attributes\":");
    print_attributes(node->attribute, node->attribute_count);
    putchar('}');
}

static void print_graph(const rml_onnx_graph *graph)
{
    printf("{\"name\":");
    print_text(graph->name);
    print_values("input", graph->input, graph->input_count);
    print_values("output", graph->output, graph->output_count);
    printf(",\"types\":{");
    bool is_first = true;
    for (uint32_t i = graph->value_begin; i < graph->value_end; i++) {
        const rml_onnx_value *value = &file->value[i];
        if (!value->type)
            continue;
        printf("%s", is_first ? "" : ",");
        is_first = false;
        print_text(value->name);
        putchar(':');
        print_type(value->type);
    }
    printf("},\"initializers\":[");
    is_first = true;
    for (uint32_t i = graph->value_begin; i < graph->value_end; i++) {
        const rml_onnx_value *value = &file->value[i];
        if (value->kind != RML_ONNX_INITIALIZER)
            continue;
        printf("%s[", is_first ? "" : ",");
        is_first = false;
        print_text(value->name);
        putchar(',');
        print_tensor(value->tensor);
        putchar(']');
    }
    printf("],\"nodes\":[");
    for (size_t i = 0; i < graph->node_count; i++) {
        printf("%s", i ? "," : "");
        print_node(&graph->node[i]);
    }
    printf("]}");
}

static void print_opsets(const rml_onnx_opset *opset, size_t count)
{
    printf(",\"opsets\":[");
    for (size_t i = 0; i < count; i++) {
        printf("%s[", i ? "," : "");
        print_text(opset[i].domain);
        printf(",%lld]", (long long)opset[i].version);
    }
    putchar(']');
}

static void print_function(const rml_onnx_function *function)
{
    printf("{\"name\":");
    print_text(function->name);
    printf(",\"domain\":");
    print_text(function->domain);
    print_opsets(function->opset, function->opset_count);
    printf(",\"attributes\":[");
    for (size_t i = 0; i < function->attribute_count; i++) {
        printf("%s", i ? "," : "");
        print_text(function->attribute[i]);
    }
    printf("],\"defaults\":");
    print_attributes(function->attribute_default, function->default_count);
    printf(",\"body\":");
    print_graph(&function->body);
    putchar('}');
}

static void print_file(void)
{
    const rml_onnx_header *header = &file->header;
    printf("{\"ir_version\":%lld,\"model_version\":%lld,\"producer\":",
           (long long)header->ir_version, (long long)header->model_version);
    print_text(header->producer_name);
    print_opsets(header->opset, header->opset_count);
    printf(",\"metadata\":[");
    for (size_t i = 0; i < header->metadata_count; i++) {
        printf("%s[", i ? "," : "");
        print_bytes(header->metadata[i].key.text, header->metadata[i].key.bytes);
        putchar(',');
        print_bytes(header->metadata[i].value.text, header->metadata[i].value.bytes);
        putchar(']');
    }
    printf("],\"functions\":[");
    for (size_t i = 0; i < file->function_count; i++) {
        printf("%s", i ? "," : "");
        print_function(&file->function[i]);
    }
    printf("],\"graph\":");
    print_graph(&file->graph);
    printf("}\n");
}

int main(int argc, char **argv)
{
    rml_error error;
    rml_onnx *opened = NULL;
    for (int i = 1; i < argc; i++) {
        rml_status status = rml_onnx_open(&opened, argv[i], NULL, &error);
        file = opened;
        if (status == RML_OK) {
            print_file();
        } else {
            printf("{\"status\":%d,\"error\":", (int)status);
            print_text(error.message);
            printf("}\n");
        }
        rml_onnx_close(&opened);
    }
    return 0;
}
