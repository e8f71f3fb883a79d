#include "media/video/video_in.h"

#include "media/video/av_frame.h"
#include "media/video/av_source.h"
#include "tensor/alloc.h"

#include <libavutil/mathematics.h>

#include <string.h>

// How often a frame may come out differently before no key frame is trusted any more.
#define MAX_MISMATCHES 8

// A frame that has been decoded.
typedef struct seen_frame {
    int64_t pts;
    uint32_t hash; // of its pixels
} seen_frame;

// A key frame, from which decoding may begin.
typedef struct key_frame {
    int64_t index;
    int64_t stated; // its time in the file
} key_frame;

struct rml_video_in {
    const rml_allocator *allocator;
    char *path;
    rml_video_in_settings settings;
    rml_video_info info;
    rml_av_source source;
    AVFrame *decoded;
    bool pending;                  // `decoded` holds frame `next`
    rml_frame coded;               // before turning it upright
    int coded_width, coded_height; // of the first frame
    struct SwsContext *sws;
    int sws_width, sws_height, sws_format;
    rml_colour sws_colour;
    int64_t shift; // added to the stream's times so that the first is 0
    int64_t step;  // nominal distance of two frames
    int64_t next;  // index of the frame that comes next
    int64_t decoded_count;
    int64_t damaged; // packets, before the first seek
    seen_frame *seen;
    size_t seen_count, seen_capacity;
    key_frame *keys;
    size_t key_count, key_capacity;
    size_t key;     // decoding began before this one: at keys[key - 1], or at the start if 0
    int mismatches; // so far
    bool again;     // there has been a seek
};

rml_video_in_settings rml_video_in_settings_default(void)
{
    return (rml_video_in_settings){0};
}

