// One stream of a media file, demuxed and decoded: what readers and the sound of a writer share.
// Included by av_*.c only.
#ifndef RML_MEDIA_VIDEO_AV_SOURCE_H
#define RML_MEDIA_VIDEO_AV_SOURCE_H

#include "media/image/frame.h"
#include "media/video/av_pictures.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

typedef struct rml_av_source {
    const char *path; // of the owner
    AVFormatContext *format;
    AVStream *stream;
    AVCodecContext *decoder;
    AVPacket *packet;
    bool draining;
    rml_av_pictures pictures;         // instead of a file that libav demuxes
    int64_t packets, frames, damaged; // packets: given to the decoder
} rml_av_source;

// Opens the best stream of `type` (AVMEDIA_TYPE_VIDEO or _AUDIO) of the local file `path`, which
// must outlive the source. threads: 0 = rml_threads_default(); more than one are used only where
// frames do not depend on one another. On failure the source is closed.
rml_status rml_av_source_open(rml_av_source *source, const char *path, enum AVMediaType type,
                              int threads, rml_error *err);

// The same for pictures that rml_av_names_pictures, those in files of their own `rate` a second.
// Each must be whole, and all of one size.
rml_status rml_av_source_open_pictures(rml_av_source *source, const char *path, rml_rational rate,
                                       const rml_allocator *allocator, rml_error *err);

// Decodes the next frame into `frame`, or *end = true. Damaged packets are skipped or mended, and
// counted. The end of a file that gave no frame at all is RML_ERR_FORMAT.
rml_status rml_av_source_next(rml_av_source *source, AVFrame *frame, bool *end, rml_error *err);

// The next packet of the stream as it lies in the file, or *end = true; not of pictures in files of
// their own.
rml_status rml_av_source_packet(rml_av_source *source, AVPacket *packet, bool *end, rml_error *err);

// Goes to the key frame at `time` (of the stream) or one before it; false when the file cannot.
bool rml_av_source_seek(rml_av_source *source, int64_t time);

void rml_av_source_close(rml_av_source *source);

// The sentence for an error code of libav: "<path>: <what>: <reason>".
rml_status rml_av_fail(rml_error *err, const char *path, const char *what, int code);

// "file:<path>", so that no part of a name is taken for a protocol; freed with av_free. NULL
// without memory.
char *rml_av_url(const char *path);

rml_rational rml_av_rational(AVRational rational);

#endif
