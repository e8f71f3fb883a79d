// rml_model_write: the kind of file that is asked for.
#include "writers/writing.h"

#include <stdio.h>
#include <string.h>

typedef struct rml_kind {
    const char *ending;
    rml_status (*write)(rml_writing *w, rml_error *err);
} rml_kind;

static const rml_kind kinds[] = {{".onnx", rml_write_onnx},
                                 {".mlmodel", rml_write_mlmodel},
                                 {".mlpackage", rml_write_mlpackage},
                                 {".safetensors", rml_write_safetensors}};

rml_write_settings rml_write_settings_default(void)
{
    return (rml_write_settings){.size = sizeof(rml_write_settings)};
}

static const rml_kind *find_kind(const char *path)
{
    const size_t length = strlen(path);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t ending = strlen(kinds[i].ending);
        if (length > ending && strcmp(path + length - ending, kinds[i].ending) == 0)
            return &kinds[i];
    }
    return NULL;
}

rml_status rml_model_write(const rml_model *model, const char *path,
                           const rml_write_settings *settings, rml_error *err)
{
    rml_writing w = {.model = model, .path = path, .allocator = model->allocator};
    RML_TRY(rml_settings_take(&w.settings, sizeof w.settings, settings, "rml_write_settings", err));
    if (!model->as_written)
        return rml_fail(err, RML_ERR_ARG, "the model was not made to be written (as_written)");
    const rml_kind *kind = find_kind(path);
    if (!kind) {
        char known[128] = "";
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "",
                     kinds[i].ending);
        return rml_fail(err, RML_ERR_ARG, "%s: what can be written ends in %s", path, known);
    }
    rml_graph_init(&w.graph, w.allocator);
    const rml_status status = kind->write(&w, err);
    rml_graph_release(&w.graph);
    return rml_named(status, err, path);
}
