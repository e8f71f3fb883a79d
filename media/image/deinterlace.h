// Pictures woven of two fields, whose lines were taken at two times, made whole.
#ifndef RML_MEDIA_IMAGE_DEINTERLACE_H
#define RML_MEDIA_IMAGE_DEINTERLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The same plane of three pictures that follow one another, at the ends of a video of the nearest
// there is. Rows are `stride` bytes apart and hold `width` samples, of `step` that belong to a
// pixel.
typedef struct rml_woven_plane {
    const uint8_t *before, *at, *after;
    ptrdiff_t before_stride, stride, after_stride;
    int width, height, step;
    bool top_first; // the even lines were taken first
} rml_woven_plane;

// The plane as of the time of its first field, to `out`. Lines of that field are kept. A sample of
// the others is the mean of what was there before and after; where that differs from its
// surroundings in time by motion, it is drawn towards what is above and below, along an edge if
// there is one (the idea of Michael Niedermayer's "yadif"). Pictures that stand still come out as
// they are. Planes of fewer than two rows are copied.
void rml_deinterlace_u8(const rml_woven_plane *plane, uint8_t *out, ptrdiff_t out_stride);
void rml_deinterlace_u16(const rml_woven_plane *plane, uint8_t *out, ptrdiff_t out_stride);

#endif
