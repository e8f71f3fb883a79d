#define _POSIX_C_SOURCE 200809L
#include "media/video/av_source.h"

#include "media/video/video_in.h"
#include "tensor/mapfile.h"
#include "tensor/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libavutil/avstring.h>
#include <libavutil/log.h>

void rml_libav_quiet(void)
{
    av_log_set_level(AV_LOG_QUIET);
    // SVT-AV1 has a log of its own, which nothing else than this reaches.
    (void)setenv("SVT_LOG", "0", 0);
}

rml_status rml_av_fail(rml_error *err, const char *path, const char *what, int code)
{
    char reason[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, reason, sizeof reason);
    rml_status status = RML_ERR_FORMAT;
    if (code == AVERROR(ENOMEM))
        status = RML_ERR_NOMEM;
    else if (code == AVERROR_DECODER_NOT_FOUND || code == AVERROR_ENCODER_NOT_FOUND ||
             code == AVERROR_PATCHWELCOME || code == AVERROR(ENOSYS))
        status = RML_ERR_UNSUPPORTED;
    else if (code == AVERROR(EIO) || code == AVERROR(ENOSPC) || code == AVERROR(EACCES) ||
             code == AVERROR(ENOENT) || code == AVERROR(EROFS) || code == AVERROR(EDQUOT))
        status = RML_ERR_IO;
    return rml_fail(err, status, "%s: %s: %s", path, what, reason);
}

char *rml_av_url(const char *path)
{
    return av_asprintf("file:%s", path);
}

rml_rational rml_av_rational(AVRational rational)
{
    return (rml_rational){rational.num, rational.den};
}

static rml_status check_file(const char *path, rml_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return rml_fail(err, RML_ERR_IO, "%s: cannot be opened: %s", path,
                        rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
    if (S_ISDIR(info.st_mode))
        return rml_fail(err, RML_ERR_IO, "%s: is a folder, not a media file", path);
    if (!S_ISREG(info.st_mode))
        return rml_fail(err, RML_ERR_IO,
                        "%s: is a pipe or a device, and is read more than once: save it in a file",
                        path);
    if (info.st_size == 0)
        return rml_fail(err, RML_ERR_FORMAT, "%s: the file is empty", path);
    return RML_OK;
}

static rml_status open_format(rml_av_source *s, rml_error *err)
{
    RML_TRY(check_file(s->path, err));
    char *url = rml_av_url(s->path);
    AVDictionary *options = NULL;
    // A playlist must not make the program fetch anything from a network.
    int code = url ? av_dict_set(&options, "protocol_whitelist", "file", 0) : AVERROR(ENOMEM);
    // A name that holds %d is not a series of pictures.
    if (code >= 0)
        code = av_dict_set(&options, "pattern_type", "none", 0);
    if (code >= 0)
        code = avformat_open_input(&s->format, url, NULL, &options);
    av_dict_free(&options);
    av_free(url);
    if (code < 0)
        return rml_av_fail(err, s->path, "not a media file that can be read", code);
    code = avformat_find_stream_info(s->format, NULL);
    if (code < 0)
        return rml_av_fail(err, s->path, "its streams cannot be read", code);
    return RML_OK;
}

// Frames that are made of one another are decoded by one thread: with several, what follows damage
// is made of what another thread has mended or not yet mended, by chance.
static int decoder_threads(const AVCodec *codec, int threads)
{
    const AVCodecDescriptor *known = avcodec_descriptor_get(codec->id);
    if (!known || !(known->props & AV_CODEC_PROP_INTRA_ONLY))
        return 1;
    return threads > 0 ? threads : rml_threads_default();
}

static rml_status open_decoder(rml_av_source *s, const AVCodec *codec, int threads, rml_error *err)
{
    s->decoder = avcodec_alloc_context3(codec);
    s->packet = av_packet_alloc();
    if (!s->decoder || !s->packet)
        return rml_fail_nomem(err, sizeof *s->decoder, "a decoder");
    int code = avcodec_parameters_to_context(s->decoder, s->stream->codecpar);
    if (code >= 0) {
        s->decoder->pkt_timebase = s->stream->time_base;
        s->decoder->thread_count = decoder_threads(codec, threads);
        s->decoder->max_pixels = RML_FRAME_MAX_PIXELS;
        code = avcodec_open2(s->decoder, codec, NULL);
    }
    return code < 0 ? rml_av_fail(err, s->path, "its decoder cannot be opened", code) : RML_OK;
}

// WebM has transparency as a second picture beside each, which libav's own decoders leave out.
static const AVCodec *alpha_decoder(const AVStream *stream, const AVCodec *codec)
{
    const AVDictionaryEntry *mode = av_dict_get(stream->metadata, "alpha_mode", NULL, 0);
    const AVCodec *other = NULL;
    if (mode && strcmp(mode->value, "1") == 0)
        other = avcodec_find_decoder_by_name(
            stream->codecpar->codec_id == AV_CODEC_ID_VP9   ? "libvpx-vp9"
            : stream->codecpar->codec_id == AV_CODEC_ID_VP8 ? "libvpx"
                                                            : "");
    return other ? other : codec;
}

static rml_status open_stream(rml_av_source *s, enum AVMediaType type, int threads, rml_error *err)
{
    RML_TRY(open_format(s, err));
    const AVCodec *codec = NULL;
    int index = av_find_best_stream(s->format, type, -1, -1, &codec, 0);
    const char *kind = type == AVMEDIA_TYPE_VIDEO ? "picture" : "sound";
    if (index == AVERROR_DECODER_NOT_FOUND)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: no decoder for its %s in this build",
                        s->path, kind);
    if (index < 0 || (s->format->streams[index]->disposition & AV_DISPOSITION_ATTACHED_PIC &&
                      s->format->nb_streams > 1))
        return rml_fail(err, RML_ERR_FORMAT, "%s: has no %s", s->path,
                        type == AVMEDIA_TYPE_VIDEO ? "video stream" : "audio stream");
    s->stream = s->format->streams[index];
    codec = alpha_decoder(s->stream, codec);
    for (unsigned i = 0; i < s->format->nb_streams; i++)
        if ((int)i != index)
            s->format->streams[i]->discard = AVDISCARD_ALL;
    return open_decoder(s, codec, threads, err);
}

