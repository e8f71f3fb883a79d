// A model of an ONNX file.
#include "engine/model.h"
#include "loaders/onnx/importer.h"
#include "loaders/onnx/model.h"

#include <string.h>

static void drop_pages(void *user)
{
    rml_onnx_drop_pages(user);
}

static void release(void *user)
{
    rml_onnx *file = user;
    rml_onnx_close(&file);
}

static rml_status add_inputs(rml_onnx_importer *importer, const rml_onnx_graph *from)
{
    rml_graph *graph = importer->inside->graph;
    for (size_t i = 0; i < from->input_count; i++) {
        const rml_onnx_value *value = &importer->file->value[from->input[i]];
        rml_shape shape = {.rank = RML_RANK_UNKNOWN};
        rml_dtype dtype = RML_F32;
        if (!value->type || value->type->kind != RML_ONNX_TENSOR)
            return rml_fail(importer->err, RML_ERR_UNSUPPORTED,
                            "input \"%s\" is not a plain tensor", value->name);
        if (!rml_onnx_element_dtype(value->type->element, &dtype))
            return rml_fail(importer->err, RML_ERR_UNSUPPORTED,
                            "input \"%s\" has elements of type %s, which are not supported",
                            value->name, rml_onnx_element_name(value->type->element));
        if (value->type->has_shape)
            shape = value->type->shape;
        const rml_value_id id = rml_graph_typed_input(graph, value->name, dtype, &shape);
        rml_graph_name_dims(graph, id, value->type->dim_name);
        rml_onnx_set(importer, from->input[i], id);
    }
    return rml_graph_finish(graph, importer->err);
}

static rml_status add_outputs(rml_onnx_importer *importer, const rml_onnx_graph *from)
{
    bool refused = false; // none is: there would be a list
    for (size_t k = 0; k < from->output_count; k++)
        RML_TRY(rml_onnx_add_output(importer, from->output[k],
                                    importer->file->value[from->output[k]].name, &refused));
    return rml_graph_finish(importer->inside->graph, importer->err);
}

static rml_status import(rml_onnx_importer *importer)
{
    const rml_onnx_graph *from = &importer->file->graph;
    importer->place =
        rml_arena_alloc(&importer->arena, importer->file->value_count + 1, sizeof *importer->place);
    importer->listed = rml_arena_alloc(&importer->arena, importer->file->value_count + 1,
                                       sizeof *importer->listed);
    if (!importer->place || !importer->listed)
        return rml_fail_nomem(importer->err, sizeof *importer->place, "a table of values");
    RML_TRY(add_inputs(importer, from));
    RML_TRY(rml_onnx_import_nodes(importer, from));
    return importer->refusal_count ? rml_onnx_list_refusals(importer) : add_outputs(importer, from);
}

// Numbers in floating tensors of the file: what was trained.
static uint64_t count_parameters(const rml_onnx *file)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < file->value_count; i++) {
        const rml_onnx_tensor *tensor = file->value[i].tensor;
        size_t count;
        if (tensor && tensor->readable && rml_shape_count(&tensor->stored.shape, &count) &&
            (tensor->stored.dtype == RML_F32 || tensor->stored.dtype == RML_F16 ||
             tensor->stored.dtype == RML_BF16 || tensor->stored.dtype == RML_F64))
            total += count;
    }
    return total;
}

static rml_status fill(rml_model *model, const rml_onnx *file, rml_error *err)
{
    const rml_onnx_inside inside = {.graph = &model->graph};
    rml_onnx_importer importer = {
        .file = file, .allocator = model->allocator, .inside = &inside, .err = err};
    rml_arena_init(&importer.arena, model->allocator);
    const rml_status status = import(&importer);
    rml_free(model->allocator, importer.refusal);
    rml_arena_release(&importer.arena);
    model->parameters = count_parameters(file);
    return status;
}

rml_status rml_onnx_model_from(rml_model **out, rml_onnx *file, const rml_model_settings *settings,
                               rml_error *err)
{
    rml_model *model;
    *out = NULL;
    rml_status status = rml_model_begin(&model, &rml_kit_whole, settings, err);
    if (status != RML_OK) {
        rml_onnx_close(&file);
        return status;
    }
    model->user = file;
    model->release = release;
    model->drop_pages = drop_pages;
    status = fill(model, file, err);
    if (status != RML_OK)
        rml_model_destroy(&model);
    *out = model;
    return status;
}

rml_status rml_onnx_model_of(rml_model **out, const rml_onnx *file,
                             const rml_model_settings *settings, rml_error *err)
{
    RML_TRY(rml_model_begin(out, &rml_kit_whole, settings, err));
    (*out)->user = (void *)(uintptr_t)file;
    (*out)->drop_pages = drop_pages;
    const rml_status status = fill(*out, file, err);
    if (status != RML_OK)
        rml_model_destroy(out);
    return status;
}

rml_status rml_onnx_model_begin(rml_model **out, const char *path,
                                const rml_model_settings *settings, rml_error *err)
{
    rml_onnx *file;
    *out = NULL;
    RML_TRY(rml_onnx_open(&file, path, settings->allocator, err));
    const rml_status status = rml_onnx_model_from(out, file, settings, err);
    if (status != RML_OK)
        rml_error_prefix(err, path);
    return status;
}
