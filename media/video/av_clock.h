// When the frames of a stream are shown, counted from its first one, and at what rate. Included by
// av_*.c only.
#ifndef RML_MEDIA_VIDEO_AV_CLOCK_H
#define RML_MEDIA_VIDEO_AV_CLOCK_H

#include "media/video/video_in.h"
#include "media/image/frame.h"

#include <libavformat/avformat.h>

typedef struct rml_av_clock {
    AVRational base;  // of all times here, which is the stream's
    AVRational frame; // nominal distance of two frames, in seconds
    bool may_jump;    // the clock of such a file may start anew
    int64_t step;     // the same in units of `base`
    int64_t end;      // of the stream as the file states it, or AV_NOPTS_VALUE
    int64_t shift;    // added to the stream's times so that the first is 0
    int64_t last;     // time of the frame before
    int64_t duration; // of that frame, should none come after it
    bool any;
} rml_av_clock;

// rate: frames a second, 0/0 when not known.
rml_av_clock rml_av_clock_of(const AVFormatContext *format, const AVStream *stream,
                             rml_rational rate);

// Time of the frame that comes next in playing order; strictly increasing.
int64_t rml_av_clock_next(rml_av_clock *clock, const AVFrame *frame);

// The nominal rate, 0/0 when not known.
rml_rational rml_av_nominal_rate(AVFormatContext *format, AVStream *stream);

// The rate at which a video shows new pictures while it moves, from 5 to 1000 a second; 0/0 when
// there is none: the finest grid of its times where that is a usual rate, else the mean.
rml_rational rml_av_steady_rate(const AVStream *stream, rml_rational nominal);

// Fills in the rates, times and number of frames of a stream; `first`: the time that its first
// frame states, or AV_NOPTS_VALUE.
void rml_av_time_info(rml_video_info *info, AVFormatContext *format, AVStream *stream,
                      int64_t first);

#endif
