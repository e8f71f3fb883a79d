// What an ONNX file says of itself, also one that cannot be run.
#include "loaders/graph_file.h"
#include "loaders/onnx/reader.h"

#include "tensor/size.h"
#include "tensor/tensor.h"

#include <string.h>

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

static rml_status list_operators(rml_graph_file *out, const rml_onnx *file, rml_error *err)
{
    const size_t nodes = gather_all(file, NULL);
    rml_graph_operator *all;
    RML_TRY(rml_graph_file_array(out, nodes, sizeof *all, &all, err));
    gather_all(file, all);
    rml_graph_file_count(out, all, nodes);
    return RML_OK;
}

static void count_constants(rml_graph_file *out, const rml_onnx *file)
{
    rml_graph_summary *s = &out->summary;
    for (size_t i = 0; i < file->value_count; i++) {
        const rml_onnx_tensor *tensor = file->value[i].tensor;
        size_t count;
        if (!tensor || !rml_shape_count(&tensor->stored.shape, &count))
            continue;
        s->constants++;
        s->numbers += count;
        s->bytes += tensor->readable ? count * rml_dtype_size(tensor->stored.dtype) : 0;
    }
}

static rml_status list_metadata(rml_graph_file *out, const rml_onnx_header *header, rml_error *err)
{
    const size_t room = rml_min_size(header->metadata_count + 1, RML_MAX_METADATA);
    size_t used = 0;
    RML_TRY(rml_graph_file_array(out, room, sizeof *out->metadata, &out->metadata, err));
    if (header->description.bytes) {
        out->metadata[used].name = "description"; // as Core ML files call it
        RML_TRY(rml_graph_file_text(out, header->description.text, header->description.bytes,
                                    &out->metadata[used++].text, err));
    }
    for (size_t i = 0; i < header->metadata_count && used < room; i++) {
        const rml_onnx_metadata *from = &header->metadata[i];
        RML_TRY(rml_graph_file_text(out, from->key.text, from->key.bytes, &out->metadata[used].name,
                                    err));
        RML_TRY(rml_graph_file_text(out, from->value.text, from->value.bytes,
                                    &out->metadata[used++].text, err));
    }
    out->summary.metadata = used;
    return RML_OK;
}

static rml_status list_opsets(rml_graph_file *out, const rml_onnx_header *header, rml_error *err)
{
    RML_TRY(rml_graph_file_array(out, header->opset_count, sizeof *out->opset, &out->opset, err));
    for (size_t i = 0; i < header->opset_count; i++)
        out->opset[i] = (rml_graph_opset){header->opset[i].domain, header->opset[i].version};
    out->summary.opsets = header->opset_count;
    return RML_OK;
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

static rml_status list_ports(rml_graph_file *out, const rml_onnx *file, const uint32_t *value,
                             size_t count, rml_graph_port **ports, rml_error *err)
{
    RML_TRY(rml_graph_file_array(out, count, sizeof **ports, ports, err));
    for (size_t i = 0; i < count; i++) {
        const rml_onnx_value *v = &file->value[value[i]];
        rml_graph_port *port = &(*ports)[i];
        *port = (rml_graph_port){
            .name = v->name, .type = type_name(v->type), .shape = {.rank = RML_RANK_UNKNOWN}};
        if (v->type && v->type->has_shape) {
            port->shape = v->type->shape;
            memcpy(port->dim_name, v->type->dim_name, sizeof port->dim_name);
        }
    }
    return RML_OK;
}

static void release(void *user)
{
    rml_onnx *file = user;
    rml_onnx_close(&file);
}

rml_status rml_onnx_describe(rml_graph_file *out, const char *path, rml_mapfile *map,
                             rml_error *err)
{
    rml_onnx *file;
    RML_TRY(rml_onnx_open_map(&file, path, map, out->allocator, err));
    const rml_onnx_graph *graph = &file->graph;
    out->file = file;
    out->release = release;
    out->summary = (rml_graph_summary){.format = "onnx",
                                       .format_version = file->header.ir_version,
                                       .producer = file->header.producer_name,
                                       .producer_version = file->header.producer_version,
                                       .inputs = graph->input_count,
                                       .outputs = graph->output_count,
                                       .functions = file->function_count};
    count_constants(out, file);
    RML_TRY(list_ports(out, file, graph->input, graph->input_count, &out->input, err));
    RML_TRY(list_ports(out, file, graph->output, graph->output_count, &out->output, err));
    RML_TRY(list_opsets(out, &file->header, err));
    RML_TRY(list_operators(out, file, err));
    return list_metadata(out, &file->header, err);
}
