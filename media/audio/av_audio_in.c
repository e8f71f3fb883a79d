#include "media/audio/audio_in.h"

#include "media/video/av_source.h"
#include "tensor/alloc.h"

#include <libavutil/samplefmt.h>

struct rml_audio_in {
    const rml_allocator *allocator;
    char *path;
    rml_audio_info info;
    rml_av_source source;
    AVFrame *decoded;
    int used;     // samples of `decoded` handed out
    bool pending; // `decoded` holds a frame
};

static int channels_of(const AVFrame *frame)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 28, 100)
    return frame->ch_layout.nb_channels;
#else
    return frame->channels;
#endif
}

// Makes `decoded` hold the next frame with samples, or *end.
static rml_status advance(rml_audio_in *in, bool *end, rml_error *err)
{
    do {
        av_frame_unref(in->decoded);
        in->pending = false;
        RML_TRY(rml_av_source_next(&in->source, in->decoded, end, err));
        if (*end)
            return RML_OK;
    } while (in->decoded->nb_samples <= 0);
    in->used = 0;
    in->pending = true;
    int rate = in->decoded->sample_rate, channels = channels_of(in->decoded);
    if (rate < RML_AUDIO_MIN_RATE || rate > RML_AUDIO_MAX_RATE)
        return rml_fail(err, RML_ERR_LIMIT, "%s: a sample rate of %d Hz is outside %d..%d",
                        in->path, rate, RML_AUDIO_MIN_RATE, RML_AUDIO_MAX_RATE);
    if (channels < 1 || channels > RML_AUDIO_MAX_CHANNELS)
        return rml_fail(err, RML_ERR_LIMIT, "%s: %d channels are outside 1..%d", in->path, channels,
                        RML_AUDIO_MAX_CHANNELS);
    if (in->info.rate && rate != in->info.rate)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: its sample rate changes from %d to %d Hz",
                        in->path, in->info.rate, rate);
    return RML_OK;
}

static rml_status start(rml_audio_in *in, rml_error *err)
{
    bool end = false;
    // Sound decodes far faster than it is used: one thread, and none to start at every rewind.
    RML_TRY(rml_av_source_open(&in->source, in->path, AVMEDIA_TYPE_AUDIO, 1, err));
    RML_TRY(advance(in, &end, err));
    if (end)
        return rml_fail(err, RML_ERR_FORMAT, "%s: its audio stream is empty", in->path);
    return RML_OK;
}

static rml_status open_first(rml_audio_in *in, const char *path, rml_error *err)
{
    in->path = rml_alloc_text(in->allocator, path);
    in->decoded = av_frame_alloc();
    if (!in->path || !in->decoded)
        return rml_fail_nomem(err, sizeof *in, "an audio reader");
    RML_TRY(start(in, err));
    const AVStream *stream = in->source.stream;
    // From the first frame: containers state half the rate of some AAC streams.
    in->info.rate = in->decoded->sample_rate;
    in->info.channels = channels_of(in->decoded);
    in->info.codec = avcodec_get_name(stream->codecpar->codec_id);
    if (stream->duration > 0)
        in->info.seconds = (double)stream->duration * av_q2d(stream->time_base);
    else if (in->source.format->duration > 0)
        in->info.seconds = (double)in->source.format->duration / AV_TIME_BASE;
    return RML_OK;
}

rml_status rml_audio_in_open(rml_audio_in **out, const char *path, const rml_allocator *allocator,
                             rml_error *err)
{
    *out = NULL;
    rml_audio_in *in;
    RML_TRY(rml_make(allocator, &in, 1, sizeof *in, "an audio reader", err));
    in->allocator = allocator;
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
    rml_av_source_close(&old->source);
    av_frame_free(&old->decoded);
    rml_free(old->allocator, old->path);
    rml_free(old->allocator, old);
}

const rml_audio_info *rml_audio_in_info(const rml_audio_in *in)
{
    return &in->info;
}

rml_status rml_audio_in_rewind(rml_audio_in *in, rml_error *err)
{
    rml_av_source_close(&in->source);
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

static void downmix(const AVFrame *frame, int from, float *mono, size_t count)
{
    enum AVSampleFormat format = frame->format, packed = av_get_packed_sample_fmt(format);
    bool planar = av_sample_fmt_is_planar(format);
    size_t channels = (size_t)channels_of(frame);
    for (size_t i = 0; i < count; i++) {
        size_t at = (size_t)from + i;
        float sum = 0.0f;
        for (size_t c = 0; c < channels; c++)
            sum += planar ? sample_at(packed, frame->extended_data[c], at)
                          : sample_at(packed, frame->extended_data[0], at * channels + c);
        mono[i] = channels == 1 ? sum : sum / (float)channels;
    }
}

rml_status rml_audio_in_read(rml_audio_in *in, float *mono, size_t capacity, size_t *count,
                             rml_error *err)
{
    *count = 0;
    while (*count < capacity) {
        if (!in->pending || in->used >= in->decoded->nb_samples) {
            bool end = false;
            RML_TRY(advance(in, &end, err));
            if (end)
                break;
        }
        size_t left = (size_t)(in->decoded->nb_samples - in->used);
        size_t take = left < capacity - *count ? left : capacity - *count;
        downmix(in->decoded, in->used, mono + *count, take);
        in->used += (int)take;
        *count += take;
    }
    return RML_OK;
}
