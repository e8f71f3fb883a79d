// weight.bin: the large constants of an ML Program. A header of 64 bytes; then for each 64 bytes of
// metadata and the data, both at multiples of 64.
#ifndef RML_WRITERS_COREML_BLOB_H
#define RML_WRITERS_COREML_BLOB_H

#include "tensor/outfile.h"
#include "writers/elements.h"

typedef struct rml_blob {
    rml_elements elements;
    uint32_t type; // number of the format
} rml_blob;

typedef struct rml_blobs {
    const rml_allocator *allocator;
    rml_blob *blob;
    size_t count, capacity;
    uint64_t end; // of the last one's data
} rml_blobs;

void rml_blobs_init(rml_blobs *blobs, const rml_allocator *allocator);
void rml_blobs_release(rml_blobs *blobs);

// Whether there is a number for the type.
bool rml_blobs_take(rml_dtype dtype);

// Adds one, which owns the elements from now on, also after a failure. *offset is where the
// metadata will lie.
rml_status rml_blobs_add(rml_blobs *blobs, rml_elements elements, rml_dtype dtype, uint64_t *offset,
                         rml_error *err);

void rml_blobs_write(const rml_blobs *blobs, rml_outfile *file);

#endif
