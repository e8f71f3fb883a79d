// A small ONNX model with everything the reader knows, made field by field.
#ifndef RML_TESTS_SUPPORT_ONNX_FILES_H
#define RML_TESTS_SUPPORT_ONNX_FILES_H

#include "tests/support/protobuf_files.h"

// {name, type: tensor of f32 (n,2)}
static inline blob onnx_value_info(const char *name)
{
    blob info = {NULL, 0, 0}, type = info, tensor = info, shape = info, dim = info;
    pb_text(&dim, 2, "n");
    pb_message(&shape, 1, dim);
    dim = (blob){NULL, 0, 0};
    pb_int(&dim, 1, 2);
    pb_message(&shape, 1, dim);
    pb_int(&tensor, 1, 1);
    pb_message(&tensor, 2, shape);
    pb_message(&type, 1, tensor);
    pb_text(&info, 1, name);
    pb_message(&info, 2, type);
    return info;
}

// A tensor of one dimension; its elements are in field `field`.
static inline blob onnx_tensor(const char *name, int element, int64_t dim, uint32_t field,
                               const void *bytes, size_t count)
{
    blob tensor = {NULL, 0, 0};
    pb_int(&tensor, 1, dim);
    pb_int(&tensor, 2, element);
    pb_text(&tensor, 8, name);
    pb_bytes(&tensor, field, bytes, count);
    return tensor;
}

// A node without attributes; texts of NULL are left out.
static inline blob onnx_node(const char *op, const char *a, const char *b, const char *out)
{
    blob node = {NULL, 0, 0};
    if (a)
        pb_text(&node, 1, a);
    if (b)
        pb_text(&node, 1, b);
    pb_text(&node, 2, out);
    pb_text(&node, 3, op);
    pb_text(&node, 4, op);
    return node;
}

static inline blob onnx_attribute(const char *name, int type)
{
    blob attribute = {NULL, 0, 0};
    pb_text(&attribute, 1, name);
    pb_int(&attribute, 20, type);
    return attribute;
}

static inline blob onnx_subgraph(void)
{
    blob graph = {NULL, 0, 0};
    pb_message(&graph, 1, onnx_node("Add", "x", "w", "inner"));
    pb_text(&graph, 2, "body");
    pb_message(&graph, 12, onnx_value_info("inner"));
    return graph;
}

// One attribute of every kind.
static inline void onnx_add_attributes(blob *node)
{
    static const float numbers[2] = {1.5f, -2.0f};
    blob a = onnx_attribute("f", 1);
    pb_float(&a, 2, 0.5f);
    pb_message(node, 5, a);
    a = onnx_attribute("i", 2);
    pb_int(&a, 3, -7);
    pb_message(node, 5, a);
    a = onnx_attribute("s", 3);
    pb_text(&a, 4, "NOTSET");
    pb_message(node, 5, a);
    a = onnx_attribute("t", 4);
    pb_message(&a, 5, onnx_tensor("", 7, 2, 7, "\x05\x06", 2));
    pb_message(node, 5, a);
    a = onnx_attribute("g", 5);
    pb_message(&a, 6, onnx_subgraph());
    pb_message(node, 5, a);
    a = onnx_attribute("floats", 6);
    pb_bytes(&a, 7, numbers, sizeof numbers);
    pb_float(&a, 7, 3.0f);
    pb_message(node, 5, a);
    a = onnx_attribute("ints", 7);
    pb_bytes(&a, 8, "\x01\x02\x03", 3);
    pb_message(node, 5, a);
    a = onnx_attribute("strings", 8);
    pb_text(&a, 9, "");
    pb_text(&a, 9, "text");
    pb_message(node, 5, a);
    a = onnx_attribute("graphs", 10);
    pb_message(&a, 11, onnx_subgraph());
    pb_message(node, 5, a);
}

static inline blob onnx_opset(const char *domain, int64_t version)
{
    blob opset = {NULL, 0, 0};
    pb_text(&opset, 1, domain);
    pb_int(&opset, 2, version);
    return opset;
}

static inline blob onnx_function(void)
{
    blob function = {NULL, 0, 0}, node = onnx_node("Relu", "a", NULL, "b"), attribute;
    attribute = onnx_attribute("alpha", 1);
    pb_text(&attribute, 21, "alpha");
    pb_message(&node, 5, attribute);
    pb_text(&function, 1, "Mine");
    pb_text(&function, 4, "a");
    pb_text(&function, 5, "b");
    pb_text(&function, 6, "alpha");
    pb_message(&function, 7, node);
    pb_message(&function, 9, onnx_opset("", 18));
    pb_text(&function, 10, "my");
    return function;
}

// The graph comes last, so that every truncation cuts it.
static inline blob make_onnx(void)
{
    static const float w[2] = {1.0f, 2.0f};
    blob file = {NULL, 0, 0}, graph = file, metadata = file, with_default = file, node;
    node = onnx_node("If", "x", "v", "h");
    onnx_add_attributes(&node);
    pb_message(&graph, 1, node);
    node = onnx_node("Mine", "h", "", "y");
    pb_text(&node, 7, "my");
    pb_message(&graph, 1, node);
    pb_text(&graph, 2, "main");
    pb_message(&graph, 5, onnx_tensor("w", 1, 2, 9, w, sizeof w));
    pb_message(&graph, 5, onnx_tensor("u", 1, 2, 4, w, sizeof w));
    pb_message(&graph, 5, onnx_tensor("v", 3, 3, 5, "\x01\x7F\x00", 3));
    pb_message(&graph, 11, onnx_value_info("x"));
    pb_text(&with_default, 1, "w");
    pb_message(&graph, 11, with_default);
    pb_message(&graph, 13, onnx_value_info("h"));
    pb_message(&graph, 12, onnx_value_info("y"));
    pb_int(&file, 1, 8);
    pb_text(&file, 2, "tests");
    pb_message(&file, 8, onnx_opset("", 18));
    pb_message(&file, 8, onnx_opset("my", 1));
    pb_text(&metadata, 1, "key");
    pb_text(&metadata, 2, "value");
    pb_message(&file, 14, metadata);
    pb_message(&file, 25, onnx_function());
    pb_message(&file, 7, graph);
    return file;
}

#endif
