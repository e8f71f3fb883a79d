#include "media/video/video_in.h"

#include "media/video/av_clock.h"
#include "media/video/av_picture.h"
#include "media/video/av_source.h"
#include "tensor/alloc.h"

#include <libavutil/mathematics.h>
#include <libavutil/pixdesc.h>

#include <string.h>

// How often a frame may come out differently before no key frame is trusted any more.
#define MAX_MISMATCHES 8

// A frame that has been decoded.
typedef struct seen_frame {
    int64_t pts;
    uint32_t hash;  // of its pixels
    uint8_t fields; // rml_fields: to be made whole, for which its neighbours are needed
} seen_frame;

// A key frame, from which decoding may begin.
typedef struct key_frame {
    int64_t index;
    int64_t stated; // its time in the file
} key_frame;

// Places of decoded frames: `at`, and its neighbours.
enum { BEFORE, AT, AFTER, PLACES };

struct rml_video_in {
    const rml_allocator *allocator;
    char *path;
    rml_video_in_settings settings;
    rml_video_info info;
    rml_av_source source;
    AVFrame *frames[PLACES];
    bool has[PLACES];
    int64_t at;  // index of the frame in frames[AT], -1 before the first
    int64_t aim; // frames before this one are decoded on the way only
    rml_av_picture picture;
    rml_av_clock clock;
    int64_t next; // index of the frame that comes next
    int64_t decoded_count;
    int64_t damaged; // packets, before the first seek
    seen_frame *seen;
    size_t seen_count, seen_capacity;
    bool complete; // all frames have been seen
    key_frame *keys;
    size_t key_count, key_capacity;
    size_t key;     // decoding began before this one: at keys[key - 1], or at the start if 0
    int mismatches; // so far
    bool again;     // there has been a seek
};

rml_video_in_settings rml_video_in_settings_default(void)
{
    return (rml_video_in_settings){.picture_rate = {25, 1}};
}

// The fields of the frame at a place, if it is to be made whole.
static rml_fields woven(const rml_video_in *in, int place)
{
    const rml_deinterlace what = in->settings.deinterlace;
    if (what == RML_DEINTERLACE_NONE)
        return RML_FIELDS_NONE;
    const rml_fields said = rml_av_fields(in->frames[place], in->source.stream->codecpar);
    return said == RML_FIELDS_NONE && what == RML_DEINTERLACE_ALL ? RML_FIELDS_TOP_FIRST : said;
}

static void fill_info(rml_video_in *in)
{
    AVFormatContext *format = in->source.format;
    AVStream *stream = in->source.stream;
    rml_video_info *info = &in->info;
    info->orientation = rml_av_orientation(stream);
    bool turn = rml_orientation_swaps(in->picture.orientation);
    info->width = turn ? in->picture.height : in->picture.width;
    info->height = turn ? in->picture.width : in->picture.height;
    rml_av_time_info(info, format, stream, in->frames[AFTER]->best_effort_timestamp);
    AVRational aspect = av_guess_sample_aspect_ratio(format, stream, in->frames[AFTER]);
    info->pixel_aspect = (rml_rational){1, 1};
    if (aspect.num > 0 && aspect.den > 0)
        info->pixel_aspect =
            turn ? (rml_rational){aspect.den, aspect.num} : rml_av_rational(aspect);
    if (in->settings.deinterlace == RML_DEINTERLACE_NONE)
        info->fields = rml_av_fields(in->frames[AFTER], stream->codecpar);
    info->codec = avcodec_get_name(stream->codecpar->codec_id);
    info->colour = rml_colour_of_frame(in->frames[AFTER]);
}

// Decodes one frame more into frames[AFTER], or *end.
static rml_status take(rml_video_in *in, bool *end, rml_error *err)
{
    av_frame_unref(in->frames[AFTER]);
    RML_TRY(rml_av_source_next(&in->source, in->frames[AFTER], end, err));
    in->decoded_count += !*end;
    return RML_OK;
}

// Frames that were AFTER and AT become AT and BEFORE.
static void pass_on(rml_video_in *in)
{
    AVFrame *oldest = in->frames[BEFORE];
    in->frames[BEFORE] = in->frames[AT];
    in->frames[AT] = in->frames[AFTER];
    in->frames[AFTER] = oldest;
    in->has[BEFORE] = in->has[AT];
    in->has[AT] = in->has[AFTER];
    in->has[AFTER] = false;
}

// Opens the file anew; what comes next is its first frame.
static rml_status begin(rml_video_in *in, rml_error *err)
{
    rml_av_source_close(&in->source);
    memset(in->has, 0, sizeof in->has);
    in->at = -1;
    if (rml_av_names_pictures(in->path))
        return rml_av_source_open_pictures(&in->source, in->path, in->settings.picture_rate,
                                           in->allocator, err);
    return rml_av_source_open(&in->source, in->path, AVMEDIA_TYPE_VIDEO, in->settings.threads, err);
}

