// One decoder or encoder of still images each; messages come without the file's name.
#ifndef RML_MEDIA_IMAGE_PICTURE_CODECS_H
#define RML_MEDIA_IMAGE_PICTURE_CODECS_H

#include "media/image/picture.h"

#include <stdio.h>

typedef struct rml_picture_codec {
    rml_image_kind kind;
    // Fills `out`, which is empty, from at most RML_IMAGE_MAX_FILE_BYTES. Sizes are checked before
    // memory is taken; after a failure the caller releases.
    rml_status (*decode)(rml_picture *out, const uint8_t *data, size_t size,
                         const rml_allocator *allocator, rml_error *err);
    // Writes a picture of the channels and bits below; NULL: is not written. What fails to be
    // written shows in ferror(file).
    rml_status (*encode)(FILE *file, const rml_picture *picture, const rml_allocator *allocator,
                         rml_error *err);
    bool gray, gray_alpha, alpha, wide, profile; // what files that it writes hold
    size_t most_exif;                            // bytes, 0: none
} rml_picture_codec;

extern const rml_picture_codec rml_png_codec;  // libpng
extern const rml_picture_codec rml_jpeg_codec; // libjpeg-turbo
extern const rml_picture_codec rml_tiff_codec; // libtiff
extern const rml_picture_codec rml_webp_codec; // libwebp
extern const rml_picture_codec rml_stb_png_codec, rml_stb_jpeg_codec;
extern const rml_picture_codec rml_bmp_codec, rml_pnm_codec, rml_tga_codec;

// The codec of this build for a kind, or NULL.
const rml_picture_codec *rml_picture_codec_of(rml_image_kind kind);

// ---- EXIF -------------------------------------------------------------------------------------

// What a block of EXIF, from its TIFF header on, says; NORMAL when not stated or not valid.
rml_orientation rml_exif_orientation(const uint8_t *data, size_t size);

// Says NORMAL in the block where it states an orientation.
void rml_exif_set_upright(uint8_t *data, size_t size);

// ---- what stb_image does not tell about a JPEG ------------------------------------------------

typedef struct rml_jpeg_facts {
    rml_orientation orientation; // from EXIF; NORMAL when not stated or not valid
    bool complete;               // the end marker was found
    bool tables_valid;           // no Huffman table claims more than 256 codes (stb does not check)
} rml_jpeg_facts;

// Walks the markers of a JPEG in memory; reads no pixel. Never fails: damaged parts end the walk.
rml_jpeg_facts rml_jpeg_scan(const uint8_t *data, size_t size);

// ---- what the fallback of libpng consists of --------------------------------------------------

// Gives `take` the zlib stream of at most INT_MAX bytes in one piece.
rml_status rml_stb_deflate(const uint8_t *data, size_t size,
                           void (*take)(void *user, const uint8_t *data, size_t size), void *user,
                           rml_error *err);

// PNG of any kind of picture.
rml_status rml_png_write(FILE *file, const rml_picture *picture, const rml_allocator *allocator,
                         rml_error *err);

#endif
