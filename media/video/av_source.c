#define _POSIX_C_SOURCE 200809L
#include "media/video/av_source.h"

#include "media/video/video_in.h"
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

static rml_status open_pictures(rml_av_source *s, rml_rational rate, const rml_allocator *allocator,
                                rml_error *err)
{
    RML_TRY(
        rml_av_pictures_open(&s->pictures, s->path, rate, &s->format, &s->stream, allocator, err));
    const AVCodec *codec = avcodec_find_decoder(s->stream->codecpar->codec_id);
    // With one thread a picture that cannot be decoded is known by its packet.
    return codec ? open_decoder(s, codec, 1, err)
                 : rml_fail(err, RML_ERR_UNSUPPORTED,
                            "%s: no decoder for its pictures in this build", s->path);
}

rml_status rml_av_source_open_pictures(rml_av_source *source, const char *path, rml_rational rate,
                                       const rml_allocator *allocator, rml_error *err)
{
    *source = (rml_av_source){.path = path};
    rml_status status = open_pictures(source, rate, allocator, err);
    if (status != RML_OK)
        rml_av_source_close(source);
    return status;
}

void rml_av_source_close(rml_av_source *source)
{
    rml_av_pictures_close(&source->pictures);
    avcodec_free_context(&source->decoder);
    av_packet_free(&source->packet);
    avformat_close_input(&source->format);
    source->stream = NULL;
}

bool rml_av_source_seek(rml_av_source *source, int64_t time)
{
    rml_av_source *s = source;
    if (rml_av_pictures_any(&s->pictures))
        rml_av_pictures_seek(&s->pictures, time);
    else if (av_seek_frame(s->format, s->stream->index, time, AVSEEK_FLAG_BACKWARD) < 0)
        return false;
    avcodec_flush_buffers(s->decoder);
    s->draining = false;
    return true;
}

static rml_status feed_picture(rml_av_source *s, rml_error *err)
{
    const char *path;
    bool end;
    RML_TRY(rml_av_pictures_next(&s->pictures, s->packet, &path, &end, err));
    s->draining = end;
    int code = avcodec_send_packet(s->decoder, end ? NULL : s->packet);
    av_packet_unref(s->packet);
    return code < 0 ? rml_av_fail(err, path, "the picture cannot be decoded", code) : RML_OK;
}

rml_status rml_av_source_packet(rml_av_source *source, AVPacket *packet, bool *end, rml_error *err)
{
    rml_av_source *s = source;
    int code;
    while ((code = av_read_frame(s->format, packet)) >= 0) {
        if (packet->stream_index == s->stream->index)
            break;
        av_packet_unref(packet);
    }
    // A file that is cut or damaged to its end gives what came before.
    *end = code < 0;
    if (*end && code != AVERROR_EOF && s->format->pb && s->format->pb->error < 0 &&
        s->format->pb->error != AVERROR_EOF)
        return rml_av_fail(err, s->path, "reading failed", s->format->pb->error);
    return RML_OK;
}

// Gives the decoder the next packet of the stream, or tells it that there is none.
static rml_status feed(rml_av_source *s, rml_error *err)
{
    if (rml_av_pictures_any(&s->pictures))
        return feed_picture(s, err);
    for (;;) {
        RML_TRY(rml_av_source_packet(s, s->packet, &s->draining, err));
        const int code = avcodec_send_packet(s->decoder, s->draining ? NULL : s->packet);
        av_packet_unref(s->packet);
        if (code == AVERROR(ENOMEM))
            return rml_av_fail(err, s->path, "decoding failed", code);
        s->packets += !s->draining;
        if (s->draining || code >= 0)
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
            if (rml_av_pictures_any(&s->pictures))
                RML_TRY(rml_av_pictures_check(&s->pictures, frame, err));
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
