// One TIFF that libtiff reads or writes.
#ifndef RML_MEDIA_IMAGE_TIFF_STREAM_H
#define RML_MEDIA_IMAGE_TIFF_STREAM_H

#include "media/image/tiff_library.h"
#include "tensor/names.h"

#include <stdio.h>

#define RML_TIFF_MOST_BLOCK_BYTES ((uint64_t)1 << 30) // of a strip or tile

// What libtiff reads or writes, and its first complaint.
typedef struct rml_tiff_stream {
    const rml_tiff_library *lib;
    const uint8_t *data; // that is read
    uint64_t size, at;
    FILE *file; // that is written
    TIFF *tiff;
    char text[RML_QUOTE_BYTES];
    bool lost_colours, lost_profile; // tags that it could not read and goes on without
} rml_tiff_stream;

// `mode` as libtiff takes it. On success the caller closes s->tiff.
rml_status rml_tiff_stream_open(rml_tiff_stream *s, const char *mode, rml_error *err);

#endif
