// Pictures that libavformat has no reader for, as packets of a stream: those in files of their own
// (media/image/picture_series.h), and those of an animated WebP. Included by av_*.c only.
#ifndef RML_MEDIA_VIDEO_AV_PICTURES_H
#define RML_MEDIA_VIDEO_AV_PICTURES_H

#include "media/image/picture_series.h"
#include "media/image/webp_frames.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

// A zeroed one is none.
typedef struct rml_av_pictures {
    const char *path; // of the owner
    rml_picture_series series;
    rml_webp_frames *webp;
    int64_t place;     // of the next picture; of WebP the time before which none is wanted
    int width, height; // of the first
} rml_av_pictures;

bool rml_av_names_pictures(const char *path);

// `rate` is for files of their own.
rml_status rml_av_pictures_open(rml_av_pictures *out, const char *path, rml_rational rate,
                                AVFormatContext **format, AVStream **stream,
                                const rml_allocator *allocator, rml_error *err);
bool rml_av_pictures_any(const rml_av_pictures *pictures);

// The next one into `packet`, which is empty, and the file it lies in; or *end.
rml_status rml_av_pictures_next(rml_av_pictures *pictures, AVPacket *packet, const char **path,
                                bool *end, rml_error *err);
void rml_av_pictures_seek(rml_av_pictures *pictures, int64_t time);

// All have the size of the first.
rml_status rml_av_pictures_check(rml_av_pictures *pictures, const AVFrame *frame, rml_error *err);

void rml_av_pictures_close(rml_av_pictures *pictures);

#endif
