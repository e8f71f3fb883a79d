// Pictures on their way to an encoder: from BGR, or from planes, to its format and size. Included
// by av_*.c only.
#ifndef RML_MEDIA_VIDEO_AV_CODED_H
#define RML_MEDIA_VIDEO_AV_CODED_H

#include "media/video/encode.h"

#include <libavcodec/avcodec.h>
#include <libswscale/swscale.h>

typedef struct rml_av_coded {
    const rml_allocator *allocator;
    AVFrame *frame;    // as the encoder takes it
    int width, height; // of the pictures; the frame may have one column or row more
    rml_colour colour;
    rml_frame padded; // for such
    struct SwsContext *sws;
    struct SwsContext *shot_sws;
} rml_av_coded;

// For an encoder that is open, and pictures of this size. On failure it is closed.
rml_status rml_av_coded_open(rml_av_coded *coded, const AVCodecContext *encoder, int width,
                             int height, const rml_colour *colour, const rml_allocator *allocator,
                             rml_error *err);

// Converts `picture` into coded->frame.
rml_status rml_av_coded_fill(rml_av_coded *coded, const rml_frame *picture, rml_error *err);

// A picture in planes as the encoder takes it, without copying where it is one already; the
// caller's to free.
rml_status rml_av_coded_take(rml_av_coded *coded, const rml_shot *shot, AVFrame **out,
                             rml_error *err);

void rml_av_coded_close(rml_av_coded *coded);

#endif
