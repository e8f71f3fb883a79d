// The encoders of each codec, the pixel formats they are given, and how they are told quality and
// speed. Included by av_*.c only.
#ifndef RML_MEDIA_VIDEO_AV_CODECS_H
#define RML_MEDIA_VIDEO_AV_CODECS_H

#include "media/video/encode.h"

#include <libavcodec/avcodec.h>

// The encoder for the settings and the format that it is given. RML_ERR_UNSUPPORTED when libavcodec
// has none, or it cannot code in settings->pix_fmt.
rml_status rml_av_choose_format(const AVCodec **codec, enum AVPixelFormat *format, const char *path,
                                const rml_encode_settings *settings, rml_error *err);

// Whether codec, crf and preset go together.
rml_status rml_av_check_options(const char *path, const rml_encode_settings *settings,
                                rml_error *err);

// Encoders hold back tens of frames to choose well between them, and keep several times the size of
// each: gigabytes of large ones, which are better coded as they come.
bool rml_av_is_large(const rml_encode_settings *settings);

// Before the encoder is opened, its pixel format known.
void rml_av_set_options(AVCodecContext *encoder, const rml_encode_settings *settings, int threads);

#endif
