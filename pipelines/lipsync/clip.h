// The pictures of the pipeline: a video or a still, turned and cropped, in playing order without
// end.
#ifndef RML_PIPELINES_LIPSYNC_CLIP_H
#define RML_PIPELINES_LIPSYNC_CLIP_H

#include "media/image/frame.h"
#include "media/video/video_in.h"
#include "pipelines/lipsync/schedule.h"

typedef struct rml_clip_settings {
    const char *path;
    double still_fps;  // frame rate of a still image
    int resize_factor; // video only: sides divided by this first
    bool rotate;       // video only: then 90 degrees clockwise
    int crop[4]; // video only: then rows top..bottom, columns left..right; bottom or right -1:
                 // to the end; other negative numbers count from the end, as in Python
    bool first_frame_only; // --static
    rml_repeat repeat;     // what follows the last frame
    int threads;           // of the decoder; 0: as many as fit
    int64_t piece_bytes;   // see below; 0: RML_CLIP_PIECE_BYTES
} rml_clip_settings;

typedef struct rml_clip_info {
    int width, height; // of the delivered frames
    rml_rational frame_rate;
    double fps; // the same; for a still what the user gave
    rml_rational time_base;
    rml_rational pixel_aspect;
    rml_colour colour;
    int64_t frames_estimate; // 0: not known
    bool still;              // an image file
} rml_clip_info;

// Frames that are kept while a clip is played backwards: a decoder only goes forward, so the clip
// is decoded from its start up to a piece of at most so many bytes, which is then played from its
// end. A clip of n frames in pieces of s costs about n / (2 s) extra decodings of every frame each
// time it is played backwards; pictures skipped on the way are not converted.
#define RML_CLIP_PIECE_BYTES (INT64_C(128) << 20)

typedef struct rml_clip rml_clip;

// Opens and decodes the first frame. An empty crop is an error here.
rml_status rml_clip_open(rml_clip **out, const rml_clip_settings *settings,
                         const rml_allocator *allocator, rml_error *err);
const rml_clip_info *rml_clip_info_of(const rml_clip *clip);

// Next frame in playing order into `frame`, with its pts, and its index in the source.
rml_status rml_clip_read(rml_clip *clip, rml_frame *frame, int64_t *source, rml_error *err);

// Number of source frames; 0 as long as the end has not been seen.
int64_t rml_clip_count(const rml_clip *clip);

int64_t rml_clip_damaged_packets(const rml_clip *clip);

void rml_clip_close(rml_clip **clip);

#endif
