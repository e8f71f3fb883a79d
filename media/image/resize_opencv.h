// 8-bit bilinear resize, equal to OpenCV's INTER_LINEAR to the bit.
#ifndef RML_MEDIA_IMAGE_RESIZE_OPENCV_H
#define RML_MEDIA_IMAGE_RESIZE_OPENCV_H

#include "media/image/frame.h"

// Keeps the tables of the last pair of sizes, so that equal calls in a row only do the arithmetic.
// One resizer is used by one thread at a time.
typedef struct rml_resizer rml_resizer;

rml_status rml_resizer_create(rml_resizer **out, const rml_allocator *allocator, rml_error *err);
void rml_resizer_destroy(rml_resizer **resizer);

// A rectangle of interleaved 8-bit samples inside a larger picture.
typedef struct rml_pixels {
    const uint8_t *data;
    size_t pitch; // bytes
    int width, height;
} rml_pixels;

typedef struct rml_pixels_out {
    uint8_t *data;
    size_t pitch;
    int width, height;
} rml_pixels_out;

// Scales `src` onto `dst`, which must not overlap. `channels` is 1, 3 or 4. Sides
// are 1..RML_FRAME_MAX_SIDE, RML_ERR_ARG otherwise (an empty box gives an error here, not a crash).
rml_status rml_resize_opencv(rml_resizer *resizer, rml_pixels src, rml_pixels_out dst, int channels,
                             rml_error *err);

#endif
