// The pictures of the pipeline: a video or a still, turned and cropped, in playing order without
// end.
#ifndef RML_PIPELINES_LIPSYNC_CLIP_H
#define RML_PIPELINES_LIPSYNC_CLIP_H

#include "media/video/video_in.h"
#include "pipelines/lipsync/clip_shape.h"

typedef struct rml_clip_info {
    int width, height; // of the delivered shots, as they are shown
    rml_rational frame_rate;
    double fps;           // the same; for a still what the user gave
    double start_seconds; // of the first frame, after the file begins
    rml_rational time_base;
    rml_rational pixel_aspect; // as shown
    rml_colour colour;
    rml_fields fields;       // of delivered shots
    int64_t frames_estimate; // 0: not known
    bool still;              // an image file, which is neither resized, turned nor cropped
} rml_clip_info;

typedef struct rml_clip rml_clip;

// Opens and decodes the first frame. An empty crop is an error here.
rml_status rml_clip_open(rml_clip **out, const rml_clip_settings *settings,
                         const rml_allocator *allocator, rml_error *err);
const rml_clip_info *rml_clip_info_of(const rml_clip *clip);

// The next frame in playing order: its place there, its index in the clip and its times.
typedef struct rml_clip_step {
    int64_t place, source;
    int64_t pts, end_pts;
    bool back; // the clip is played backwards, and the next one is this one or the one before it
} rml_clip_step;

// A decoder only goes forward, and begins at a key frame. Steps back are therefore planned together
// and read from their end. To play a distance of g frames between key frames backwards in runs of n
// frames, each frame is decoded g / (2 n) + 1/2 times, in memory for n frames, which the caller
// has.
rml_status rml_clip_plan(rml_clip *clip, rml_clip_step *step, rml_error *err);

// A frame that has been planned. The one that was read last is not decoded again.
rml_status rml_clip_read(rml_clip *clip, int64_t source, rml_shot *shot, rml_error *err);

// The first shot, like which all others are.
const rml_shot *rml_clip_first(const rml_clip *clip);

// The picture of a clip that has one only; else NULL.
const rml_shot *rml_clip_still(const rml_clip *clip);

// Frames decoded so far, those decoded again included.
int64_t rml_clip_decoded(const rml_clip *clip);

// Number of source frames; 0 as long as the end has not been seen.
int64_t rml_clip_count(const rml_clip *clip);

int64_t rml_clip_damaged_packets(const rml_clip *clip);

void rml_clip_close(rml_clip **clip);

#endif
