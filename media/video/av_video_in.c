#include "media/video/video_in.h"

#include "media/video/av_colour.h"
#include "media/video/av_source.h"

#include <libavutil/display.h>
#include <libavutil/mathematics.h>

struct rml_video_in {
    const rml_allocator *allocator;
    char *path;
    rml_video_in_settings settings;
    rml_video_info info;
    rml_av_source source;
    AVFrame *decoded;
    bool pending;                  // `decoded` was read but not delivered yet
    rml_frame coded;               // before turning it upright
    int coded_width, coded_height; // of the first frame
    struct SwsContext *sws;
    int sws_width, sws_height, sws_format;
    rml_colour sws_colour;
    int64_t shift; // added to the stream's times so that the first is 0
    int64_t last;  // time of the last frame
    int64_t step;  // nominal distance of two frames
    int64_t frames;
};

rml_video_in_settings rml_video_in_settings_default(void)
{
    return (rml_video_in_settings){0};
}

static rml_orientation stream_orientation(const AVStream *stream)
{
    const int32_t *matrix = NULL;
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
    const AVPacketSideData *data =
        av_packet_side_data_get(stream->codecpar->coded_side_data,
                                stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    if (data && data->size >= 9 * sizeof(int32_t))
        matrix = (const int32_t *)data->data;
#else
    size_t size = 0;
    const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    if (data && size >= 9 * sizeof(int32_t))
        matrix = (const int32_t *)data;
#endif
    return matrix ? rml_orientation_from_matrix(matrix) : RML_ORIENT_NORMAL;
}

static void fill_info(rml_video_in *in)
{
    AVFormatContext *format = in->source.format;
    AVStream *stream = in->source.stream;
    rml_video_info *info = &in->info;
    info->orientation = stream_orientation(stream);
    bool turn = !in->settings.ignore_orientation && rml_orientation_swaps(info->orientation);
    info->width = turn ? in->coded_height : in->coded_width;
    info->height = turn ? in->coded_width : in->coded_height;
    info->time_base = rml_av_rational(stream->time_base);
    info->frame_rate = rml_av_rational(av_guess_frame_rate(format, stream, NULL));
    info->average_rate = rml_av_rational(stream->avg_frame_rate);
    if (info->frame_rate.num <= 0 || info->frame_rate.den <= 0)
        info->frame_rate = (rml_rational){0, 0};
    if (info->average_rate.num <= 0 || info->average_rate.den <= 0)
        info->average_rate = (rml_rational){0, 0};
    AVRational aspect = av_guess_sample_aspect_ratio(format, stream, in->decoded);
    info->pixel_aspect = (rml_rational){1, 1};
    if (aspect.num > 0 && aspect.den > 0)
        info->pixel_aspect =
            turn ? (rml_rational){aspect.den, aspect.num} : rml_av_rational(aspect);
    if (stream->duration > 0)
        info->seconds = (double)stream->duration * av_q2d(stream->time_base);
    else if (format->duration > 0)
        info->seconds = (double)format->duration / AV_TIME_BASE;
    info->frames_estimate = stream->nb_frames;
    if (info->frames_estimate <= 0) {
        rml_rational rate = info->average_rate.den ? info->average_rate : info->frame_rate;
        double estimate = info->seconds * rml_rational_value(rate) + 0.5;
        info->frames_estimate = estimate < 1e15 ? (int64_t)estimate : 0;
    }
    info->codec = avcodec_get_name(stream->codecpar->codec_id);
    info->colour = rml_colour_of_frame(in->decoded);
    // Without any rate at all frames are taken as 25 a second, as raw streams are.
    AVRational rate = info->frame_rate.den
                          ? (AVRational){(int)info->frame_rate.num, (int)info->frame_rate.den}
                          : (AVRational){25, 1};
    in->step = av_rescale_q(1, av_inv_q(rate), stream->time_base);
    if (in->step < 1)
        in->step = 1;
}

// Opens the file and decodes its first frame.
static rml_status start(rml_video_in *in, rml_error *err)
{
    bool end;
    RML_TRY(
        rml_av_source_open(&in->source, in->path, AVMEDIA_TYPE_VIDEO, in->settings.threads, err));
    RML_TRY(rml_av_source_next(&in->source, in->decoded, &end, err));
    in->pending = true;
    in->frames = 0;
    return RML_OK;
}

static rml_status open_first(rml_video_in *in, const char *path, rml_error *err)
{
    in->path = rml_alloc_text(in->allocator, path);
    in->decoded = av_frame_alloc();
    if (!in->path || !in->decoded)
        return rml_fail_nomem(err, sizeof *in, "a video reader");
    RML_TRY(start(in, err));
    RML_TRY(rml_frame_check_size(in->decoded->width, in->decoded->height, path, err));
    in->coded_width = in->decoded->width;
    in->coded_height = in->decoded->height;
    fill_info(in);
    return RML_OK;
}

rml_status rml_video_in_open(rml_video_in **out, const char *path,
                             const rml_video_in_settings *settings, const rml_allocator *allocator,
                             rml_error *err)
{
    *out = NULL;
    rml_video_in *in = rml_alloc_zero(allocator, 1, sizeof *in);
    if (!in)
        return rml_fail_nomem(err, sizeof *in, "a video reader");
    in->allocator = allocator;
    in->settings = *settings;
    rml_status status = open_first(in, path, err);
    if (status != RML_OK)
        rml_video_in_close(&in);
    *out = in;
    return status;
}

void rml_video_in_close(rml_video_in **in)
{
    rml_video_in *old = *in;
    *in = NULL;
    if (!old)
        return;
    rml_av_source_close(&old->source);
    av_frame_free(&old->decoded);
    sws_freeContext(old->sws);
    rml_frame_release(&old->coded);
    rml_free(old->allocator, old->path);
    rml_free(old->allocator, old);
}

const rml_video_info *rml_video_in_info(const rml_video_in *in)
{
    return &in->info;
}

int64_t rml_video_in_frames_read(const rml_video_in *in)
{
    return in->frames;
}

int64_t rml_video_in_damaged_packets(const rml_video_in *in)
{
    return in->source.damaged;
}

rml_status rml_video_in_rewind(rml_video_in *in, rml_error *err)
{
    rml_av_source_close(&in->source);
    av_frame_unref(in->decoded);
    in->pending = false;
    return start(in, err);
}

// Time of the frame in `decoded`, counted from the first one.
static int64_t next_time(rml_video_in *in)
{
    int64_t stated = in->decoded->best_effort_timestamp;
    bool known = stated != AV_NOPTS_VALUE;
    if (in->frames == 0) {
        in->shift = known ? -stated : 0;
        return 0;
    }
    int64_t time = known ? av_sat_add64(stated, in->shift) : in->last + in->step;
    if (time > in->last)
        return time;
    // One stray time is pushed behind its neighbour; a clock that starts again (joined files) moves
    // all that follow.
    if (in->last - time < 2 * in->step)
        return in->last + 1;
    in->shift = av_sat_add64(in->shift, in->last - time + in->step);
    return in->last + in->step;
}

static bool same_colour(const rml_colour *a, const rml_colour *b)
{
    return a->matrix == b->matrix && a->full_range == b->full_range;
}

static rml_status prepare_converter(rml_video_in *in, rml_error *err)
{
    const AVFrame *f = in->decoded;
    rml_colour colour = rml_colour_of_frame(f);
    if (in->sws && in->sws_width == f->width && in->sws_height == f->height &&
        in->sws_format == f->format && same_colour(&in->sws_colour, &colour))
        return RML_OK;
    if (colour.matrix == AVCOL_SPC_YCGCO)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "%s: its colours are YCgCo, which is not supported", in->path);
    RML_TRY(rml_frame_check_size(f->width, f->height, in->path, err));
    sws_freeContext(in->sws);
    in->sws = rml_colour_converter(f->width, f->height, f->format, in->coded_width,
                                   in->coded_height, AV_PIX_FMT_BGR24, &colour, true);
    if (!in->sws)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: its pixel format (%d) cannot be converted",
                        in->path, f->format);
    in->sws_width = f->width;
    in->sws_height = f->height;
    in->sws_format = f->format;
    in->sws_colour = colour;
    return RML_OK;
}

