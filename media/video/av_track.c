#include "media/video/av_track.h"

#include "tensor/alloc.h"

#include <libavutil/mathematics.h>

#include <stdio.h>
#include <string.h>

// The first version of libavformat whose Matroska takes the delay of a coder, which it states, from
// the times itself; before, sound was heard early by it. Only that of Opus was stated then.
#define STATES_ALL AV_VERSION_INT(59, 31, 100)

static rml_status try_copying(rml_av_track *t, const AVFormatContext *format,
                              const rml_container *container, const rml_encode_settings *s,
                              rml_error *err)
{
    const rml_sound_copy_settings wanted = {
        .path = t->path,
        .muxer = format->oformat,
        .extension = container->extension,
        .seconds = s->audio_seconds,
        .frame_seconds = 1.0 / rml_rational_value(s->frame_rate),
        .numbered = container->constant_rate,
    };
    const char *why = s->audio_also_count      ? "several voices are mixed"
                      : s->audio_untimed       ? "its times are ignored"
                      : s->audio_offset != 0.0 ? "it is moved"
                                               : "";
    snprintf(t->why, sizeof t->why, "%s", why);
    if (*why)
        return RML_OK;
    RML_TRY(rml_sound_copy_open(&t->copy, &wanted, t->why, err));
    t->copied = !*t->why;
    return RML_OK;
}

static rml_status open_encoder(rml_av_track *t, const AVFormatContext *format,
                               const rml_container *container, const rml_encode_settings *s,
                               rml_error *err)
{
    const bool global_header = format->oformat->flags & AVFMT_GLOBALHEADER;
    const rml_sound_codec codec =
        s->codec == RML_CODEC_FFV1 && !container->constant_rate ? RML_SOUND_PCM : container->sound;
    RML_TRY(rml_av_sound_open(&t->sound, t->path, s->audio_untimed, codec, global_header,
                              s->audio_offset, s->audio_seconds, err));
    for (int i = 0; i < s->audio_also_count; i++)
        RML_TRY(rml_av_sound_mix(&t->sound, s->audio_also[i], s->audio_untimed, err));
    return RML_OK;
}

rml_status rml_av_track_open(rml_av_track *track, AVFormatContext *format,
                             const rml_container *container, const rml_encode_settings *settings,
                             bool probing, const rml_allocator *allocator, rml_error *err)
{
    rml_av_track *t = track;
    t->allocator = allocator;
    t->path = rml_alloc_text(allocator, settings->audio_path);
    t->packet = av_packet_alloc();
    if (!t->path || !t->packet)
        return rml_fail_nomem(err, strlen(settings->audio_path), "a sound track");
    if (!probing)
        RML_TRY(try_copying(t, format, container, settings, err));
    if (!t->copied)
        RML_TRY(open_encoder(t, format, container, settings, err));
    AVStream *stream = avformat_new_stream(format, NULL);
    if (!stream)
        return rml_fail_nomem(err, sizeof *stream, "a stream");
    t->stream = stream;
    if (t->copied) {
        RML_TRY(rml_sound_copy_describe(&t->copy, stream, err));
    } else {
        stream->time_base = t->sound.encoder->time_base;
        const int code = avcodec_parameters_from_context(stream->codecpar, t->sound.encoder);
        if (code < 0)
            return rml_av_fail(err, t->path, "its sound cannot be begun", code);
    }
    if (container->tags_first && stream->codecpar->codec_id == AV_CODEC_ID_OPUS &&
        avformat_version() < STATES_ALL)
        t->shift = stream->codecpar->initial_padding;
    return RML_OK;
}

static AVRational time_base(const rml_av_track *t)
{
    return t->copied ? (AVRational){1, t->copy.rate} : t->sound.encoder->time_base;
}

rml_status rml_av_track_next(rml_av_track *track, int64_t time, AVRational base, AVPacket **packet,
                             rml_error *err)
{
    rml_av_track *t = track;
    *packet = NULL;
    if (!t->stream)
        return RML_OK;
    if (!t->waits && !t->ended) {
        RML_TRY(t->copied ? rml_sound_copy_next(&t->copy, t->packet, &t->ended, err)
                          : rml_av_sound_next(&t->sound, t->packet, &t->ended, err));
        t->waits = !t->ended;
    }
    if (!t->waits ||
        (time != AV_NOPTS_VALUE && av_compare_ts(t->packet->dts, time_base(t), time, base) > 0))
        return RML_OK;
    t->waits = false;
    *packet = t->packet;
    t->packet->pts += t->shift;
    t->packet->dts += t->shift;
    av_packet_rescale_ts(t->packet, time_base(t), t->stream->time_base);
    return RML_OK;
}

void rml_av_track_summarise(const rml_av_track *track, rml_encode_summary *summary)
{
    const rml_av_track *t = track;
    if (!t->stream)
        return;
    const int64_t copied = FFMIN(t->copy.next, t->copy.end);
    summary->audio_seconds = (double)(t->copied ? copied : t->sound.fed) * av_q2d(time_base(t));
    summary->damaged_audio_packets = t->sound.in.source.damaged;
    summary->sound_codec = avcodec_get_name(t->stream->codecpar->codec_id);
    summary->sound_copied = t->copied;
    snprintf(summary->sound_why, sizeof summary->sound_why, "%s", t->why);
}

void rml_av_track_close(rml_av_track *track)
{
    rml_av_sound_close(&track->sound);
    rml_sound_copy_close(&track->copy);
    av_packet_free(&track->packet);
    rml_free(track->allocator, track->path);
    track->path = NULL;
    track->stream = NULL;
}