// Remembers the frame in frames[AFTER], the first time.
static rml_status note_frame(rml_video_in *in, rml_error *err)
{
    const AVFrame *frame = in->frames[AFTER];
    RML_TRY(rml_reserve(in->allocator, &in->seen, &in->seen_capacity, in->seen_count + 1,
                        sizeof *in->seen, "the times of frames", err));
    in->seen[in->seen_count] = (seen_frame){rml_av_clock_next(&in->clock, frame),
                                            rml_av_hash(frame), (uint8_t)woven(in, AFTER)};
    in->seen_count++;
    if (!rml_av_is_key(frame) || frame->best_effort_timestamp == AV_NOPTS_VALUE)
        return RML_OK;
    RML_TRY(rml_reserve(in->allocator, &in->keys, &in->key_capacity, in->key_count + 1,
                        sizeof *in->keys, "the times of key frames", err));
    in->keys[in->key_count++] = (key_frame){in->at + 1, frame->best_effort_timestamp};
    return RML_OK;
}

// Decodes the frame after `at`. *there is false when there is none, or when it is not the one that
// was seen there.
static rml_status take_after(rml_video_in *in, bool *there, rml_error *err)
{
    const size_t index = (size_t)(in->at + 1);
    bool end;
    RML_TRY(take(in, &end, err));
    *there = in->has[AFTER] = !end && !(in->complete && index >= in->seen_count);
    if (index == in->seen_count && !in->complete) {
        in->complete = end;
        return end ? RML_OK : note_frame(in, err);
    }
    if (*there && in->key > 0 && (int64_t)index >= in->aim)
        *there = rml_av_hash(in->frames[AFTER]) == in->seen[index].hash;
    return RML_OK;
}

