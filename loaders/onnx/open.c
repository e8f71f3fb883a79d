// Opens an ONNX file: tells it from other files, reads what it says of itself, then graph and
// functions.
#include "loaders/onnx/reader.h"
#include "loaders/weights/readers.h"

#include <string.h>

// Numbers of ModelProto's fields.
enum {
    IR_VERSION = 1,
    PRODUCER_NAME = 2,
    PRODUCER_VERSION = 3,
    DOMAIN = 4,
    MODEL_VERSION = 5,
    DOC_STRING = 6,
    GRAPH = 7,
    OPSET_IMPORT = 8,
    METADATA = 14,
};

static rml_status read_metadata(rml_onnx_reader *reader, const rml_protobuf *message)
{
    rml_onnx_header *header = &reader->file->header;
    rml_protobuf rest = *message, inside;
    bool more = true;
    rml_onnx_metadata *metadata = NULL;
    RML_TRY(rml_message_count(message, METADATA, &header->metadata_count, reader->fields.err));
    RML_TRY(
        rml_message_array(&reader->fields, header->metadata_count, sizeof *metadata, &metadata));
    header->metadata = metadata;
    for (size_t i = 0; i < header->metadata_count; i++) {
        const rml_message_want wants[] = {
            {1, RML_WANT_TEXT, "a metadata key", &metadata[i].key},
            {2, RML_WANT_TEXT, "a metadata value", &metadata[i].value},
            {0}};
        metadata[i] = (rml_onnx_metadata){{"", 0}, {"", 0}};
        RML_TRY(
            rml_message_inside(&rest, METADATA, "metadata", &inside, &more, reader->fields.err));
        RML_TRY(rml_message_read(&reader->fields, &inside, wants));
    }
    return RML_OK;
}

// Everything but graph and functions; *graph is the message of the graph.
static rml_status read_header(rml_onnx_reader *reader, const rml_protobuf *message,
                              rml_protobuf *graph)
{
    rml_onnx_header *header = &reader->file->header;
    rml_error *err = reader->fields.err;
    const rml_message_want wants[] = {
        {IR_VERSION, RML_WANT_INT, "the IR version", &header->ir_version},
        {MODEL_VERSION, RML_WANT_INT, "the model version", &header->model_version},
        {PRODUCER_NAME, RML_WANT_NAME, "the producer", &header->producer_name},
        {PRODUCER_VERSION, RML_WANT_NAME, "the producer's version", &header->producer_version},
        {DOMAIN, RML_WANT_NAME, "the model's domain", &header->domain},
        {DOC_STRING, RML_WANT_TEXT, "the description", &header->description},
        {GRAPH, RML_WANT_MESSAGE, "the graph", graph},
        {0}};
    size_t graphs = 0;
    header->producer_name = header->producer_version = header->domain = "";
    header->description = (rml_text){"", 0};
    RML_TRY(rml_message_read(&reader->fields, message, wants));
    RML_TRY(rml_message_count(message, GRAPH, &graphs, err));
    if (graphs != 1)
        return rml_fail(err, RML_ERR_FORMAT, "damaged file: an ONNX model with %zu graphs, not 1",
                        graphs);
    RML_TRY(
        rml_onnx_read_opsets(reader, message, OPSET_IMPORT, &header->opset, &header->opset_count));
    return read_metadata(reader, message);
}

static rml_status read_model(rml_onnx_reader *reader)
{
    rml_onnx *file = reader->file;
    rml_protobuf message, graph;
    rml_protobuf_begin(&message, file->map.data, file->map.size);
    RML_TRY(read_header(reader, &message, &graph));
    RML_TRY(rml_onnx_declare_functions(reader, &message));
    reader->opset = file->header.opset;
    reader->opset_count = file->header.opset_count;
    RML_TRY(rml_onnx_read_graph(reader, NULL, &graph, &file->graph));
    return rml_onnx_read_functions(reader, &message);
}

static rml_status check_format(const rml_onnx *file, rml_error *err)
{
    rml_file_format format;
    RML_TRY(rml_file_sniff(file->map.data, file->map.size, &format, err));
    switch (format) {
    case RML_FILE_ONNX:
        return RML_OK;
    case RML_FILE_TORCH_ZIP:
        return rml_fail(err, RML_ERR_FORMAT,
                        "zip archive, as PyTorch writes it, not an ONNX model");
    case RML_FILE_TORCH_LEGACY:
        return rml_fail(err, RML_ERR_FORMAT, "PyTorch checkpoint, not an ONNX model");
    case RML_FILE_SAFETENSORS:
        return rml_fail(err, RML_ERR_FORMAT, "safetensors file of weights, not an ONNX model");
    case RML_FILE_COREML:
        return rml_fail(err, RML_ERR_FORMAT, "Core ML model, not an ONNX model");
    case RML_FILE_JSON:
        break;
    }
    return rml_fail(err, RML_ERR_FORMAT, "JSON, not an ONNX model");
}

