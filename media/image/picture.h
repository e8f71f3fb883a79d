// A still image as its file holds it: gray or RGB, with or without alpha, 8 or 16 bits a sample,
// with its colour profile and EXIF. picture_codecs.h says which library reads and writes which
// kind.
#ifndef RML_MEDIA_IMAGE_PICTURE_H
#define RML_MEDIA_IMAGE_PICTURE_H

#include "media/image/frame.h"
#include "media/image/orient.h"
#include "runmodel.h"

#define RML_IMAGE_MAX_FILE_BYTES (INT64_C(1) << 30)
#define RML_IMAGE_HEAD_BYTES 4096 // of a file, that tell what it is

typedef enum rml_image_kind {
    RML_IMAGE_NONE = 0,
    RML_IMAGE_PNG,
    RML_IMAGE_JPEG,
    RML_IMAGE_BMP,
    RML_IMAGE_PNM, // P1 to P6
    RML_IMAGE_TGA,
    RML_IMAGE_TIFF,
    RML_IMAGE_WEBP,
    RML_IMAGE_UNREAD // an image of a kind that no build reads: GIF, HEIC...
} rml_image_kind;

// Bytes of a file that no reader here looks into.
typedef struct rml_block {
    uint8_t *data;
    size_t size;
} rml_block;

#define RML_REMARK_BYTES 256

// A zeroed picture is empty and valid.
typedef struct rml_picture {
    void *data; // rows top to bottom without gaps; uint8_t, or uint16_t in the machine's byte order
    int width, height;
    int channels;                   // 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha
    int bits;                       // 8 or 16
    const rml_allocator *allocator; // owner of data, profile and exif
    rml_block profile;              // ICC, of the colours that the samples are
    rml_block exif;                 // from the TIFF header on
    bool lost_exif;                 // its file says more of it, which is not read: a TIFF's
    rml_orientation orientation;    // what a decoder found; 0 or NORMAL in a loaded picture
    double across, down;            // pixels an inch, 0: not stated
    char remark[RML_REMARK_BYTES];  // what the file has that its reader should know, or ""
} rml_picture;

// What the bytes begin like. TGA has no mark and is told by the extension of `path`; so is a JPEG
// behind bytes that belong to nothing.
rml_image_kind rml_image_kind_of(const char *path, const uint8_t *data, size_t size);

// The kind that the extension of `path` names, in any case; NONE for others.
rml_image_kind rml_image_kind_named(const char *path);

// True for names of JPEG streams, which begin like one image and are videos.
bool rml_image_names_stream(const char *path);

// "PNG"; for UNREAD what the bytes begin like.
const char *rml_image_kind_name(rml_image_kind kind, const uint8_t *data, size_t size);

// Where a JPEG begins: 0, or behind bytes that belong to nothing; `size` when there is none.
size_t rml_jpeg_start(const uint8_t *data, size_t size);

// Makes a picture of this size, uninitialised; what was there is released. The size must have
// passed rml_frame_check_size.
rml_status rml_picture_create(rml_picture *out, int width, int height, int channels, int bits,
                              const rml_allocator *allocator, rml_error *err);
void rml_picture_release(rml_picture *picture);

// Copies bytes to an empty block of the picture.
rml_status rml_picture_keep(const rml_picture *picture, rml_block *block, const uint8_t *data,
                            size_t size, rml_error *err);

// Takes profile, EXIF, pixels an inch and remark of `from` along, which has the same allocator and
// loses them.
void rml_picture_take_notes(rml_picture *picture, rml_picture *from);

// Pixels a metre as BMP and PNG count, and back; 0 for what is not stated or no sense.
uint32_t rml_picture_per_metre(double per_inch);
double rml_picture_per_inch(uint32_t per_metre);

// Puts a remark behind those that are there.
void rml_picture_remark(rml_picture *picture, const char *format, ...) RML_PRINTF(2, 3);

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

// Loads an image: palettes become colours, fewer than 8 bits become 8, CMYK becomes RGB, and the
// orientation that EXIF or TIFF states is applied. A file that ends early is an error, not a half
// gray picture; one that lacks only its end marker has a remark. `out` must be empty, and is so
// after a failure.
rml_status rml_picture_load(rml_picture *out, const char *path, const rml_allocator *allocator,
                            rml_error *err);

// Writes the kind of image that `path` names. What the kind does not hold is left out: 16 bits are
// rounded to 8, alpha is dropped. The file is written under a temporary name beside the target and
// renamed, so that `path` is whole or untouched.
rml_status rml_picture_save(const rml_picture *picture, const char *path,
                            const rml_allocator *allocator, rml_error *err);

// The same as `kind`, whatever the path names.
rml_status rml_picture_save_as(const rml_picture *picture, const char *path, rml_image_kind kind,
                               const rml_allocator *allocator, rml_error *err);

// RML_OK when this build writes the kind of image that the extension of `path` names.
rml_status rml_picture_save_check(const char *path, rml_error *err);

// True when this build writes the kind.
bool rml_image_kind_written(rml_image_kind kind);

// The channels and bits that a file of this kind, which is written, holds of the picture. Says what
// is lost in a remark: alpha, 16 bits, the profile.
void rml_picture_reduced(rml_picture *picture, rml_image_kind kind, int *channels, int *bits);

// True when the file begins like a PNG, JPEG, BMP, TIFF or WebP that this build reads, whatever its
// name. A file that cannot be read is not an image; the reader that opens it next reports why. JPEG
// streams named .mjpg or .mjpeg, animated PNG and WebP, and PNM, which may hold many images, count
// as video.
bool rml_image_is_still(const char *path);

// The picture as BGR, 8 bits: gray is repeated, alpha dropped and 16 bits cut to the upper 8, as
// cv2.imread does. pts = 0, time_base = 1/1. `frame` is reserved; on failure it holds no image that
// means anything, and is still to be released.
rml_status rml_frame_from_picture(rml_frame *frame, const rml_picture *picture,
                                  const rml_allocator *allocator, rml_error *err);

// Loads an image as such a frame.
rml_status rml_image_load(rml_frame *frame, const char *path, const rml_allocator *allocator,
                          rml_error *err);

#endif