static void fill_info(rml_video_in *in)
{
    AVFormatContext *format = in->source.format;
    AVStream *stream = in->source.stream;
    rml_video_info *info = &in->info;
    info->orientation = rml_av_orientation(stream);
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

// Decodes one frame more into `decoded`, or *end.
static rml_status take(rml_video_in *in, bool *end, rml_error *err)
{
    av_frame_unref(in->decoded);
    RML_TRY(rml_av_source_next(&in->source, in->decoded, end, err));
    in->decoded_count += !*end;
    return RML_OK;
}

// Opens the file and decodes its first frame.
static rml_status start(rml_video_in *in, rml_error *err)
{
    bool end;
    RML_TRY(
        rml_av_source_open(&in->source, in->path, AVMEDIA_TYPE_VIDEO, in->settings.threads, err));
    RML_TRY(take(in, &end, err));
    in->pending = true;
    in->next = 0;
    return RML_OK;
}

// Time of the frame in `decoded`, which comes after those seen, counted from the first one.
static int64_t next_time(rml_video_in *in)
{
    int64_t stated = in->decoded->best_effort_timestamp;
    bool known = stated != AV_NOPTS_VALUE;
    if (in->seen_count == 0) {
        in->shift = known ? -stated : 0;
        return 0;
    }
    int64_t last = in->seen[in->seen_count - 1].pts;
    int64_t time = known ? av_sat_add64(stated, in->shift) : last + in->step;
    if (time > last)
        return time;
    // One stray time is pushed behind its neighbour; a clock that starts again (joined files) moves
    // all that follow.
    if (last - time < 2 * in->step)
        return last + 1;
    in->shift = av_sat_add64(in->shift, last - time + in->step);
    return last + in->step;
}

// Remembers the frame in `decoded`, the first time.
static rml_status note_frame(rml_video_in *in, rml_error *err)
{
    RML_TRY(rml_reserve(in->allocator, &in->seen, &in->seen_capacity, in->seen_count + 1,
                        sizeof *in->seen, "the times of frames", err));
    in->seen[in->seen_count] = (seen_frame){next_time(in), rml_av_hash(in->decoded)};
    in->seen_count++;
    const int64_t stated = in->decoded->best_effort_timestamp;
    if (!rml_av_is_key(in->decoded) || stated == AV_NOPTS_VALUE)
        return RML_OK;
    RML_TRY(rml_reserve(in->allocator, &in->keys, &in->key_capacity, in->key_count + 1,
                        sizeof *in->keys, "the times of key frames", err));
    in->keys[in->key_count++] = (key_frame){in->next, stated};
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
    return note_frame(in, err);
}

rml_status rml_video_in_open(rml_video_in **out, const char *path,
                             const rml_video_in_settings *settings, const rml_allocator *allocator,
                             rml_error *err)
{
    *out = NULL;
    rml_video_in *in;
    RML_TRY(rml_make(allocator, &in, 1, sizeof *in, "a video reader", err));
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
    rml_free(old->allocator, old->seen);
    rml_free(old->allocator, old->keys);
    rml_free(old->allocator, old->path);
    rml_free(old->allocator, old);
}

const rml_video_info *rml_video_in_info(const rml_video_in *in)
{
    return &in->info;
}

int64_t rml_video_in_pts(const rml_video_in *in, int64_t index)
{
    return in->seen[index].pts;
}

int64_t rml_video_in_decoded(const rml_video_in *in)
{
    return in->decoded_count;
}

int64_t rml_video_in_damaged_packets(const rml_video_in *in)
{
    return in->again ? in->damaged : in->source.damaged;
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

// ---- seeking ----------------------------------------------------------------------------------

// Begins to decode at keys[key - 1], or at the start. *there is false when it cannot be found.
static rml_status jump(rml_video_in *in, bool *there, rml_error *err)
{
    if (!in->again)
        in->damaged = in->source.damaged;
    in->again = true;
    in->pending = false;
    if (in->key == 0) {
        *there = true;
        rml_av_source_close(&in->source);
        return start(in, err);
    }
    const key_frame *key = &in->keys[in->key - 1];
    in->next = key->index;
    *there = rml_av_source_seek(&in->source, key->stated);
    while (*there && !in->pending) {
        bool end;
        RML_TRY(take(in, &end, err));
        const int64_t stated = in->decoded->best_effort_timestamp;
        *there = !end && stated != AV_NOPTS_VALUE && stated <= key->stated;
        in->pending = *there && stated == key->stated;
    }
    *there = *there && rml_av_hash(in->decoded) == in->seen[in->next].hash;
    return RML_OK;
}

// Skips to frame `index`; *there is false when the file ends before it.
static rml_status skip(rml_video_in *in, int64_t index, bool *there, rml_error *err)
{
    bool end = false;
    while (in->next < index && !end) {
        if (!in->pending)
            RML_TRY(take(in, &end, err));
        in->pending = false;
        in->next += !end;
    }
    *there = !end;
    return RML_OK;
}

// From the key frame that decoding began at frames come out differently: takes the one before.
static void distrust(rml_video_in *in)
{
    if (++in->mismatches >= MAX_MISMATCHES)
        in->key_count = in->key = 1;
    in->key--;
    in->key_count--;
    memmove(in->keys + in->key, in->keys + in->key + 1,
            (in->key_count - in->key) * sizeof *in->keys);
}

static rml_status go_to(rml_video_in *in, int64_t index, bool there, rml_error *err)
{
    for (;;) {
        if (!there)
            RML_TRY(jump(in, &there, err));
        if (there)
            RML_TRY(skip(in, index, &there, err));
        if (there)
            return RML_OK;
        if (in->key == 0)
            return rml_fail(err, RML_ERR_IO, "%s: ended at frame %lld of %zu when decoded again",
                            in->path, (long long)in->next, in->seen_count);
        distrust(in);
    }
}

rml_status rml_video_in_seek(rml_video_in *in, int64_t index, rml_error *err)
{
    size_t key = in->key_count;
    while (key > 0 && in->keys[key - 1].index > index)
        key--;
    const bool ahead = index >= in->next && (key == 0 || in->keys[key - 1].index <= in->next);
    if (!ahead)
        in->key = key;
    return go_to(in, index, ahead, err);
}

rml_status rml_video_in_peek(rml_video_in *in, bool *end, rml_error *err)
{
    *end = false;
    while (!in->pending && !*end) {
        const int64_t index = in->next;
        RML_TRY(take(in, end, err));
        in->pending = !*end;
        if (index == (int64_t)in->seen_count)
            return *end ? RML_OK : note_frame(in, err);
        // From the start of the file there is nothing better than what comes.
        if (in->key > 0 && (*end || rml_av_hash(in->decoded) != in->seen[index].hash)) {
            distrust(in);
            *end = false;
            RML_TRY(go_to(in, index, false, err));
        }
    }
    return RML_OK;
}

rml_status rml_video_in_read(rml_video_in *in, rml_frame *frame, bool *end, rml_error *err)
{
    RML_TRY(rml_video_in_peek(in, end, err));
    if (*end)
        return RML_OK;
    RML_TRY(convert(in, frame, err));
    frame->pts = in->seen[in->next].pts;
    frame->time_base = in->info.time_base;
    in->pending = false;
    in->next++;
    return RML_OK;
}
