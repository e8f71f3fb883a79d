#include "media/video/av_video_out.h"

#include "media/video/av_codecs.h"
#include "media/video/av_format.h"
#include "media/video/av_frame.h"
#include "tensor/status.h"

#include <libavutil/mathematics.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    TIME_BASE_MAX = 10000000, // finer ones are replaced by
    TIME_BASE_PLAIN = 90000,
};

static bool is_rate(rml_rational r)
{
    return r.num > 0 && r.den > 0 && r.num <= INT32_MAX && r.den <= INT32_MAX;
}

static rml_status check(const char *path, const rml_encode_settings *s, rml_error *err)
{
    RML_TRY(rml_frame_check_size(s->width, s->height, path, err));
    if (!is_rate(s->frame_rate))
        return rml_fail(err, RML_ERR_ARG, "%s: a frame rate of %" PRId64 "/%" PRId64, path,
                        s->frame_rate.num, s->frame_rate.den);
    return rml_av_check_options(path, s, err);
}

static AVRational time_base_of(const rml_encode_settings *s, bool constant_rate)
{
    AVRational frame = {(int)s->frame_rate.den, (int)s->frame_rate.num};
    if (constant_rate || !is_rate(s->time_base))
        return frame;
    if (s->time_base.den / s->time_base.num > TIME_BASE_MAX)
        return (AVRational){1, TIME_BASE_PLAIN};
    return (AVRational){(int)s->time_base.num, (int)s->time_base.den};
}

static int open_encoder(rml_av_video_out *v, const AVCodec *codec, enum AVPixelFormat format,
                        const rml_encode_settings *s, const rml_colour *colour, bool global_header,
                        bool constant_rate)
{
    AVCodecContext *e = v->encoder = avcodec_alloc_context3(codec);
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    // Halves of chroma samples are nothing that these know.
    const bool even =
        s->codec == RML_CODEC_H264 || s->codec == RML_CODEC_HEVC || s->codec == RML_CODEC_PRORES;
    const int across = even && d ? (1 << d->log2_chroma_w) - 1 : 0;
    const int down = even && d ? (1 << d->log2_chroma_h) - 1 : 0;
    if (!e)
        return AVERROR(ENOMEM);
    int threads = s->threads > 0 ? s->threads : rml_threads_default();
    e->width = (s->width + across) & ~across;
    e->height = (s->height + down) & ~down;
    e->pix_fmt = format;
    if (s->like && s->like->coded)
        e->chroma_sample_location = ((const AVFrame *)s->like->coded)->chroma_location;
    e->time_base = time_base_of(s, constant_rate);
    e->framerate = (AVRational){(int)s->frame_rate.num, (int)s->frame_rate.den};
    if (is_rate(s->pixel_aspect))
        e->sample_aspect_ratio = (AVRational){(int)s->pixel_aspect.num, (int)s->pixel_aspect.den};
    e->color_primaries = (enum AVColorPrimaries)colour->primaries;
    e->color_trc = (enum AVColorTransferCharacteristic)colour->transfer;
    e->colorspace = (enum AVColorSpace)colour->matrix;
    e->color_range = colour->full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    e->thread_count = threads;
    if (s->fields != RML_FIELDS_NONE) {
        e->field_order = s->fields == RML_FIELDS_TOP_FIRST ? AV_FIELD_TT : AV_FIELD_BB;
        e->flags |= AV_CODEC_FLAG_INTERLACED_DCT;
    }
    if (rml_av_is_large(s))
        e->thread_type = FF_THREAD_SLICE; // else each thread has a frame
    if (constant_rate)
        e->max_b_frames = 0; // an AVI has no place for the times of reordered frames
    if (global_header)
        e->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    rml_av_set_options(e, s, threads);
    return avcodec_open2(e, codec, NULL);
}

static rml_status open_all(rml_av_video_out *v, const rml_encode_settings *s, bool global_header,
                           bool constant_rate, rml_error *err)
{
    RML_TRY(check(v->path, s, err));
    const AVCodec *codec;
    enum AVPixelFormat format;
    RML_TRY(rml_av_choose_format(&codec, &format, v->path, s, err));
    const rml_colour colour = rml_av_coded_colour(s, format);
    v->width = s->width;
    v->height = s->height;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    v->lost_alpha = s->like && s->like->coded && s->like->planes.layout.alpha && d &&
                    !(d->flags & AV_PIX_FMT_FLAG_ALPHA);
    int code = open_encoder(v, codec, format, s, &colour, global_header, constant_rate);
    if (code < 0) {
        char what[80];
        snprintf(what, sizeof what, "the %s encoder cannot be opened for %dx%d", codec->name,
                 s->width, s->height);
        return rml_av_fail(err, v->path, what, code);
    }
    AVCodecContext *e = v->encoder;
    v->step = av_rescale_q(1, av_inv_q(e->framerate), e->time_base);
    if (v->step < 1)
        v->step = 1;
    v->arrived = av_packet_alloc();
    v->held = av_packet_alloc();
    if (!v->arrived || !v->held)
        return rml_fail_nomem(err, sizeof *v->held, "a video encoder");
    RML_TRY(rml_av_coded_open(&v->coded, e, s->width, s->height, &colour, v->allocator, err));
    rml_av_set_fields(v->coded.frame, s->fields);
    v->fields = s->fields;
    return RML_OK;
}

rml_status rml_av_video_out_open(rml_av_video_out *video, const char *path,
                                 const rml_encode_settings *settings, bool global_header,
                                 bool constant_rate, const rml_allocator *allocator, rml_error *err)
{
    *video = (rml_av_video_out){.path = path, .allocator = allocator};
    rml_status status = open_all(video, settings, global_header, constant_rate, err);
    if (status != RML_OK)
        rml_av_video_out_close(video);
    return status;
}

