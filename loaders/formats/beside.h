// Files that a model names: they hold its weights and lie in its own folder. A model is hostile
// input, so what it names may not lead anywhere else.
#ifndef RML_LOADERS_FORMATS_BESIDE_H
#define RML_LOADERS_FORMATS_BESIDE_H

#include "tensor/mapfile.h"

#define RML_BESIDE_PATH_BYTES 4096

// Names joined by single "/", none of them "." or "..": such a path leads nowhere else by itself.
// `path` is `bytes` long and ends in a zero.
bool rml_beside_is_plain(const char *path, size_t bytes);

// The path of the file `location` (`bytes` long, names joined by "/") in the folder of the file
// `model_path`. Links inside the folder are followed; one that leads out is refused.
rml_status rml_beside_find(const char *model_path, const char *location, size_t bytes,
                           char out[RML_BESIDE_PATH_BYTES], rml_error *err);

// Maps that file.
rml_status rml_beside_map(const char *model_path, const char *location, size_t bytes,
                          rml_mapfile *out, rml_error *err);

#endif
