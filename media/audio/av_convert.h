// Sound frames brought to the format, rate and speakers of an encoder. Included by av_*.c only.
#ifndef RML_MEDIA_AUDIO_AV_CONVERT_H
#define RML_MEDIA_AUDIO_AV_CONVERT_H

#include <libavcodec/avcodec.h>
#include <libswresample/swresample.h>

#include <stdbool.h>

// A zeroed one takes any frame.
typedef struct rml_av_convert {
    SwrContext *swr;
    // Of the frames that it takes now.
    AVChannelLayout layout;
    int rate, format;
} rml_av_convert;

// Whether it takes frames like this one.
bool rml_av_convert_fits(const rml_av_convert *convert, const AVFrame *frame);

// Makes it take frames like this one; what it still holds is lost. A code of libav.
int rml_av_convert_to(rml_av_convert *convert, const AVFrame *frame, AVCodecContext *encoder);

void rml_av_convert_close(rml_av_convert *convert);

#endif
