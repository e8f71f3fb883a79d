// Models of graph files: which format a file has, and the passes behind the import.
#include "loaders/model_file.h"

#include "loaders/coreml/model.h"
#include "loaders/graph_file.h"
#include "loaders/onnx/model.h"

#include <string.h>

rml_status rml_graph_map(rml_mapfile *out, bool *coreml, const char *path, rml_error *err)
{
    *out = (rml_mapfile){NULL, 0};
    *coreml = rml_coreml_is_package(path);
    if (*coreml)
        return RML_OK;
    RML_TRY(rml_mapfile_open(out, path, err));
    rml_mapfile_expect(out, RML_ACCESS_SCATTERED);
    *coreml = rml_coreml_is_model(out->data, out->size);
    rml_mapfile_expect(out, RML_ACCESS_NORMAL);
    return RML_OK;
}

rml_status rml_model_file_begin(rml_model **out, const char *path,
                                const rml_model_settings *settings, rml_error *err)
{
    rml_mapfile map;
    bool is_coreml;
    *out = NULL;
    if (!path || !*path)
        return rml_fail(err, RML_ERR_ARG, "the path of the model is empty");
    RML_TRY(rml_graph_map(&map, &is_coreml, path, err));
    if (is_coreml) {
        rml_coreml *file;
        RML_TRY(rml_coreml_open_map(&file, path, &map, settings->allocator, err));
        return rml_named(rml_coreml_model_from(out, file, settings, err), err, path);
    }
    if (settings->function) {
        rml_mapfile_close(&map);
        return rml_no_functions(path, settings->function, err);
    }
    rml_onnx *file;
    RML_TRY(rml_onnx_open_map(&file, path, &map, settings->allocator, err));
    return rml_named(rml_onnx_model_from(out, file, settings, err), err, path);
}

rml_status rml_model_memory_begin(rml_model **out, const void *data, size_t size,
                                  const rml_model_settings *settings, rml_error *err)
{
    rml_onnx *onnx;
    rml_coreml *coreml;
    *out = NULL;
    if (rml_coreml_is_model(data, size)) {
        RML_TRY(rml_coreml_open_memory(&coreml, data, size, settings->allocator, err));
        return rml_coreml_model_from(out, coreml, settings, err);
    }
    if (settings->function)
        return rml_no_functions(NULL, settings->function, err);
    RML_TRY(rml_onnx_open_memory(&onnx, data, size, settings->allocator, err));
    return rml_onnx_model_from(out, onnx, settings, err);
}

// ---- the interface ------------------------------------------------------------------------------

// After the import, whose status is given. `path` NULL: the file has none.
static rml_status optimise(rml_model **out, rml_status status, const char *path,
                           const rml_model_settings *settings, rml_error *err)
{
    RML_TRY(status);
    status = rml_model_improve(out, settings, err);
    if (status != RML_OK && path)
        rml_error_prefix(err, path);
    return status;
}

static rml_status take(rml_model_settings *given, rml_model **out,
                       const rml_model_settings *settings, rml_error *err)
{
    *out = NULL;
    return rml_settings_take(given, sizeof *given, settings, "rml_model_settings", err);
}

rml_status rml_model_open(rml_model **out, const char *path, const rml_model_settings *settings,
                          rml_error *err)
{
    rml_model_settings given;
    RML_TRY(take(&given, out, settings, err));
    return optimise(out, rml_model_file_begin(out, path, &given, err), path, &given, err);
}

static rml_status of_file(rml_model **out, const rml_graph_file *file,
                          const rml_model_settings *settings, rml_error *err)
{
    if (strcmp(file->summary.format, "onnx") == 0)
        return settings->function ? rml_no_functions(NULL, settings->function, err)
                                  : rml_onnx_model_of(out, file->file, settings, err);
    rml_coreml *again;
    RML_TRY(rml_coreml_open_again(&again, file->file, err));
    return rml_coreml_model_from(out, again, settings, err);
}

rml_status rml_graph_file_model(rml_model **out, rml_graph_file *file,
                                const rml_model_settings *settings, rml_error *err)
{
    const char *path = file->path;
    rml_model_settings given;
    RML_TRY(take(&given, out, settings, err));
    return optimise(out, rml_named(of_file(out, file, &given, err), err, path), path, &given, err);
}

rml_status rml_model_open_memory(rml_model **out, const void *data, size_t size,
                                 const rml_model_settings *settings, rml_error *err)
{
    rml_model_settings given;
    RML_TRY(take(&given, out, settings, err));
    return optimise(out, rml_model_memory_begin(out, data, size, &given, err), NULL, &given, err);
}

// Where a source leads to is not known before it is read.
rml_status rml_model_open_source(rml_model **out, const rml_source *source,
                                 const rml_model_settings *settings, rml_error *err)
{
    rml_model_settings given;
    rml_onnx *file;
    RML_TRY(take(&given, out, settings, err));
    if (given.function)
        return rml_no_functions(NULL, given.function, err);
    RML_TRY(rml_onnx_open_source(&file, source, given.allocator, err));
    return optimise(out, rml_onnx_model_from(out, file, &given, err), NULL, &given, err);
}