rml_status rml_av_source_open(rml_av_source *source, const char *path, enum AVMediaType type,
                              int threads, rml_error *err)
{
    *source = (rml_av_source){.path = path};
    rml_status status = open_stream(source, type, threads, err);
    if (status != RML_OK)
        rml_av_source_close(source);
    return status;
}

static enum AVCodecID codec_of(rml_image_kind kind)
{
    switch (kind) {
    case RML_IMAGE_PNG:
        return AV_CODEC_ID_PNG;
    case RML_IMAGE_JPEG:
        return AV_CODEC_ID_MJPEG;
    case RML_IMAGE_BMP:
        return AV_CODEC_ID_BMP;
    case RML_IMAGE_PNM:
        return AV_CODEC_ID_PPM;
    case RML_IMAGE_TGA:
        return AV_CODEC_ID_TARGA;
    case RML_IMAGE_TIFF:
        return AV_CODEC_ID_TIFF;
    case RML_IMAGE_WEBP:
        return AV_CODEC_ID_WEBP;
    default:
        return AV_CODEC_ID_NONE;
    }
}

static rml_status open_series(rml_av_source *s, rml_rational rate, const rml_allocator *allocator,
                              rml_error *err)
{
    RML_TRY(rml_picture_series_list(&s->series, s->path, allocator, err));
    s->format = avformat_alloc_context();
    s->stream = s->format ? avformat_new_stream(s->format, NULL) : NULL;
    if (!s->stream)
        return rml_fail_nomem(err, sizeof *s->stream, "a stream");
    s->stream->codecpar->codec_type = AVMEDIA_TYPE_VIDEO;
    s->stream->codecpar->codec_id = codec_of(s->series.kind);
    s->stream->time_base = (AVRational){(int)rate.den, (int)rate.num};
    s->stream->avg_frame_rate = s->stream->r_frame_rate = av_inv_q(s->stream->time_base);
    s->stream->nb_frames = s->stream->duration = (int64_t)s->series.count;
    s->stream->start_time = s->format->start_time = 0;
    const AVCodec *codec = avcodec_find_decoder(s->stream->codecpar->codec_id);
    if (!codec)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: no decoder for its pictures in this build",
                        s->series.paths[0]);
    // With one thread a picture that cannot be decoded is known by its packet.
    return open_decoder(s, codec, 1, err);
}

rml_status rml_av_source_open_series(rml_av_source *source, const char *path, rml_rational rate,
                                     const rml_allocator *allocator, rml_error *err)
{
    *source = (rml_av_source){.path = path};
    rml_status status = open_series(source, rate, allocator, err);
    if (status != RML_OK)
        rml_av_source_close(source);
    return status;
}

