// A still image as its file holds it: gray or RGB, with or without alpha, 8 or 16 bits a sample.
// PNG, JPEG, BMP, TGA and PNM are read; PNG, JPEG and BMP are written. In a build without stb the
// first three of them fail with RML_ERR_UNSUPPORTED.
#ifndef RML_MEDIA_IMAGE_PICTURE_H
#define RML_MEDIA_IMAGE_PICTURE_H

#include "runmodel.h"
#include "media/image/frame.h"

#define RML_IMAGE_MAX_FILE_BYTES (INT64_C(1) << 30)

// A zeroed picture is empty and valid.
typedef struct rml_picture {
    void *data; // rows top to bottom without gaps; uint8_t, or uint16_t in the machine's byte order
    int width, height;
    int channels;                   // 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha
    int bits;                       // 8 or 16
    const rml_allocator *allocator; // owner of data
} rml_picture;

typedef enum rml_image_kind {
    RML_IMAGE_NONE = 0,
    RML_IMAGE_PNG,
    RML_IMAGE_JPEG,
    RML_IMAGE_BMP,
    RML_IMAGE_PNM, // P2, P3, P5 and P6
    RML_IMAGE_TGA
} rml_image_kind;

// What the bytes begin like. TGA has no mark and is told by the extension of `path`.
rml_image_kind rml_image_kind_of(const char *path, const uint8_t *data, size_t size);

// The kind that the extension of `path` names, in any case; NONE for others.
rml_image_kind rml_image_kind_named(const char *path);

// Makes a picture of this size, uninitialised; what was there is released. The size must have
// passed rml_frame_check_size.
rml_status rml_picture_create(rml_picture *out, int width, int height, int channels, int bits,
                              const rml_allocator *allocator, rml_error *err);
void rml_picture_release(rml_picture *picture);

// Channels without alpha.
static inline int rml_picture_colours(const rml_picture *picture)
{
    return picture->channels >= 3 ? 3 : 1;
}

// The largest sample, and the one of a channel at a pixel.
static inline double rml_picture_full(const rml_picture *picture)
{
    return picture->bits == 16 ? 65535 : 255;
}

static inline double rml_picture_sample(const rml_picture *p, int x, int y, int channel)
{
    const size_t at =
        ((size_t)y * (size_t)p->width + (size_t)x) * (size_t)p->channels + (size_t)channel;
    return p->bits == 16 ? ((const uint16_t *)p->data)[at] : ((const uint8_t *)p->data)[at];
}

// Bytes of one row.
size_t rml_picture_pitch(const rml_picture *picture);

// Writes the samples of row `y` as 8 bits: colours 0..channels-1 of each pixel, gray repeated, or
// the alpha where `channels` is 4. 16 bits are cut to the upper 8, or rounded.
void rml_picture_row8(const rml_picture *picture, int y, int channels, bool round, uint8_t *out);

// Loads an image: palettes become colours, fewer than 8 bits become 8, and the EXIF orientation of
// a JPEG is applied. A file that ends early is an error, not a half gray picture. `out` must be
// empty, and is so after a failure.
rml_status rml_picture_load(rml_picture *out, const char *path, const rml_allocator *allocator,
                            rml_error *err);

// Writes PNG, JPEG (quality 95) or BMP by the extension of `path`, in any case. JPEG and BMP take
// 16 bits rounded to 8, JPEG drops alpha, and both hold gray as equal colours. The file is written
// under a temporary name beside the target and renamed, so that `path` is whole or untouched.
rml_status rml_picture_save(const rml_picture *picture, const char *path,
                            const rml_allocator *allocator, rml_error *err);

// RML_OK when rml_picture_save knows the extension of `path` and this build can write it.
rml_status rml_picture_save_check(const char *path, rml_error *err);

// True when the file begins like a PNG, JPEG or BMP, whatever its name. A file that cannot be read
// is not an image; the reader that opens it next reports why. JPEG streams named .mjpg or .mjpeg
// and animated PNG count as video.
bool rml_image_is_still(const char *path);

// Loads an image (media/image/picture.h) as BGR, 8 bits: gray is repeated, alpha dropped and 16
// bits cut to the upper 8, as cv2.imread does. pts = 0, time_base = 1/1. `frame` is reserved; on
// failure it holds no image that means anything, and is still to be released.
rml_status rml_image_load(rml_frame *frame, const char *path, const rml_allocator *allocator,
                          rml_error *err);

#endif
