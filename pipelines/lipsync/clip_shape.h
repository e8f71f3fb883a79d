// Pictures of a clip as they are asked for: smaller, turned, cropped; as frames of BGR or in
// planes.
#ifndef RML_PIPELINES_LIPSYNC_CLIP_SHAPE_H
#define RML_PIPELINES_LIPSYNC_CLIP_SHAPE_H

#include "media/image/resize_opencv.h"
#include "media/video/video_in.h"
#include "pipelines/lipsync/schedule.h"

typedef struct rml_clip_settings {
    const char *path;
    double still_fps;  // frame rate of a still image, and of a video that hardly moves
    bool nominal_rate; // take the rate of a video as OpenCV reports it, however odd
    rml_deinterlace deinterlace;
    int resize_factor; // video only: sides divided by this first
    bool rotate;       // video only: then 90 degrees clockwise
    int crop[4]; // video only: then rows top..bottom, columns left..right; bottom or right -1:
                 // to the end; other negative numbers count from the end, as in Python
    bool first_frame_only; // --static
    rml_repeat repeat;     // what follows the last frame
    int threads;           // of the decoder; 0: as many as fit
    bool bgr;              // shots are frames of BGR, upright, not planes
    bool turn_samples;     // shots are upright: the result cannot say how it is turned
} rml_clip_settings;

typedef struct rml_clip_shape {
    const rml_clip_settings *settings; // of the owner, path included
    const rml_allocator *allocator;
    rml_resizer *resizer;
    rml_frame scaled, turned; // steps on the way
} rml_clip_shape;

rml_status rml_clip_shape_init(rml_clip_shape *shape, const rml_clip_settings *settings,
                               const rml_allocator *allocator, rml_error *err);
void rml_clip_shape_release(rml_clip_shape *shape);

// Nothing is asked for.
bool rml_clip_shape_is_plain(const rml_clip_settings *settings);

// Resizes as OpenCV does, turns and crops `frame` into `out`; its time comes along.
rml_status rml_clip_shape_frame(rml_clip_shape *shape, const rml_frame *frame, rml_frame *out,
                                rml_error *err);

// The same in planes, in place. *done is false, and the shot of no use, where its format has no
// such picture: a crop that begins within a chroma sample, 4:2:2 on its side.
rml_status rml_clip_shape_shot(rml_clip_shape *shape, rml_shot *shot, bool *done, rml_error *err);

#endif