static rml_status open_first(rml_video_in *in, const char *path, rml_error *err)
{
    in->path = rml_alloc_text(in->allocator, path);
    bool there = in->path != NULL;
    for (int i = 0; i < PLACES; i++) {
        in->frames[i] = av_frame_alloc();
        there = there && in->frames[i];
    }
    if (!there)
        return rml_fail_nomem(err, sizeof *in, "a video reader");
    bool end;
    RML_TRY(begin(in, err));
    RML_TRY(take(in, &end, err));
    in->has[AFTER] = true; // a file without any frame is an error
    const rml_orientation turn =
        in->settings.ignore_orientation ? RML_ORIENT_NORMAL : rml_av_orientation(in->source.stream);
    RML_TRY(
        rml_av_picture_init(&in->picture, in->frames[AFTER], in->path, turn, in->allocator, err));
    fill_info(in);
    in->clock = rml_av_clock_of(in->source.format, in->source.stream, in->info.frame_rate);
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
    for (int i = 0; i < PLACES; i++)
        av_frame_free(&old->frames[i]);
    rml_av_picture_release(&old->picture);
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

int64_t rml_video_in_end_pts(const rml_video_in *in, int64_t index)
{
    const size_t after = (size_t)index + 1;
    return after < in->seen_count ? in->seen[after].pts
                                  : av_sat_add64(in->seen[index].pts, in->clock.duration);
}

int64_t rml_video_in_decoded(const rml_video_in *in)
{
    return in->decoded_count;
}

int64_t rml_video_in_damaged_packets(const rml_video_in *in)
{
    return in->again ? in->damaged : in->source.damaged;
}

// ---- seeking ----------------------------------------------------------------------------------

// Begins to decode at keys[key - 1], or at the start. *there is false when it cannot be found.
static rml_status jump(rml_video_in *in, bool *there, rml_error *err)
{
    if (!in->again)
        in->damaged = in->source.damaged;
    in->again = true;
    *there = true;
    if (in->key == 0)
        return begin(in, err);
    const key_frame *key = &in->keys[in->key - 1];
    memset(in->has, 0, sizeof in->has);
    in->at = key->index - 1;
    *there = rml_av_source_seek(&in->source, key->stated);
    while (*there && !in->has[AFTER]) {
        bool end;
        RML_TRY(take(in, &end, err));
        const int64_t stated = in->frames[AFTER]->best_effort_timestamp;
        *there = !end && stated != AV_NOPTS_VALUE && stated <= key->stated;
        in->has[AFTER] = *there && stated == key->stated;
    }
    *there = *there && rml_av_hash(in->frames[AFTER]) == in->seen[key->index].hash;
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

// Goes on to frame `index` and decodes what is to be known with it; false when it is not there.
static rml_status go_on(rml_video_in *in, int64_t index, bool *there, rml_error *err)
{
    *there = true;
    while (in->at < index) {
        if (!in->has[AFTER])
            RML_TRY(take_after(in, there, err));
        if (!*there)
            return RML_OK;
        pass_on(in);
        in->at++;
    }
    if (in->has[AFTER] || (in->complete && index + 1 == (int64_t)in->seen_count))
        return RML_OK;
    // How long the frame is shown is told by the next one.
    if (index + 1 == (int64_t)in->seen_count) {
        RML_TRY(take_after(in, there, err));
        *there = true;
    } else if (in->seen[index].fields) {
        RML_TRY(take_after(in, there, err));
    }
    return RML_OK;
}

// Makes frame `index`, which has been seen or is the next to be seen, the one at `at`.
static rml_status go_to(rml_video_in *in, int64_t index, rml_error *err)
{
    const bool known = index < (int64_t)in->seen_count;
    const bool both = known && in->seen[index].fields && index > 0; // the one before is needed too
    in->aim = both ? index - 1 : index;
    size_t key = in->key_count;
    while (key > 0 && in->keys[key - 1].index > in->aim)
        key--;
    bool there = (index == in->at && in->has[AT] && (!both || in->has[BEFORE])) ||
                 (index == in->at + 1 && (!both || in->has[AT])) ||
                 (in->aim > in->at && (key == 0 || in->keys[key - 1].index <= in->at + 1));
    if (!there)
        in->key = key;
    for (;;) {
        if (!there)
            RML_TRY(jump(in, &there, err));
        if (there)
            RML_TRY(go_on(in, index, &there, err));
        if (there)
            return RML_OK;
        if (in->key == 0)
            return rml_fail(err, RML_ERR_IO, "%s: ended at frame %lld of %zu when decoded again",
                            in->path, (long long)in->at + 1, in->seen_count);
        distrust(in);
    }
}

void rml_video_in_seek(rml_video_in *in, int64_t index)
{
    in->next = index;
}

rml_status rml_video_in_peek(rml_video_in *in, bool *end, rml_error *err)
{
    // The first time through the frame after the last one seen has been looked for already.
    *end = in->complete && in->next >= (int64_t)in->seen_count;
    return *end ? RML_OK : go_to(in, in->next, err);
}

// The frame at `next`, made whole if it is woven.
static rml_status whole_picture(rml_video_in *in, const AVFrame **decoded, rml_error *err)
{
    const rml_fields fields = (rml_fields)in->seen[in->next].fields;
    *decoded = in->frames[AT];
    if (fields == RML_FIELDS_NONE)
        return RML_OK;
    bool done;
    RML_TRY(rml_av_picture_deinterlace(&in->picture, in->frames[in->has[BEFORE] ? BEFORE : AT],
                                       in->frames[AT], in->frames[in->has[AFTER] ? AFTER : AT],
                                       fields == RML_FIELDS_TOP_FIRST, &done, err));
    if (!done && in->settings.deinterlace == RML_DEINTERLACE_ALL)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "%s: pictures of format %s cannot be deinterlaced", in->path,
                        av_get_pix_fmt_name(in->frames[AT]->format));
    if (done)
        *decoded = in->picture.whole;
    return RML_OK;
}

// The next frame and its time.
static rml_status next_picture(rml_video_in *in, const AVFrame **decoded, int64_t *pts, bool *end,
                               rml_error *err)
{
    RML_TRY(rml_video_in_peek(in, end, err));
    if (*end)
        return RML_OK;
    RML_TRY(whole_picture(in, decoded, err));
    *pts = in->seen[in->next].pts;
    in->next++;
    return RML_OK;
}

rml_status rml_video_in_read(rml_video_in *in, rml_frame *frame, bool *end, rml_error *err)
{
    const AVFrame *decoded;
    int64_t pts;
    RML_TRY(next_picture(in, &decoded, &pts, end, err));
    if (*end)
        return RML_OK;
    RML_TRY(rml_av_picture_convert(&in->picture, decoded, frame, err));
    frame->pts = pts;
    frame->time_base = in->info.time_base;
    return RML_OK;
}

rml_status rml_video_in_read_shot(rml_video_in *in, rml_shot *shot, bool *end, rml_error *err)
{
    const AVFrame *decoded;
    int64_t pts;
    RML_TRY(next_picture(in, &decoded, &pts, end, err));
    if (*end)
        return RML_OK;
    RML_TRY(rml_av_picture_take(&in->picture, decoded, shot, err));
    shot->pts = pts;
    shot->time_base = in->info.time_base;
    return RML_OK;
}
