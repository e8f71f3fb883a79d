// The only file that sees stb: pixels from and to compressed images in memory or on disk.
#ifndef RML_MEDIA_STB_CODEC_H
#define RML_MEDIA_STB_CODEC_H

#include "media/frame.h"

typedef enum rml_image_kind {
    RML_IMAGE_NONE = 0,
    RML_IMAGE_PNG,
    RML_IMAGE_JPEG,
    RML_IMAGE_BMP
} rml_image_kind;

// Decodes an image of at most INT_MAX bytes as BGR into `frame`, which is reserved. `path` is for
// messages only.
rml_status rml_stb_decode(rml_frame *frame, const char *path, const uint8_t *data, size_t size,
                          const rml_allocator *allocator, rml_error *err);

// Writes `frame` to the new file `temporary`; messages name `path`. A file may be left on failure.
rml_status rml_stb_encode(const rml_frame *frame, rml_image_kind kind, const char *temporary,
                          const char *path, const rml_allocator *allocator, rml_error *err);

#endif
