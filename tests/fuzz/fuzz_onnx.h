// What every look at an ONNX file does: open it, then follow every number to what it names.
#ifndef RML_TESTS_FUZZ_FUZZ_ONNX_H
#define RML_TESTS_FUZZ_FUZZ_ONNX_H

#include "loaders/onnx/file.h"
#include "tensor/tensor.h"

#include <stdlib.h>
#include <string.h>

#define FUZZ_ONNX_LARGEST_COPY ((size_t)1 << 16)

static inline void fuzz_onnx_require(bool holds)
{
    if (!holds)
        abort();
}

static inline void fuzz_onnx_tensor(const rml_onnx_tensor *tensor)
{
    size_t count = 0;
    fuzz_onnx_require(tensor->name && rml_onnx_element_name(tensor->element) &&
                      rml_shape_count(&tensor->stored.shape, &count));
    float *copy = tensor->readable && count > 0 && count <= FUZZ_ONNX_LARGEST_COPY
                      ? malloc(count * sizeof *copy)
                      : NULL;
    if (copy)
        rml_stored_read_all(&tensor->stored, copy);
    free(copy);
    volatile uint8_t last = 0; // of the bytes that hold integers of few bits
    if (tensor->bits && count)
        last = tensor->packed[(count * (size_t)tensor->bits + 7) / 8 - 1];
    (void)last;
}

// Every number is that of a value, or none.
static inline void fuzz_onnx_values(const rml_onnx *file, const uint32_t *value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fuzz_onnx_require(value[i] == RML_ONNX_NONE || value[i] < file->value_count);
}

static inline void fuzz_onnx_graph(const rml_onnx *file, const rml_onnx_graph *graph);

static inline void fuzz_onnx_attribute(const rml_onnx *file, const rml_onnx_attribute *a)
{
    volatile double sum = 0; // the values must really be read
    fuzz_onnx_require(a->name[0] && (a->is_list || a->reference || a->count == 1 ||
                                     a->kind == RML_ONNX_SPARSE_TENSORS));
    for (size_t i = 0; i < a->count; i++)
        switch (a->kind) {
        case RML_ONNX_FLOATS:
            sum = sum + (double)a->u.number[i];
            break;
        case RML_ONNX_INTS:
            sum = sum + (double)a->u.integer[i];
            break;
        case RML_ONNX_TEXTS:
            fuzz_onnx_require(a->u.text[i].text[a->u.text[i].bytes] == 0);
            break;
        case RML_ONNX_TENSORS:
            fuzz_onnx_tensor(&a->u.tensor[i]);
            break;
        case RML_ONNX_GRAPHS:
            fuzz_onnx_graph(file, &a->u.graph[i]);
            break;
        case RML_ONNX_TYPES:
            fuzz_onnx_require(a->u.type[i].shape.rank <= RML_MAX_RANK);
            break;
        case RML_ONNX_SPARSE_TENSORS:
            abort();
        }
}

static inline void fuzz_onnx_graph(const rml_onnx *file, const rml_onnx_graph *graph)
{
    fuzz_onnx_require(graph->name && graph->value_begin <= graph->value_end &&
                      graph->value_end <= file->value_count);
    fuzz_onnx_values(file, graph->input, graph->input_count);
    fuzz_onnx_values(file, graph->output, graph->output_count);
    for (uint32_t i = graph->value_begin; i < graph->value_end; i++) {
        const rml_onnx_value *value = &file->value[i];
        fuzz_onnx_require(value->name && (value->kind == RML_ONNX_INITIALIZER) == !!value->tensor);
        if (value->tensor)
            fuzz_onnx_tensor(value->tensor);
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_onnx_node *node = &graph->node[i];
        fuzz_onnx_require(node->op_type[0] && node->name && node->domain);
        fuzz_onnx_values(file, node->input, node->input_count);
        fuzz_onnx_values(file, node->output, node->output_count);
        for (size_t k = 0; k < node->input_count; k++) {
            const bool given = node->input[k] != RML_ONNX_NONE;
            const rml_onnx_value *value = given ? &file->value[node->input[k]] : NULL;
            // what a node reads was computed before, here or in a graph around
            if (value && value->kind == RML_ONNX_NODE_OUTPUT &&
                node->input[k] >= graph->value_begin)
                fuzz_onnx_require(value->producer < i);
        }
        for (size_t k = 0; k < node->attribute_count; k++)
            fuzz_onnx_attribute(file, &node->attribute[k]);
    }
}

static inline void fuzz_onnx_look(const rml_onnx *file)
{
    fuzz_onnx_graph(file, &file->graph);
    for (size_t i = 0; i < file->function_count; i++)
        fuzz_onnx_graph(file, &file->function[i].body);
}

#endif
