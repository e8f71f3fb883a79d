// One picture of a video on its way from the decoder to the encoder: in the planes it was decoded
// to, or as BGR of 8 bits.
#ifndef RML_MEDIA_VIDEO_SHOT_H
#define RML_MEDIA_VIDEO_SHOT_H

#include "media/image/picture.h"
#include "media/image/planes.h"

// A zeroed shot is empty. The samples may belong to the decoder and be seen by others:
// rml_shot_own() first, then write.
typedef struct rml_shot {
    rml_planes planes;
    int64_t pts;            // time of display in units of time_base
    rml_rational time_base; // seconds
    void *coded;            // libav's frame, which holds the samples; NULL: `frame` does
    rml_frame frame;        // BGR; its buffer is kept for the next time
} rml_shot;

void rml_shot_release(rml_shot *shot);

// The picture is what has been put into shot->frame, with its time.
void rml_shot_use_frame(rml_shot *shot);

// The shot becomes the still, of its channels and bits, at time 0 of 1/1 s.
rml_status rml_shot_from_picture(rml_shot *shot, const rml_picture *picture, rml_error *err);

// `dst` becomes the same picture, without copying samples where libav holds them.
rml_status rml_shot_copy(rml_shot *dst, const rml_shot *src, const rml_allocator *allocator,
                         rml_error *err);

// Makes the samples the shot's own, by copying all of them where others may see them.
rml_status rml_shot_own(rml_shot *shot, rml_error *err);

// Copies the samples of `part` (as coded) from a shot of the same size and format; those of `dst`
// are its own.
void rml_shot_copy_part(rml_shot *dst, const rml_shot *src, const rml_part *part);

// Cuts out what lies in `part` (as coded), without copying. False where the part does not begin
// between samples of chroma, or the samples are not libav's.
bool rml_shot_crop(rml_shot *shot, const rml_part *part);

// `src` turned by `orientation`, its samples as they are; *done is false for layouts that have no
// such turned picture (4:2:2 on its side). Neither changes what `upright` says.
rml_status rml_shot_turn(rml_shot *dst, const rml_shot *src, rml_orientation orientation,
                         bool *done, rml_error *err);

// `src` at another size (as coded), in its own format. Areas are averaged.
rml_status rml_shot_scale(rml_shot *dst, const rml_shot *src, int width, int height,
                          rml_error *err);

#endif
