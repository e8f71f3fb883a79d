// Lanczos-3 resampling of planes of floats, equal to Pillow's LANCZOS on mode "F" up to rounding.
#ifndef RML_MEDIA_IMAGE_RESAMPLE_H
#define RML_MEDIA_IMAGE_RESAMPLE_H

#include "media/image/frame.h"

// How far a result reaches into the source, in pixels of the coarser of both.
#define RML_IMAGE_RESAMPLE_REACH 3

// Keeps the weights of the last sizes and the room for what lies between the two passes: for a
// picture that is scaled down and up again take two of them. One is used by one thread at a time.
typedef struct rml_image_resampler rml_image_resampler;

rml_status rml_image_resampler_create(rml_image_resampler **out, const rml_allocator *allocator,
                                      rml_error *err);
void rml_image_resampler_destroy(rml_image_resampler **resampler);

// Scales `planes` planes of src_width x src_height floats, rows and planes one after another, to
// dst_width x dst_height ones. Where it shrinks the window is widened, so that nothing is aliased;
// at the edges it is cut off and what is left is weighed to one. Values may leave the range of the
// source a little beside hard edges. A direction that keeps its size is copied. `src` and `dst`
// must not overlap. RML_ERR_ARG unless sides are 1..RML_FRAME_MAX_SIDE and planes 1 or more.
rml_status rml_image_resample(rml_image_resampler *resampler, const float *src, int src_width,
                              int src_height, float *dst, int dst_width, int dst_height, int planes,
                              rml_error *err);

// Of that only `part`, inside dst_width x dst_height: planes of part->width x part->height with the
// same bits.
rml_status rml_image_resample_part(rml_image_resampler *resampler, const float *src, int src_width,
                                   int src_height, float *dst, int dst_width, int dst_height,
                                   const rml_part *part, int planes, rml_error *err);

#endif
