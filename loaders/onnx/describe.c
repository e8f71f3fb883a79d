// What an ONNX file says of itself, also one that cannot be run.
#include "loaders/onnx/reader.h"

#include "tensor/size.h"
#include "tensor/tensor.h"

#include <stdlib.h>
#include <string.h>

struct rml_graph_file {
    const rml_allocator *allocator;
    rml_onnx *onnx;
    rml_graph_operator *operators; // the most frequent first
    rml_metadata *metadata;
    rml_graph_summary summary;
    rml_allocator own_allocator; // a copy
};

// Notes the operators of a graph and of those inside it, once for each node; counts only while
// `out` is NULL.
static size_t gather(const rml_onnx_graph *graph, rml_graph_operator *out)
{
    size_t count = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_onnx_node *node = &graph->node[i];
        if (out)
            out[count] = (rml_graph_operator){node->domain, node->op_type, 1};
        count++;
        for (size_t k = 0; k < node->attribute_count; k++) {
            const rml_onnx_attribute *a = &node->attribute[k];
            for (size_t g = 0; a->kind == RML_ONNX_GRAPHS && g < a->count; g++)
                count += gather(&a->u.graph[g], out ? out + count : NULL);
        }
    }
    return count;
}

static size_t gather_all(const rml_onnx *file, rml_graph_operator *out)
{
    size_t count = gather(&file->graph, out);
    for (size_t i = 0; i < file->function_count; i++)
        count += gather(&file->function[i].body, out ? out + count : NULL);
    return count;
}

static int by_name(const void *a, const void *b)
{
    const rml_graph_operator *x = a, *y = b;
    const int order = strcmp(x->domain, y->domain);
    return order ? order : strcmp(x->name, y->name);
}

static int by_count(const void *a, const void *b)
{
    const rml_graph_operator *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : by_name(a, b);
}

static rml_status count_operators(rml_graph_file *file, rml_error *err)
{
    const size_t nodes = gather_all(file->onnx, NULL);
    rml_graph_operator *all = rml_alloc_zero(file->allocator, nodes + 1, sizeof *all);
    size_t kinds = 0;
    if (!all)
        return rml_fail_nomem(err, nodes * sizeof *all, "a list of operators");
    gather_all(file->onnx, all);
    qsort(all, nodes, sizeof *all, by_name);
    for (size_t i = 0; i < nodes; i++)
        if (kinds && by_name(&all[kinds - 1], &all[i]) == 0)
            all[kinds - 1].count++;
        else
            all[kinds++] = all[i];
    qsort(all, kinds, sizeof *all, by_count);
    file->operators = all;
    file->summary.nodes = nodes;
    file->summary.operators = kinds;
    return RML_OK;
}

static void count_constants(rml_graph_file *file)
{
    rml_graph_summary *s = &file->summary;
    for (size_t i = 0; i < file->onnx->value_count; i++) {
        const rml_onnx_tensor *tensor = file->onnx->value[i].tensor;
        size_t count;
        if (!tensor || !rml_shape_count(&tensor->stored.shape, &count))
            continue;
        s->constants++;
        s->numbers += count;
        s->bytes += tensor->readable ? count * rml_dtype_size(tensor->stored.dtype) : 0;
    }
}

static rml_status clean_metadata(rml_graph_file *file, rml_error *err)
{
    const rml_onnx_header *header = &file->onnx->header;
    char clean[RML_METADATA_TEXT_BYTES];
    const size_t count = rml_min_size(header->metadata_count, RML_MAX_METADATA);
    file->metadata = rml_alloc_zero(file->allocator, count + 1, sizeof *file->metadata);
    for (size_t i = 0; file->metadata && i < count; i++) {
        const rml_onnx_text *text[2] = {&header->metadata[i].key, &header->metadata[i].value};
        const char **to[2] = {&file->metadata[i].name, &file->metadata[i].text};
        for (int k = 0; k < 2; k++) {
            rml_text_clean(clean, sizeof clean, text[k]->text, text[k]->bytes);
            if (!(*to[k] = rml_arena_text(&file->onnx->arena, clean)))
                return rml_fail_nomem(err, sizeof clean, "a text of metadata");
        }
    }
    file->summary.metadata = count;
    return file->metadata ? RML_OK : rml_fail_nomem(err, sizeof clean, "a list of metadata");
}

