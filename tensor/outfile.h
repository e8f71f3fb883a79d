// Files that appear under their name when they are whole: written beside it, then renamed.
#ifndef RML_TENSOR_OUTFILE_H
#define RML_TENSOR_OUTFILE_H

#include "tensor/alloc.h"

#include <stdio.h>

typedef struct rml_outfile {
    const rml_allocator *allocator;
    char *path, *beside; // owned
    FILE *file;          // NULL: not open
    uint64_t bytes;      // written so far
    int reason;          // errno of the first write that failed, or 0
} rml_outfile;

// Opens "<path>.part".
rml_status rml_outfile_open(rml_outfile *out, const char *path, const rml_allocator *allocator,
                            rml_error *err);

// Failures are kept, and told by rml_outfile_finish.
void rml_outfile_write(rml_outfile *out, const void *data, size_t bytes);
void rml_outfile_zeros(rml_outfile *out, size_t bytes);

// Closes and renames, where `status` is RML_OK and everything was written; otherwise removes what
// there is. `out` is closed in any case. Returns `status`, or what went wrong.
rml_status rml_outfile_finish(rml_outfile *out, rml_status status, rml_error *err);

#endif
