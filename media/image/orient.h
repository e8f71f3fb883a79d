// The eight ways a picture can lie, numbered as in EXIF, and how to turn it upright.
#ifndef RML_MEDIA_IMAGE_ORIENT_H
#define RML_MEDIA_IMAGE_ORIENT_H

#include "media/image/frame.h"

typedef enum rml_orientation {
    RML_ORIENT_NORMAL = 1,
    RML_ORIENT_MIRROR_X = 2, // left and right exchanged
    RML_ORIENT_ROTATE_180 = 3,
    RML_ORIENT_MIRROR_Y = 4,   // top and bottom exchanged
    RML_ORIENT_TRANSPOSE = 5,  // rows become columns
    RML_ORIENT_ROTATE_90 = 6,  // clockwise
    RML_ORIENT_TRANSVERSE = 7, // transpose over the other diagonal
    RML_ORIENT_ROTATE_270 = 8  // clockwise
} rml_orientation;

// True when width and height change places.
bool rml_orientation_swaps(rml_orientation orientation);

// Reads a display matrix as stored in MP4 (16.16 fixed point, row vectors). Angles that are not
// multiples of 90 degrees count as the nearest one.
rml_orientation rml_orientation_from_matrix(const int32_t matrix[9]);

// The display matrix of an orientation, about the origin.
void rml_orientation_to_matrix(rml_orientation orientation, int32_t matrix[9]);

// Pixels of `bytes` each, in rows.
typedef struct rml_pixel_rows {
    uint8_t *data;
    int width, height;
    size_t pitch, bytes;
} rml_pixel_rows;

// Writes `src` turned by `orientation` to `dst`, which has the size that comes out.
void rml_orient_pixels(const rml_pixel_rows *dst, const rml_pixel_rows *src,
                       rml_orientation orientation);

// Writes `src` turned by `orientation` to `dst` (another frame), which is reserved; time is copied.
rml_status rml_frame_orient(rml_frame *dst, const rml_frame *src, rml_orientation orientation,
                            const rml_allocator *allocator, rml_error *err);

#endif