static rml_status convert(rml_video_in *in, rml_frame *frame, rml_error *err)
{
    RML_TRY(prepare_converter(in, err));
    bool upright = in->settings.ignore_orientation || in->info.orientation == RML_ORIENT_NORMAL;
    rml_frame *to = upright ? frame : &in->coded;
    RML_TRY(rml_frame_reserve(to, in->coded_width, in->coded_height, in->allocator, err));
    uint8_t *planes[4] = {to->data};
    int strides[4] = {(int)to->pitch};
    const AVFrame *f = in->decoded;
    int rows = sws_scale(in->sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height,
                         planes, strides);
    if (rows != in->coded_height)
        return rml_fail(err, RML_ERR_INTERNAL, "%s: converting a picture gave %d of %d rows",
                        in->path, rows, in->coded_height);
    return upright ? RML_OK : rml_frame_orient(frame, to, in->info.orientation, in->allocator, err);
}

// Makes `decoded` hold the next frame, or *end.
static rml_status advance(rml_video_in *in, bool *end, rml_error *err)
{
    *end = false;
    if (!in->pending) {
        av_frame_unref(in->decoded);
        RML_TRY(rml_av_source_next(&in->source, in->decoded, end, err));
    }
    in->pending = false;
    if (!*end) {
        in->last = next_time(in);
        in->frames++;
    }
    return RML_OK;
}

rml_status rml_video_in_read(rml_video_in *in, rml_frame *frame, bool *end, rml_error *err)
{
    RML_TRY(advance(in, end, err));
    if (*end)
        return RML_OK;
    RML_TRY(convert(in, frame, err));
    frame->pts = in->last;
    frame->time_base = in->info.time_base;
    return RML_OK;
}

rml_status rml_video_in_skip(rml_video_in *in, bool *end, rml_error *err)
{
    return advance(in, end, err);
}