void rml_av_source_close(rml_av_source *source)
{
    rml_picture_series_release(&source->series);
    avcodec_free_context(&source->decoder);
    av_packet_free(&source->packet);
    avformat_close_input(&source->format);
    source->stream = NULL;
}

bool rml_av_source_seek(rml_av_source *source, int64_t time)
{
    rml_av_source *s = source;
    if (s->series.count)
        s->place = time;
    else if (av_seek_frame(s->format, s->stream->index, time, AVSEEK_FLAG_BACKWARD) < 0)
        return false;
    avcodec_flush_buffers(s->decoder);
    s->draining = false;
    return true;
}

// The next picture's file as a packet.
static rml_status feed_picture(rml_av_source *s, rml_error *err)
{
    const char *path = s->series.paths[s->place];
    rml_mapfile file;
    RML_TRY(rml_mapfile_open(&file, path, err));
    int code = AVERROR_INVALIDDATA;
    if (file.size > 0 && (int64_t)file.size <= RML_IMAGE_MAX_FILE_BYTES)
        code = av_new_packet(s->packet, (int)file.size);
    if (code >= 0) {
        memcpy(s->packet->data, file.data, file.size);
        s->packet->pts = s->packet->dts = s->place++;
        s->packet->duration = 1;
        s->packet->flags |= AV_PKT_FLAG_KEY;
        code = avcodec_send_packet(s->decoder, s->packet);
        av_packet_unref(s->packet);
    }
    rml_mapfile_close(&file);
    return code < 0 ? rml_av_fail(err, path, "the picture cannot be decoded", code) : RML_OK;
}

static rml_status check_size(rml_av_source *s, const AVFrame *frame, rml_error *err)
{
    if (s->frames == 0) {
        s->width = frame->width;
        s->height = frame->height;
    }
    if (frame->width == s->width && frame->height == s->height)
        return RML_OK;
    return rml_fail(err, RML_ERR_FORMAT, "%s: is %dx%d, and the first picture, %s, %dx%d",
                    s->series.paths[frame->pts], frame->width, frame->height, s->series.paths[0],
                    s->width, s->height);
}

// Gives the decoder the next packet of the stream, or tells it that there is none.
static rml_status feed(rml_av_source *s, rml_error *err)
{
    if (s->series.count && s->place < (int64_t)s->series.count)
        return feed_picture(s, err);
    for (;;) {
        int code = s->series.count ? AVERROR_EOF : av_read_frame(s->format, s->packet);
        if (code < 0) {
            if (code != AVERROR_EOF && s->format->pb && s->format->pb->error < 0 &&
                s->format->pb->error != AVERROR_EOF)
                return rml_av_fail(err, s->path, "reading failed", s->format->pb->error);
            // A file that is cut or damaged to its end gives what came before.
            s->draining = true;
            code = avcodec_send_packet(s->decoder, NULL);
            return code == AVERROR(ENOMEM) ? rml_av_fail(err, s->path, "decoding failed", code)
                                           : RML_OK;
        }
        if (s->packet->stream_index != s->stream->index) {
            av_packet_unref(s->packet);
            continue;
        }
        code = avcodec_send_packet(s->decoder, s->packet);
        av_packet_unref(s->packet);
        if (code == AVERROR(ENOMEM))
            return rml_av_fail(err, s->path, "decoding failed", code);
        if (code >= 0)
            return RML_OK;
        s->damaged++;
    }
}

static bool is_damaged(const AVFrame *frame)
{
    return frame->decode_error_flags || frame->flags & AV_FRAME_FLAG_CORRUPT;
}

rml_status rml_av_source_next(rml_av_source *source, AVFrame *frame, bool *end, rml_error *err)
{
    rml_av_source *s = source;
    *end = false;
    for (;;) {
        int code = avcodec_receive_frame(s->decoder, frame);
        if (code == AVERROR(ENOMEM))
            return rml_av_fail(err, s->path, "decoding failed", code);
        if (code >= 0 ? is_damaged(frame) : code != AVERROR(EAGAIN) && code != AVERROR_EOF)
            s->damaged++;
        if (code >= 0) {
            if (s->series.count)
                RML_TRY(check_size(s, frame, err));
            s->frames++;
            return RML_OK;
        }
        if (s->draining) // an error here must not be asked for again and again
            break;
        RML_TRY(feed(s, err));
    }
    if (s->frames == 0)
        return rml_fail(err, RML_ERR_FORMAT, "%s: nothing in it can be decoded (%s)", s->path,
                        avcodec_get_name(s->stream->codecpar->codec_id));
    *end = true;
    return RML_OK;
}
