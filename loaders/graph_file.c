#include "loaders/graph_file.h"

#include "tensor/names.h"

#include <stdlib.h>
#include <string.h>

rml_status rml_graph_file_array(rml_graph_file *file, size_t count, size_t element_bytes, void *out,
                                rml_error *err)
{
    void *memory = rml_arena_alloc(&file->arena, count + 1, element_bytes);
    if (!memory)
        return rml_fail_nomem(err, count * element_bytes, "a description");
    memcpy(out, &memory, sizeof memory);
    return RML_OK;
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

void rml_graph_file_count(rml_graph_file *file, rml_graph_operator *nodes, size_t count)
{
    size_t kinds = 0;
    qsort(nodes, count, sizeof *nodes, by_name);
    for (size_t i = 0; i < count; i++)
        if (kinds && by_name(&nodes[kinds - 1], &nodes[i]) == 0)
            nodes[kinds - 1].count++;
        else
            nodes[kinds++] = nodes[i];
    qsort(nodes, kinds, sizeof *nodes, by_count);
    file->operators = nodes;
    file->summary.nodes = count;
    file->summary.operators = kinds;
}

rml_status rml_graph_file_text(rml_graph_file *file, const char *text, size_t bytes,
                               const char **out, rml_error *err)
{
    char clean[RML_METADATA_TEXT_BYTES];
    rml_text_clean(clean, sizeof clean, text, bytes);
    *out = rml_arena_text(&file->arena, clean);
    return *out ? RML_OK : rml_fail_nomem(err, sizeof clean, "a text of metadata");
}

rml_status rml_no_functions(const char *path, const char *function, rml_error *err)
{
    return rml_fail(
        err, RML_ERR_ARG,
        "%s%sfunction \"%.80s\" is wanted of an ONNX file: only ML Programs have some to "
        "choose from",
        path ? path : "", path ? ": " : "", function);
}

// ---- the interface ------------------------------------------------------------------------------

rml_status rml_graph_file_open(rml_graph_file **out, const char *path,
                               const rml_allocator *allocator, rml_error *err)
{
    return rml_graph_file_open_function(out, path, NULL, allocator, err);
}

rml_status rml_graph_file_open_function(rml_graph_file **out, const char *path,
                                        const char *function, const rml_allocator *allocator,
                                        rml_error *err)
{
    allocator = allocator ? allocator : rml_allocator_default();
    rml_graph_file *file = *out = rml_alloc_zero(allocator, 1, sizeof *file);
    if (!file)
        return rml_fail_nomem(err, sizeof *file, "a description");
    file->own_allocator = *allocator;
    file->allocator = &file->own_allocator;
    rml_arena_init(&file->arena, file->allocator);
    bool coreml;
    rml_mapfile map;
    file->path = rml_arena_text(&file->arena, path ? path : "");
    rml_status status =
        file->path ? rml_graph_map(&map, &coreml, path, err) : rml_fail_nomem(err, 1, "a path");
    if (status == RML_OK && coreml) {
        status = rml_coreml_describe(file, path, &map, function ? function : "", err);
    } else if (status == RML_OK && function) {
        rml_mapfile_close(&map);
        status = rml_no_functions(path, function, err);
    } else if (status == RML_OK) {
        status = rml_onnx_describe(file, path, &map, err);
    }
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
    if (file->file)
        file->release(file->file);
    rml_arena_release(&file->arena);
    rml_free(&allocator, file);
}

rml_graph_summary rml_graph_file_summary(const rml_graph_file *file)
{
    return file->summary;
}

rml_graph_port rml_graph_file_input(const rml_graph_file *file, size_t index)
{
    return index < file->summary.inputs ? file->input[index]
                                        : (rml_graph_port){.shape = {.rank = RML_RANK_UNKNOWN}};
}

rml_graph_port rml_graph_file_output(const rml_graph_file *file, size_t index)
{
    return index < file->summary.outputs ? file->output[index]
                                         : (rml_graph_port){.shape = {.rank = RML_RANK_UNKNOWN}};
}

rml_graph_port rml_graph_file_state(const rml_graph_file *file, size_t index)
{
    return index < file->summary.states ? file->state[index]
                                        : (rml_graph_port){.shape = {.rank = RML_RANK_UNKNOWN}};
}

rml_graph_operator rml_graph_file_operator(const rml_graph_file *file, size_t index)
{
    return index < file->summary.operators ? file->operators[index] : (rml_graph_operator){0};
}

rml_graph_opset rml_graph_file_opset(const rml_graph_file *file, size_t index)
{
    return index < file->summary.opsets ? file->opset[index] : (rml_graph_opset){0};
}

const char *rml_graph_file_function(const rml_graph_file *file, size_t index)
{
    return file->function && index < file->summary.functions ? file->function[index] : NULL;
}

rml_metadata rml_graph_file_metadata(const rml_graph_file *file, size_t index)
{
    return index < file->summary.metadata ? file->metadata[index] : (rml_metadata){0};
}
