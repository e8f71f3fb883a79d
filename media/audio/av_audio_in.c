#include "media/audio/audio_in.h"

#include "media/audio/av_sound_in.h"
#include "media/audio/mix_meter.h"
#include "tensor/alloc.h"

#include <libavutil/samplefmt.h>

#include <string.h>

struct rml_audio_in {
    const rml_allocator *allocator;
    char *path;
    bool as_upstream;
    rml_audio_info info;
    rml_av_sound_in sound;
    int64_t silence; // samples of it that are still to be handed out before the frame
    int used;        // samples of the frame handed out
    rml_mix_meter meter;
};

// A frame has come.
static void begin_frame(rml_audio_in *in)
{
    in->used = 0;
    in->silence = in->sound.silence;
    in->info.silence += (double)in->silence / in->sound.frame->sample_rate;
}

static rml_status start(rml_audio_in *in, rml_error *err)
{
    RML_TRY(rml_av_sound_in_open(&in->sound, in->path, in->as_upstream, err));
    in->info.silence = 0.0;
    memset(&in->meter, 0, sizeof in->meter);
    begin_frame(in);
    return RML_OK;
}

static rml_status open_first(rml_audio_in *in, const char *path, rml_error *err)
{
    in->path = rml_alloc_text(in->allocator, path);
    if (!in->path)
        return rml_fail_nomem(err, sizeof *in, "an audio reader");
    RML_TRY(start(in, err));
    const AVStream *stream = in->sound.source.stream;
    // From the first frame: containers state half the rate of some AAC streams.
    in->info.rate = in->sound.frame->sample_rate;
    in->info.channels = rml_av_channels(in->sound.frame);
    in->info.late = in->sound.late;
    in->info.codec = avcodec_get_name(stream->codecpar->codec_id);
    if (stream->duration > 0)
        in->info.seconds = (double)stream->duration * av_q2d(stream->time_base);
    else if (in->sound.source.format->duration > 0)
        in->info.seconds = (double)in->sound.source.format->duration / AV_TIME_BASE;
    return RML_OK;
}

rml_status rml_audio_in_open(rml_audio_in **out, const char *path, bool as_upstream,
                             const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_audio_in *in;
    RML_TRY(rml_make(allocator, &in, 1, sizeof *in, "an audio reader", err));
    in->allocator = allocator;
    in->as_upstream = as_upstream;
    rml_status status = open_first(in, path, err);
    if (status != RML_OK)
        rml_audio_in_close(&in);
    *out = in;
    return status;
}

void rml_audio_in_close(rml_audio_in **in)
{
    rml_audio_in *old = *in;
    *in = NULL;
    if (!old)
        return;
    rml_av_sound_in_close(&old->sound);
    rml_free(old->allocator, old->path);
    rml_free(old->allocator, old);
}

const rml_audio_info *rml_audio_in_info(const rml_audio_in *in)
{
    return &in->info;
}

bool rml_audio_in_choose_mix(rml_audio_in *in)
{
    if (in->as_upstream || in->info.channel)
        return false;
    in->info.channel = rml_mix_meter_choice(&in->meter);
    return in->info.channel != 0;
}

rml_status rml_audio_in_rewind(rml_audio_in *in, rml_error *err)
{
    rml_av_sound_in_close(&in->sound);
    return start(in, err);
}

// Sample `index` of the plane or interleaved block at `data` as float.
static float sample_at(enum AVSampleFormat packed, const uint8_t *data, size_t index)
{
    switch (packed) {
    case AV_SAMPLE_FMT_U8:
        return (float)(data[index] - 128) / 128.0f;
    case AV_SAMPLE_FMT_S16:
        return (float)((const int16_t *)data)[index] / 32768.0f;
    case AV_SAMPLE_FMT_S32:
        return (float)((const int32_t *)data)[index] / 2147483648.0f;
    case AV_SAMPLE_FMT_S64:
        return (float)((const int64_t *)data)[index] / 9223372036854775808.0f;
    case AV_SAMPLE_FMT_FLT:
        return ((const float *)data)[index];
    case AV_SAMPLE_FMT_DBL:
        return (float)((const double *)data)[index];
    default:
        return 0.0f;
    }
}

static void downmix(rml_audio_in *in, float *mono, size_t count)
{
    const AVFrame *frame = in->sound.frame;
    const enum AVSampleFormat format = frame->format, packed = av_get_packed_sample_fmt(format);
    const bool planar = av_sample_fmt_is_planar(format);
    const size_t channels = (size_t)rml_av_channels(frame), alone = (size_t)in->info.channel;
    float samples[RML_AUDIO_MAX_CHANNELS];
    for (size_t i = 0; i < count; i++) {
        const size_t at = (size_t)in->used + i;
        float sum = 0.0f;
        for (size_t c = 0; c < channels; c++) {
            samples[c] = planar ? sample_at(packed, frame->extended_data[c], at)
                                : sample_at(packed, frame->extended_data[0], at * channels + c);
            sum += samples[c];
        }
        mono[i] = channels == 1 ? sum : sum / (float)channels;
        rml_mix_meter_add(&in->meter, samples, channels, mono[i]);
        if (alone && alone <= channels)
            mono[i] = samples[alone - 1];
    }
}

// `count` more samples of the silence in front of the frame, or of the frame.
static void take(rml_audio_in *in, float *mono, size_t count)
{
    const AVFrame *frame = in->sound.frame;
    if (in->silence > 0) {
        memset(mono, 0, count * sizeof *mono);
        in->silence -= (int64_t)count;
        return;
    }
    rml_mix_meter_window(&in->meter, frame->sample_rate, rml_av_channels(frame));
    downmix(in, mono, count);
    in->used += (int)count;
}

rml_status rml_audio_in_read(rml_audio_in *in, float *mono, size_t capacity, size_t *count,
                             int *rate, rml_error *err)
{
    const AVFrame *frame = in->sound.frame;
    *count = 0;
    *rate = frame->sample_rate;
    while (*count < capacity) {
        if (in->silence == 0 && in->used >= frame->nb_samples) {
            bool end = false;
            RML_TRY(rml_av_sound_in_next(&in->sound, &end, err));
            if (end)
                break;
            begin_frame(in);
        }
        if (*count == 0)
            *rate = frame->sample_rate;
        else if (*rate != frame->sample_rate)
            break;
        const int64_t left = in->silence > 0 ? in->silence : frame->nb_samples - in->used;
        const size_t room = capacity - *count;
        const size_t now = left < (int64_t)room ? (size_t)left : room;
        take(in, mono + *count, now);
        *count += now;
    }
    return RML_OK;
}
