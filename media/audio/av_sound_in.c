#include "media/audio/av_sound_in.h"

#include "media/audio/audio_in.h"
#include "tensor/status.h"

#include <math.h>
#include <string.h>

// What a clock may differ from the samples without meaning it: the delay of an encoder, times in
// milliseconds, recorders that ask the system for the time of each packet.
#define SLACK_SECONDS 0.1
// A longer hole is a clock that was set anew; in formats that are cut and joined as they are, it
// is so from the second on.
#define LONGEST_HOLE_SECONDS 3600.0
#define LONGEST_HOLE_OF_JOINED_SECONDS 10.0
// Damaged times must not make a small file endless.
#define LAST_HOLE_SECONDS (24 * 3600.0)

int rml_av_channels(const AVFrame *frame)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 28, 100)
    return frame->ch_layout.nb_channels;
#else
    return frame->channels;
#endif
}

static bool is_format(const rml_av_source *source, const char *name)
{
    return strcmp(source->format->iformat->name, name) == 0;
}

// Where the clock begins. The streams of broadcasts begin anywhere; of files that hold pictures
// too, the first stream begins the whole.
static double find_origin(const rml_av_source *source, bool *pictures)
{
    const AVFormatContext *format = source->format;
    int streams = 0;
    for (unsigned i = 0; i < format->nb_streams; i++) {
        const AVStream *stream = format->streams[i];
        const enum AVMediaType type = stream->codecpar->codec_type;
        streams += (type == AVMEDIA_TYPE_VIDEO || type == AVMEDIA_TYPE_AUDIO) &&
                   !(stream->disposition & AV_DISPOSITION_ATTACHED_PIC);
    }
    *pictures = streams > 1;
    const bool anywhere = is_format(source, "mpegts") || is_format(source, "mpeg");
    if (format->start_time == AV_NOPTS_VALUE || (!*pictures && !anywhere))
        return 0.0;
    return (double)format->start_time / AV_TIME_BASE;
}

static rml_status check(const rml_av_sound_in *in, rml_error *err)
{
    const int rate = in->frame->sample_rate, channels = rml_av_channels(in->frame);
    if (rate < RML_AUDIO_MIN_RATE || rate > RML_AUDIO_MAX_RATE)
        return rml_fail(err, RML_ERR_LIMIT, "%s: a sample rate of %d Hz is outside %d..%d",
                        in->source.path, rate, RML_AUDIO_MIN_RATE, RML_AUDIO_MAX_RATE);
    if (channels < 1 || channels > RML_AUDIO_MAX_CHANNELS)
        return rml_fail(err, RML_ERR_LIMIT, "%s: %d channels are outside 1..%d", in->source.path,
                        channels, RML_AUDIO_MAX_CHANNELS);
    return RML_OK;
}

// Whether the frame says when it is heard. AVI tells times from a number of bytes that is often
// wrong, but for the first, which its header states; a joined Ogg goes on counting in samples of
// its first rate.
static bool is_timed(const rml_av_sound_in *in)
{
    const AVFrame *f = in->frame;
    return !in->untimed && f->best_effort_timestamp != AV_NOPTS_VALUE &&
           (in->position == 0.0 || !is_format(&in->source, "avi")) &&
           (f->sample_rate == in->first_rate || !is_format(&in->source, "ogg"));
}

// When `frame` begins, in seconds of the file's clock.
static double stated(const rml_av_sound_in *in, const AVFrame *frame)
{
    return (double)frame->best_effort_timestamp * av_q2d(in->source.stream->time_base) - in->origin;
}

static double seconds_of(const AVFrame *frame)
{
    return (double)frame->nb_samples / frame->sample_rate;
}

static rml_status decode(rml_av_sound_in *in, AVFrame *frame, rml_error *err)
{
    do {
        av_frame_unref(frame);
        RML_TRY(rml_av_source_next(&in->source, frame, &in->ended, err));
    } while (!in->ended && frame->nb_samples <= 0);
    return RML_OK;
}

// Whether the frame after this one goes on from where this one says to be.
static rml_status is_followed(rml_av_sound_in *in, bool *followed, rml_error *err)
{
    *followed = true;
    if (in->ahead->nb_samples <= 0 && !in->ended)
        RML_TRY(decode(in, in->ahead, err));
    if (in->ahead->nb_samples > 0 && in->ahead->best_effort_timestamp != AV_NOPTS_VALUE)
        *followed = fabs(stated(in, in->ahead) - stated(in, in->frame) - seconds_of(in->frame)) <=
                    SLACK_SECONDS;
    return RML_OK;
}

static rml_status place(rml_av_sound_in *in, rml_error *err)
{
    const AVFrame *f = in->frame;
    const bool timed = is_timed(in), lost = in->lost;
    bool jumps = false;
    in->silence = 0;
    in->lost = !timed;
    const double hole = timed ? stated(in, f) + in->shift - in->position : 0.0;
    if (fabs(hole) > SLACK_SECONDS)
        RML_TRY(is_followed(in, &jumps, err));
    if (jumps && !lost && hole > 0 && hole <= in->longest &&
        in->position + hole <= LAST_HOLE_SECONDS)
        in->silence = llrint(hole * f->sample_rate);
    else if (jumps)
        in->shift -= hole;
    in->position += (double)in->silence / f->sample_rate + seconds_of(f);
    return RML_OK;
}

rml_status rml_av_sound_in_next(rml_av_sound_in *in, bool *end, rml_error *err)
{
    av_frame_unref(in->frame);
    av_frame_move_ref(in->frame, in->ahead);
    if (in->frame->nb_samples <= 0 && !in->ended)
        RML_TRY(decode(in, in->frame, err));
    *end = in->frame->nb_samples <= 0;
    if (*end)
        return RML_OK;
    RML_TRY(check(in, err));
    if (!in->first_rate)
        in->first_rate = in->frame->sample_rate;
    return place(in, err);
}

static rml_status open_all(rml_av_sound_in *in, const char *path, rml_error *err)
{
    bool end = false, pictures = false;
    // Sound decodes far faster than it is used: one thread, and none to start at every rewind.
    RML_TRY(rml_av_source_open(&in->source, path, AVMEDIA_TYPE_AUDIO, 1, err));
    in->frame = av_frame_alloc();
    in->ahead = av_frame_alloc();
    if (!in->frame || !in->ahead)
        return rml_fail_nomem(err, sizeof *in->frame, "sound");
    in->origin = find_origin(&in->source, &pictures);
    in->longest = in->source.format->iformat->flags & AVFMT_TS_DISCONT
                      ? LONGEST_HOLE_OF_JOINED_SECONDS
                      : LONGEST_HOLE_SECONDS;
    RML_TRY(rml_av_sound_in_next(in, &end, err));
    if (end)
        return rml_fail(err, RML_ERR_FORMAT, "%s: its audio stream is empty", path);
    const double late = stated(in, in->frame) - (double)in->silence / in->first_rate;
    if (pictures && is_timed(in) && fabs(late) <= SLACK_SECONDS)
        in->late = late;
    return RML_OK;
}

rml_status rml_av_sound_in_open(rml_av_sound_in *in, const char *path, bool untimed, rml_error *err)
{
    *in = (rml_av_sound_in){.untimed = untimed};
    rml_status status = open_all(in, path, err);
    if (status != RML_OK)
        rml_av_sound_in_close(in);
    return status;
}

void rml_av_sound_in_close(rml_av_sound_in *in)
{
    rml_av_source_close(&in->source);
    av_frame_free(&in->frame);
    av_frame_free(&in->ahead);
}
