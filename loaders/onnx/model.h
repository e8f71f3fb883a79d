// A model of an ONNX file, before the passes: for those who change its ports first.
#ifndef RML_LOADERS_ONNX_MODEL_H
#define RML_LOADERS_ONNX_MODEL_H

#include "engine/model.h"
#include "loaders/onnx/file.h"

// The graph as imported. The model owns the file.
rml_status rml_onnx_model_begin(rml_model **out, const char *path,
                                const rml_model_settings *settings, rml_error *err);

// The same of a file that is open already, which it takes, also where it fails.
rml_status rml_onnx_model_from(rml_model **out, rml_onnx *file, const rml_model_settings *settings,
                               rml_error *err);

// The same of a file that must outlive the model.
rml_status rml_onnx_model_of(rml_model **out, const rml_onnx *file,
                             const rml_model_settings *settings, rml_error *err);

#endif
