// One decoder or encoder of still images each; messages come without the file's name.
#ifndef RML_MEDIA_IMAGE_PICTURE_CODECS_H
#define RML_MEDIA_IMAGE_PICTURE_CODECS_H

#include "media/image/picture.h"
#include "media/image/orient.h"

#include <stdio.h>

// stb_codec.c, the only file that sees stb: decodes PNG, JPEG and BMP of at most INT_MAX bytes;
// writes JPEG and BMP of 8 bits. What fails to be written shows in ferror(file).
rml_status rml_stb_decode(rml_picture *out, const uint8_t *data, size_t size,
                          const rml_allocator *allocator, rml_error *err);
rml_status rml_stb_write(FILE *file, const rml_picture *picture, rml_image_kind kind,
                         rml_error *err);

// RML_OK, or the sentence for a build without stb.
rml_status rml_stb_available(rml_error *err);

// Gives `take` the zlib stream of at most INT_MAX bytes in one piece.
rml_status rml_stb_deflate(const uint8_t *data, size_t size,
                           void (*take)(void *user, const uint8_t *data, size_t size), void *user,
                           rml_error *err);

// PNG of any kind of picture. What fails to be written shows in ferror(file).
rml_status rml_png_write(FILE *file, const rml_picture *picture, const rml_allocator *allocator,
                         rml_error *err);

// Portable graymap and pixmap, as text or binary, with any largest value up to 65535.
rml_status rml_pnm_decode(rml_picture *out, const uint8_t *data, size_t size,
                          const rml_allocator *allocator, rml_error *err);

// Truevision TGA: palette, colour or gray, plain or run-length encoded.
rml_status rml_tga_decode(rml_picture *out, const uint8_t *data, size_t size,
                          const rml_allocator *allocator, rml_error *err);

// What an image decoder does not tell about a JPEG: how it is to be turned, and whether it is
// whole.

typedef struct rml_jpeg_facts {
    rml_orientation orientation; // from EXIF; NORMAL when not stated or not valid
    bool complete;               // the end marker was found
    bool tables_valid;           // no Huffman table claims more than 256 codes (stb does not check)
} rml_jpeg_facts;

// Walks the markers of a JPEG in memory; reads no pixel. Never fails: damaged parts end the walk.
rml_jpeg_facts rml_jpeg_scan(const uint8_t *data, size_t size);

#endif
