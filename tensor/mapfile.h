// Read-only mapping of a whole file.
#ifndef RML_TENSOR_MAPFILE_H
#define RML_TENSOR_MAPFILE_H

#include "tensor/alloc.h"

typedef struct rml_mapfile {
    const uint8_t *data; // NULL for an empty file
    size_t size;
} rml_mapfile;

// Maps `path`. A folder, a missing file and a file that is not a regular one are errors that name
// it. Touching pages of a file that another process cuts short while mapped raises SIGBUS, as with
// every mapping; sizes are checked against the size at opening.
rml_status rml_mapfile_open(rml_mapfile *out, const char *path, rml_error *err);

typedef enum rml_access {
    RML_ACCESS_NORMAL,
    RML_ACCESS_SCATTERED, // a few bytes here and there: do not read ahead
} rml_access;

// How the file is going to be read. Only a hint: a failure changes nothing.
void rml_mapfile_expect(const rml_mapfile *file, rml_access access);

// Tells the system that the pages will not be needed soon: resident memory shrinks, contents stay.
void rml_mapfile_drop_pages(const rml_mapfile *file);

void rml_mapfile_close(rml_mapfile *file);

// Reads a source into memory of `allocator`: *out->data is the caller's to rml_free, and not NULL.
rml_status rml_source_read(const rml_source *source, const rml_allocator *allocator,
                           rml_mapfile *out, rml_error *err);

#endif
