// The video encoder of a file being written. Included by av_*.c only.
#ifndef RML_MEDIA_VIDEO_AV_VIDEO_OUT_H
#define RML_MEDIA_VIDEO_AV_VIDEO_OUT_H

#include "media/video/av_coded.h"
#include "media/video/av_source.h"
#include "media/video/encode.h"

typedef struct rml_av_video_out {
    const char *path; // for messages; of the owner
    const rml_allocator *allocator;
    AVCodecContext *encoder;
    rml_av_coded coded;
    AVPacket *arrived; // from the encoder
    AVPacket *held;    // the one before, until it is known whether others follow
    bool holds;        // there is one
    int64_t first_dts; // of all packets
    bool coding;       // there has been one
    int width, height; // of the frames taken; the coded size may be one more
    rml_fields fields;
    bool lost_alpha;           // pictures have it, and the encoder's format does not
    int64_t first, last, step; // times in encoder->time_base
    bool any;
} rml_av_video_out;

// Checks the settings and opens the encoder. constant_rate: the container counts frames, so the
// time base is one frame. On failure the output is closed.
rml_status rml_av_video_out_open(rml_av_video_out *video, const char *path,
                                 const rml_encode_settings *settings, bool global_header,
                                 bool constant_rate, const rml_allocator *allocator,
                                 rml_error *err);

// Gives the encoder a frame, and the sign that there are no more.
rml_status rml_av_video_out_send(rml_av_video_out *video, const rml_frame *frame, rml_error *err);
rml_status rml_av_video_out_send_shot(rml_av_video_out *video, const rml_shot *shot,
                                      rml_error *err);
rml_status rml_av_video_out_flush(rml_av_video_out *video, rml_error *err);

// Next packet in units of encoder->time_base, or *none = true when there is none now.
rml_status rml_av_video_out_next(rml_av_video_out *video, AVPacket *packet, bool *none,
                                 rml_error *err);

// From the first frame to the end of the last one.
double rml_av_video_out_seconds(const rml_av_video_out *video);

void rml_av_video_out_close(rml_av_video_out *video);

#endif
