// A package: a folder of a manifest, the model and its weights.
#ifndef RML_WRITERS_COREML_PACKAGE_H
#define RML_WRITERS_COREML_PACKAGE_H

#include "writers/coreml/blob.h"
#include "writers/fields.h"

// Written beside `path`, then renamed. A package that is there is replaced; another file or folder
// is not touched and refused. Without blobs there is no file of weights.
rml_status rml_package_write(const char *path, const rml_fields *model, const rml_blobs *blobs,
                             const rml_allocator *allocator, rml_error *err);

#endif
