// One picture: packed 8-bit BGR as in OpenCV, with its time.
#ifndef RML_MEDIA_IMAGE_FRAME_H
#define RML_MEDIA_IMAGE_FRAME_H

#include "runmodel.h"

// Limits against files that claim absurd sizes. Readers check them before they allocate.
#define RML_FRAME_MAX_SIDE 16384
#define RML_FRAME_MAX_PIXELS (INT64_C(1) << 27) // 134 megapixels, 403 MB as BGR
#define RML_FRAME_CHANNELS 3

// num / den; 0/0 means "not known".
typedef struct rml_rational {
    int64_t num, den;
} rml_rational;

// A zeroed frame is empty and valid; rml_frame_reserve fills it. Buffers are kept when a frame is
// reserved again, so a ring of frames allocates only in its first round.
typedef struct rml_frame {
    uint8_t *data; // rows top to bottom, each pixel B, G, R
    int width, height;
    size_t pitch;           // bytes from one row to the next, >= 3 * width
    int64_t pts;            // time of display in units of time_base
    rml_rational time_base; // seconds
    size_t capacity_bytes;
    const rml_allocator *allocator; // owner of data
} rml_frame;

// Some columns and rows of a picture.
typedef struct rml_part {
    int x, y, width, height;
} rml_part;

static inline bool rml_part_equal(rml_part a, rml_part b)
{
    return a.x == b.x && a.y == b.y && a.width == b.width && a.height == b.height;
}

// Makes room for width x height pixels, uninitialised, and sets width, height and pitch; the buffer
// is reused when it is large enough. pts and time_base stay. RML_ERR_LIMIT beyond the limits above.
// On failure the frame is as it was.
rml_status rml_frame_reserve(rml_frame *frame, int width, int height,
                             const rml_allocator *allocator, rml_error *err);

// Frees the buffer and empties the frame.
void rml_frame_release(rml_frame *frame);

// Copies pixels and time; reserves `dst` as above.
rml_status rml_frame_copy(rml_frame *dst, const rml_frame *src, const rml_allocator *allocator,
                          rml_error *err);

// RML_OK when a picture of this size is within the limits; `name` begins the message.
rml_status rml_frame_check_size(int64_t width, int64_t height, const char *name, rml_error *err);

double rml_frame_seconds(const rml_frame *frame);

// num / den as a double; 0 when not known.
double rml_rational_value(rml_rational rational);

#endif
