// A model of a Core ML file.
#include "loaders/coreml/model.h"

static void drop_pages(void *user)
{
    rml_coreml_drop_pages(user);
}

static void release(void *user)
{
    rml_coreml *file = user;
    rml_coreml_close(&file);
}

static rml_status fill(rml_model *model, rml_coreml *file, rml_error *err)
{
    if (file->model.type == RML_COREML_PROGRAM)
        return rml_mil_import(&model->graph, file, &file->model, &model->parameters, err);
    if (file->model.type == RML_COREML_NETWORK ||
        file->model.type == RML_COREML_NETWORK_CLASSIFIER ||
        file->model.type == RML_COREML_NETWORK_REGRESSOR)
        return rml_nn_import(&model->graph, file, &file->model, &model->parameters, err);
    return rml_fail(err, RML_ERR_UNSUPPORTED, "Core ML pipelines are not supported");
}

rml_status rml_coreml_model_from(rml_model **out, rml_coreml *file,
                                 const rml_model_settings *settings, rml_error *err)
{
    *out = NULL;
    rml_status status = rml_model_begin(out, settings, err);
    if (status != RML_OK) {
        rml_coreml_close(&file);
        return status;
    }
    (*out)->user = file;
    (*out)->release = release;
    (*out)->drop_pages = drop_pages;
    status = fill(*out, file, err);
    if (status != RML_OK)
        rml_model_destroy(out);
    return status;
}
