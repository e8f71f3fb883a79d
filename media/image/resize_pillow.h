// 8-bit bilinear resize that averages what it shrinks, equal to Pillow 13's BILINEAR to the bit.
#ifndef RML_MEDIA_IMAGE_RESIZE_PILLOW_H
#define RML_MEDIA_IMAGE_RESIZE_PILLOW_H

#include "media/image/resize_opencv.h"

// What `src` becomes, and the part of it that is wanted.
typedef struct rml_resize_pillow_part {
    int width, height; // of the whole result
    int left, top;     // of the part, whose size is that of the destination
} rml_resize_pillow_part;

// Writes the part to `dst`, which must not overlap `src`. Only what the part needs is computed; its
// pixels are those of the whole. `channels` is 1, 3 or 4. Sides are 1..RML_FRAME_MAX_SIDE and the
// part lies inside the result; RML_ERR_ARG otherwise.
rml_status rml_resize_pillow(rml_pixels src, rml_pixels_out dst, const rml_resize_pillow_part *part,
                             int channels, const rml_allocator *allocator, rml_error *err);

#endif