rml_status rml_graph_file_open(rml_graph_file **out, const char *path,
                               const rml_allocator *allocator, rml_error *err)
{
    allocator = allocator ? allocator : rml_allocator_default();
    rml_graph_file *file = *out = rml_alloc_zero(allocator, 1, sizeof *file);
    if (!file)
        return rml_fail_nomem(err, sizeof *file, "a description");
    file->own_allocator = *allocator;
    file->allocator = &file->own_allocator;
    rml_status status = rml_onnx_open(&file->onnx, path, allocator, err);
    if (status == RML_OK) {
        const rml_onnx_header *header = &file->onnx->header;
        file->summary = (rml_graph_summary){.format = "onnx",
                                            .format_version = header->ir_version,
                                            .producer = header->producer_name,
                                            .producer_version = header->producer_version,
                                            .inputs = file->onnx->graph.input_count,
                                            .outputs = file->onnx->graph.output_count,
                                            .opsets = header->opset_count,
                                            .functions = file->onnx->function_count};
        count_constants(file);
        status = count_operators(file, err);
    }
    if (status == RML_OK)
        status = clean_metadata(file, err);
    if (status != RML_OK)
        rml_graph_file_close(out);
    return status;
}

void rml_graph_file_close(rml_graph_file **file_at)
{
    rml_graph_file *file = *file_at;
    *file_at = NULL;
    if (!file)
        return;
    rml_allocator allocator = file->own_allocator;
    rml_free(&allocator, file->operators);
    rml_free(&allocator, file->metadata);
    rml_onnx_close(&file->onnx);
    rml_free(&allocator, file);
}

rml_graph_summary rml_graph_file_summary(const rml_graph_file *file)
{
    return file->summary;
}

// As this library calls the type where it has it, otherwise as ONNX does.
static const char *type_name(const rml_onnx_type *type)
{
    static const char *const kinds[] = {
        [RML_ONNX_TENSOR] = "?",          [RML_ONNX_SPARSE] = "sparse",
        [RML_ONNX_SEQUENCE] = "sequence", [RML_ONNX_OPTIONAL] = "optional",
        [RML_ONNX_MAP] = "map",           [RML_ONNX_OPAQUE] = "opaque",
    };
    rml_dtype dtype;
    if (!type || type->kind != RML_ONNX_TENSOR)
        return type ? kinds[type->kind] : "?";
    if (rml_onnx_element_dtype(type->element, &dtype))
        return rml_dtype_name(dtype);
    const char *name = rml_onnx_element_name(type->element);
    return name ? name : "?";
}

static rml_graph_port port_at(const rml_graph_file *file, const uint32_t *value, size_t count,
                              size_t index)
{
    rml_graph_port port = {.shape = {.rank = RML_RANK_UNKNOWN}};
    if (index >= count)
        return port;
    const rml_onnx_value *v = &file->onnx->value[value[index]];
    port.name = v->name;
    port.type = type_name(v->type);
    if (v->type && v->type->has_shape) {
        port.shape = v->type->shape;
        memcpy(port.dim_name, v->type->dim_name, sizeof port.dim_name);
    }
    return port;
}

rml_graph_port rml_graph_file_input(const rml_graph_file *file, size_t index)
{
    return port_at(file, file->onnx->graph.input, file->summary.inputs, index);
}

rml_graph_port rml_graph_file_output(const rml_graph_file *file, size_t index)
{
    return port_at(file, file->onnx->graph.output, file->summary.outputs, index);
}

rml_graph_operator rml_graph_file_operator(const rml_graph_file *file, size_t index)
{
    return index < file->summary.operators ? file->operators[index] : (rml_graph_operator){0};
}

rml_graph_opset rml_graph_file_opset(const rml_graph_file *file, size_t index)
{
    if (index >= file->summary.opsets)
        return (rml_graph_opset){0};
    const rml_onnx_opset *opset = &file->onnx->header.opset[index];
    return (rml_graph_opset){opset->domain, opset->version};
}

rml_metadata rml_graph_file_metadata(const rml_graph_file *file, size_t index)
{
    return index < file->summary.metadata ? file->metadata[index] : (rml_metadata){0};
}