static rml_status create(rml_onnx **out, const rml_allocator *allocator, rml_error *err)
{
    if (!allocator)
        allocator = rml_allocator_default();
    rml_onnx *file = rml_alloc_zero(allocator, 1, sizeof *file);
    if (!file)
        return rml_fail_nomem(err, sizeof *file, "an ONNX file");
    file->own_allocator = *allocator;
    file->allocator = &file->own_allocator;
    rml_arena_init(&file->arena, file->allocator);
    rml_names_init(&file->external, file->allocator);
    *out = file;
    return RML_OK;
}

static rml_status read_all(rml_onnx *file, rml_error *err)
{
    RML_TRY(check_format(file, err));
    rml_onnx_reader reader = {.file = file, .fields = {&file->arena, "an ONNX file", err}};
    rml_names_init(&reader.functions, file->allocator);
    rml_status status = read_model(&reader);
    rml_names_release(&reader.functions);
    return status;
}

// `source` NULL: of the bytes.
static rml_status open_bytes(rml_onnx **out, const rml_source *source, rml_mapfile bytes,
                             const rml_allocator *allocator, rml_error *err)
{
    rml_onnx *file = NULL;
    *out = NULL;
    RML_TRY(create(&file, allocator, err));
    rml_status status = source ? rml_source_read(source, file->allocator, &bytes, err) : RML_OK;
    file->map = bytes;
    file->is_memory = true;
    file->owned = source ? (void *)(uintptr_t)bytes.data : NULL;
    if (status == RML_OK)
        status = read_all(file, err);
    if (status != RML_OK)
        rml_onnx_close(&file);
    *out = file;
    return status;
}

rml_status rml_onnx_open_memory(rml_onnx **out, const void *data, size_t size,
                                const rml_allocator *allocator, rml_error *err)
{
    return open_bytes(out, NULL, (rml_mapfile){data, size}, allocator, err);
}

rml_status rml_onnx_open_source(rml_onnx **out, const rml_source *source,
                                const rml_allocator *allocator, rml_error *err)
{
    const rml_source none = {0};
    return open_bytes(out, source ? source : &none, (rml_mapfile){NULL, 0}, allocator, err);
}

rml_status rml_onnx_open_map(rml_onnx **out, const char *path, rml_mapfile *map,
                             const rml_allocator *allocator, rml_error *err)
{
    rml_onnx *file = NULL;
    *out = NULL;
    rml_status status = create(&file, allocator, err);
    if (status != RML_OK) {
        rml_mapfile_close(map);
        return status;
    }
    file->map = *map;
    *map = (rml_mapfile){NULL, 0};
    file->path = path; // while reading: external data lie beside it
    // what is read lies far apart, between the tensors' data
    rml_mapfile_expect(&file->map, RML_ACCESS_SCATTERED);
    status = rml_named(read_all(file, err), err, path);
    rml_mapfile_expect(&file->map, RML_ACCESS_NORMAL);
    file->path = NULL;
    if (status != RML_OK)
        rml_onnx_close(&file);
    *out = file;
    return status;
}

rml_status rml_onnx_open(rml_onnx **out, const char *path, const rml_allocator *allocator,
                         rml_error *err)
{
    rml_mapfile map;
    *out = NULL;
    if (!path || !*path)
        return rml_fail(err, RML_ERR_ARG, "the path of the ONNX file is empty");
    RML_TRY(rml_mapfile_open(&map, path, err));
    return rml_onnx_open_map(out, path, &map, allocator, err);
}

void rml_onnx_close(rml_onnx **file_at)
{
    rml_onnx *file = *file_at;
    if (!file)
        return;
    for (size_t i = 0; i < file->external_count; i++)
        rml_mapfile_close(&file->external_file[i]);
    if (!file->is_memory)
        rml_mapfile_close(&file->map);
    rml_free(file->allocator, file->owned);
    rml_free(file->allocator, file->external_file);
    rml_free(file->allocator, file->value);
    rml_names_release(&file->external);
    rml_arena_release(&file->arena);
    rml_allocator allocator = file->own_allocator;
    rml_free(&allocator, file);
    *file_at = NULL;
}

void rml_onnx_drop_pages(const rml_onnx *file)
{
    if (!file->is_memory)
        rml_mapfile_drop_pages(&file->map);
    for (size_t i = 0; i < file->external_count; i++)
        rml_mapfile_drop_pages(&file->external_file[i]);
}

const char *rml_onnx_node_name(const rml_onnx *file, const rml_onnx_node *node)
{
    if (*node->name)
        return node->name;
    for (size_t k = 0; k < node->output_count; k++)
        if (node->output[k] != RML_ONNX_NONE)
            return file->value[node->output[k]].name;
    return node->op_type;
}

const rml_onnx_attribute *rml_onnx_find_attribute(const rml_onnx_node *node, const char *name)
{
    for (size_t i = 0; i < node->attribute_count; i++)
        if (strcmp(node->attribute[i].name, name) == 0)
            return &node->attribute[i];
    return NULL;
}
