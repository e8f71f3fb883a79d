// What a stream says of the pictures that are coded in it. Included by
// av_*.c only.
#ifndef RML_MEDIA_VIDEO_AV_FORMAT_H
#define RML_MEDIA_VIDEO_AV_FORMAT_H

#include "media/video/encode.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

// Colours as they are said of what is coded.
rml_colour rml_av_coded_colour(const rml_encode_settings *settings, enum AVPixelFormat format);

// Light levels of HDR, as options of x265 ("" if there are none).
void rml_av_light_options(const rml_shot *like, char *text, size_t size);

// Light levels and the way pictures are turned, said by the container.
rml_status rml_av_describe_stream(AVStream *stream, const rml_shot *like, rml_error *err);

#endif
