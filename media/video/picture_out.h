// A folder of PNG pictures being written: under a temporary name until all are there.
#ifndef RML_MEDIA_VIDEO_PICTURE_OUT_H
#define RML_MEDIA_VIDEO_PICTURE_OUT_H

#include "media/image/picture_series.h"

// A zeroed one is empty and valid.
typedef struct rml_picture_out {
    const rml_allocator *allocator;
    const char *path; // of the owner
    char *folder, *temporary;
    bool exists; // the temporary folder
    int64_t count, bytes;
} rml_picture_out;

// Checks that the folder that `path` means is not there or empty, and can be made.
rml_status rml_picture_out_plan(rml_picture_out *out, const char *path,
                                const rml_allocator *allocator, rml_error *err);
rml_status rml_picture_out_create(rml_picture_out *out, rml_error *err);

// Writes the next picture, numbered from 1.
rml_status rml_picture_out_write(rml_picture_out *out, const void *data, size_t bytes,
                                 rml_error *err);

// The folder gets its name.
rml_status rml_picture_out_finish(rml_picture_out *out, rml_error *err);

// Removes what has not been finished.
void rml_picture_out_release(rml_picture_out *out);

#endif