// SVT-AV1 waits at closing for the end of its stream, for ever where none has begun.
static void begin_for_end(rml_av_video_out *v)
{
    AVFrame *f = v->coded.frame;
    if (!v->encoder || v->any || !f || strcmp(v->encoder->codec->name, "libsvtav1") != 0)
        return;
    for (int i = 0; i < AV_NUM_DATA_POINTERS && f->buf[i]; i++)
        memset(f->buf[i]->data, 0, f->buf[i]->size);
    f->pts = 0;
    (void)avcodec_send_frame(v->encoder, f);
}

void rml_av_video_out_close(rml_av_video_out *video)
{
    begin_for_end(video);
    avcodec_free_context(&video->encoder);
    av_packet_free(&video->arrived);
    av_packet_free(&video->held);
    rml_av_coded_close(&video->coded);
}

static rml_status take_time(rml_av_video_out *v, int64_t pts, rml_rational time_base,
                            rml_error *err)
{
    if (!is_rate(time_base))
        return rml_fail(err, RML_ERR_ARG, "%s: a frame has no time", v->path);
    AVRational base = {(int)time_base.num, (int)time_base.den};
    int64_t time = av_rescale_q(pts, base, v->encoder->time_base);
    const double seconds = (double)pts * av_q2d(base);
    if (time < 0)
        return rml_fail(err, RML_ERR_ARG, "%s: a frame at %.6f s, before the beginning", v->path,
                        seconds);
    if (v->any && time <= v->last)
        return rml_fail(err, RML_ERR_ARG,
                        "%s: a frame at %.6f s is not later than the one before, %.6f s", v->path,
                        seconds, (double)v->last * av_q2d(v->encoder->time_base));
    if (!v->any)
        v->first = time;
    v->any = true;
    v->last = time;
    return RML_OK;
}

static rml_status check_frame(const rml_av_video_out *v, int width, int height, rml_error *err)
{
    return width == v->width && height == v->height
               ? RML_OK
               : rml_fail(err, RML_ERR_ARG, "%s: a frame of %dx%d in a video of %dx%d", v->path,
                          width, height, v->width, v->height);
}

static rml_status send(rml_av_video_out *v, AVFrame *coded, rml_error *err)
{
    coded->pts = v->last;
    coded->pict_type = AV_PICTURE_TYPE_NONE;
    coded->quality = v->encoder->global_quality;
    int code = avcodec_send_frame(v->encoder, coded);
    return code < 0 ? rml_av_fail(err, v->path, "encoding failed", code) : RML_OK;
}

rml_status rml_av_video_out_send(rml_av_video_out *video, const rml_frame *frame, rml_error *err)
{
    rml_av_video_out *v = video;
    RML_TRY(check_frame(v, frame->width, frame->height, err));
    RML_TRY(take_time(v, frame->pts, frame->time_base, err));
    RML_TRY(rml_av_coded_fill(&v->coded, frame, err));
    return send(v, v->coded.frame, err);
}

rml_status rml_av_video_out_send_shot(rml_av_video_out *video, const rml_shot *shot, rml_error *err)
{
    rml_av_video_out *v = video;
    AVFrame *coded;
    RML_TRY(check_frame(v, shot->planes.width, shot->planes.height, err));
    RML_TRY(take_time(v, shot->pts, shot->time_base, err));
    RML_TRY(rml_named(rml_av_coded_take(&v->coded, shot, &coded, err), err, v->path));
    rml_av_set_fields(coded, v->fields);
    const rml_status status = send(v, coded, err);
    av_frame_free(&coded); // what the encoder has not kept can be written again
    return status;
}

rml_status rml_av_video_out_flush(rml_av_video_out *video, rml_error *err)
{
    int code = avcodec_send_frame(video->encoder, NULL);
    return code < 0 ? rml_av_fail(err, video->path, "encoding failed", code) : RML_OK;
}

// The packet that closes the stream. What it lasts is not known from the next one, and in the order
// of coding it is not the frame that is shown last; files state their length as that of all packets
// in this order.
static void close_stream(const rml_av_video_out *v, AVPacket *packet)
{
    if (packet->dts != AV_NOPTS_VALUE && v->first_dts != AV_NOPTS_VALUE)
        packet->duration = v->last + v->step - v->first - (packet->dts - v->first_dts);
}

rml_status rml_av_video_out_next(rml_av_video_out *video, AVPacket *packet, bool *none,
                                 rml_error *err)
{
    rml_av_video_out *v = video;
    int code;
    while ((code = avcodec_receive_packet(v->encoder, v->arrived)) >= 0) {
        const bool first = !v->coding, held = v->holds;
        v->arrived->duration = v->step;
        if (first)
            v->first_dts = v->arrived->dts;
        v->coding = v->holds = true;
        if (held)
            av_packet_move_ref(packet, v->held);
        av_packet_move_ref(v->held, v->arrived);
        *none = false;
        if (held)
            return RML_OK;
    }
    if (code != AVERROR(EAGAIN) && code != AVERROR_EOF)
        return rml_av_fail(err, v->path, "encoding failed", code);
    *none = code != AVERROR_EOF || !v->holds;
    if (*none)
        return RML_OK;
    v->holds = false;
    av_packet_move_ref(packet, v->held);
    close_stream(v, packet);
    return RML_OK;
}

double rml_av_video_out_seconds(const rml_av_video_out *video)
{
    return video->any ? (double)(video->last - video->first + video->step) *
                            av_q2d(video->encoder->time_base)
                      : 0.0;
}
