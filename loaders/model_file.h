// Models of graph files of any format, before the passes.
#ifndef RML_LOADERS_MODEL_FILE_H
#define RML_LOADERS_MODEL_FILE_H

#include "engine/model.h"

// The graph as imported from the file at `path`, or from bytes in memory that stay there.
rml_status rml_model_file_begin(rml_model **out, const char *path,
                                const rml_model_settings *settings, rml_error *err);
rml_status rml_model_memory_begin(rml_model **out, const void *data, size_t size,
                                  const rml_model_settings *settings, rml_error *err);

#endif
