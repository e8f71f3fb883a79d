#include "media/video/av_pictures.h"

#include "tensor/mapfile.h"
#include "tensor/status.h"

#include <limits.h>
#include <string.h>

bool rml_av_names_pictures(const char *path)
{
    return rml_names_series(path) || rml_webp_is_animated(path);
}

bool rml_av_pictures_any(const rml_av_pictures *pictures)
{
    return pictures->series.count || pictures->webp;
}

// ---- opening -----------------------------------------------------------------------------------

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

static void describe_series(const rml_av_pictures *p, rml_rational rate, AVStream *stream)
{
    stream->codecpar->codec_id = codec_of(p->series.kind);
    stream->time_base = (AVRational){(int)rate.den, (int)rate.num};
    stream->avg_frame_rate = av_inv_q(stream->time_base);
    stream->nb_frames = stream->duration = (int64_t)p->series.count;
}

static void describe_webp(const rml_av_pictures *p, AVStream *stream)
{
    const rml_webp_info *info = rml_webp_frames_info(p->webp);
    stream->codecpar->codec_id = AV_CODEC_ID_RAWVIDEO;
    stream->codecpar->width = info->width;
    stream->codecpar->height = info->height;
    stream->codecpar->format = info->alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB0;
    stream->time_base = (AVRational){1, 1000};
    if (info->length > 0)
        av_reduce(&stream->avg_frame_rate.num, &stream->avg_frame_rate.den,
                  (int64_t)info->count * 1000, info->length, INT_MAX);
    stream->nb_frames = info->count;
    stream->duration = info->length;
}

rml_status rml_av_pictures_open(rml_av_pictures *out, const char *path, rml_rational rate,
                                AVFormatContext **format, AVStream **stream,
                                const rml_allocator *allocator, rml_error *err)
{
    *out = (rml_av_pictures){.path = path};
    if (rml_names_series(path))
        RML_TRY(rml_picture_series_list(&out->series, path, allocator, err));
    else
        RML_TRY(rml_webp_frames_open(&out->webp, path, allocator, err));
    *format = avformat_alloc_context();
    AVStream *s = *stream = *format ? avformat_new_stream(*format, NULL) : NULL;
    if (!s)
        return rml_fail_nomem(err, sizeof *s, "a stream");
    s->codecpar->codec_type = AVMEDIA_TYPE_VIDEO;
    if (out->webp)
        describe_webp(out, s);
    else
        describe_series(out, rate, s);
    s->r_frame_rate = s->avg_frame_rate;
    s->start_time = (*format)->start_time = 0;
    return RML_OK;
}

void rml_av_pictures_close(rml_av_pictures *pictures)
{
    rml_picture_series_release(&pictures->series);
    rml_webp_frames_close(&pictures->webp);
}

// ---- reading -----------------------------------------------------------------------------------

static rml_status fill(AVPacket *packet, const uint8_t *data, size_t size, int64_t from,
                       int64_t duration, rml_error *err)
{
    if (size > RML_IMAGE_MAX_FILE_BYTES || av_new_packet(packet, (int)size) < 0)
        return rml_fail_nomem(err, size, "a picture");
    if (size > 0)
        memcpy(packet->data, data, size);
    packet->pts = packet->dts = from;
    packet->duration = duration;
    packet->flags |= AV_PKT_FLAG_KEY;
    return RML_OK;
}

static rml_status next_of_webp(rml_av_pictures *p, AVPacket *packet, bool *end, rml_error *err)
{
    const rml_webp_info *info = rml_webp_frames_info(p->webp);
    const uint8_t *pixels;
    int64_t from, to;
    do
        RML_TRY(rml_webp_frames_next(p->webp, &pixels, &from, &to, end, err));
    while (!*end && from < p->place);
    return *end ? RML_OK
                : fill(packet, pixels, (size_t)info->width * (size_t)info->height * 4, from,
                       to - from, err);
}

rml_status rml_av_pictures_next(rml_av_pictures *pictures, AVPacket *packet, const char **path,
                                bool *end, rml_error *err)
{
    rml_av_pictures *p = pictures;
    *path = p->path;
    if (p->webp)
        return next_of_webp(p, packet, end, err);
    *end = p->place >= (int64_t)p->series.count;
    if (*end)
        return RML_OK;
    rml_mapfile file;
    *path = p->series.paths[p->place];
    RML_TRY(rml_mapfile_open(&file, *path, err));
    const rml_status status =
        rml_named(fill(packet, file.data, file.size, p->place, 1, err), err, *path);
    rml_mapfile_close(&file);
    p->place++;
    return status;
}

void rml_av_pictures_seek(rml_av_pictures *pictures, int64_t time)
{
    if (pictures->webp)
        rml_webp_frames_rewind(pictures->webp);
    pictures->place = time;
}

rml_status rml_av_pictures_check(rml_av_pictures *pictures, const AVFrame *frame, rml_error *err)
{
    rml_av_pictures *p = pictures;
    if (p->width == 0) {
        p->width = frame->width;
        p->height = frame->height;
    }
    if (frame->width == p->width && frame->height == p->height)
        return RML_OK;
    return rml_fail(err, RML_ERR_FORMAT, "%s: is %dx%d, and the first picture, %s, %dx%d",
                    p->series.paths[frame->pts], frame->width, frame->height, p->series.paths[0],
                    p->width, p->height);
}
