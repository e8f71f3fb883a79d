#include "media/video/av_sound.h"

#include "media/audio/audio_in.h"
#include "tensor/status.h"

#include <libavutil/channel_layout.h>
#include <libavutil/common.h>
#include <libavutil/mathematics.h>

#include <math.h>

enum {
    PCM_BLOCK = 1024,         // samples a packet where the codec does not care
    BITS_PER_CHANNEL = 80000, // a second, where it is coded
    MAX_OFFSET_SECONDS = 24 * 3600,
};

// ---- opening ----------------------------------------------------------------------------------

static const AVCodec *find_codec(rml_sound_codec codec, enum AVSampleFormat source)
{
    if (codec == RML_SOUND_AAC)
        return avcodec_find_encoder(AV_CODEC_ID_AAC);
    if (codec == RML_SOUND_OPUS) // libav's own is an experiment
        return avcodec_find_encoder_by_name("libopus");
    enum AVSampleFormat packed = av_get_packed_sample_fmt(source);
    bool narrow = packed == AV_SAMPLE_FMT_U8 || packed == AV_SAMPLE_FMT_S16;
    return avcodec_find_encoder(codec == RML_SOUND_PCM16 || narrow ? AV_CODEC_ID_PCM_S16LE
                                                                   : AV_CODEC_ID_PCM_F32LE);
}

// The rate itself, or the lowest one above it, or the highest of those that the codec has.
static int choose_rate(const AVCodec *codec, int rate)
{
    const int *rates = codec->supported_samplerates;
    if (!rates)
        return rate;
    int above = 0, highest = 0;
    for (; *rates; rates++) {
        if (*rates >= rate && (above == 0 || *rates < above))
            above = *rates;
        highest = *rates > highest ? *rates : highest;
    }
    return above ? above : highest;
}

static int open_encoder_with(rml_av_sound *s, const AVCodec *codec, int channels,
                             bool global_header)
{
    avcodec_free_context(&s->encoder);
    s->encoder = avcodec_alloc_context3(codec);
    if (!s->encoder)
        return AVERROR(ENOMEM);
    AVCodecContext *e = s->encoder;
    const AVChannelLayout *source = &s->in.frame->ch_layout;
    e->sample_fmt = codec->sample_fmts ? codec->sample_fmts[0] : AV_SAMPLE_FMT_S16;
    e->sample_rate = choose_rate(codec, s->in.frame->sample_rate);
    e->time_base = (AVRational){1, e->sample_rate};
    if (codec->id == AV_CODEC_ID_OPUS)
        e->sample_fmt = AV_SAMPLE_FMT_FLT;
    if (codec->id == AV_CODEC_ID_AAC || codec->id == AV_CODEC_ID_OPUS)
        e->bit_rate = (int64_t)channels * BITS_PER_CHANNEL;
    if (global_header)
        e->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    if (channels == source->nb_channels && source->order == AV_CHANNEL_ORDER_NATIVE) {
        int code = av_channel_layout_copy(&e->ch_layout, source);
        if (code < 0)
            return code;
    } else {
        av_channel_layout_default(&e->ch_layout, channels);
    }
    return avcodec_open2(e, codec, NULL);
}

static rml_status open_encoder(rml_av_sound *s, rml_sound_codec wanted, bool global_header,
                               rml_error *err)
{
    const AVCodec *codec = find_codec(wanted, s->in.frame->format);
    if (!codec)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "%s: libavcodec here has no encoder for the sound (%s)", s->in.source.path,
                        wanted == RML_SOUND_AAC    ? "AAC"
                        : wanted == RML_SOUND_OPUS ? "Opus"
                                                   : "PCM");
    int channels = s->in.frame->ch_layout.nb_channels;
    int code = open_encoder_with(s, codec, channels, global_header);
    if (code < 0 && channels > 2) // an unusual layout of speakers
        code = open_encoder_with(s, codec, 2, global_header);
    if (code < 0)
        return rml_av_fail(err, s->in.source.path, "its sound cannot be encoded", code);
    s->fifo =
        av_audio_fifo_alloc(s->encoder->sample_fmt, s->encoder->ch_layout.nb_channels, PCM_BLOCK);
    if (!s->fifo)
        return rml_fail_nomem(err, PCM_BLOCK, "sound");
    return RML_OK;
}

static rml_status open_all(rml_av_sound *s, const char *path, bool untimed, rml_sound_codec codec,
                           bool global_header, double offset, double seconds, rml_error *err)
{
    if (!(fabs(offset) <= MAX_OFFSET_SECONDS) || !(seconds >= 0.0))
        return rml_fail(err, RML_ERR_ARG, "%s: a sound offset of %g s or length of %g s", path,
                        offset, seconds);
    RML_TRY(rml_av_sound_in_open(&s->in, path, untimed, err));
    s->quiet = av_frame_alloc();
    s->block = av_frame_alloc();
    if (!s->quiet || !s->block)
        return rml_fail_nomem(err, sizeof *s->block, "sound");
    s->pending = true;
    RML_TRY(open_encoder(s, codec, global_header, err));
    int rate = s->encoder->sample_rate;
    int64_t shift = llrint(offset * rate);
    s->skip = shift < 0 ? -shift : 0;
    s->limit = seconds > 0.0 && seconds * rate < 9e18 ? llrint(seconds * rate) : INT64_MAX;
    s->silence = shift > 0 ? shift : 0;
    return RML_OK;
}

rml_status rml_av_sound_open(rml_av_sound *sound, const char *path, bool untimed,
                             rml_sound_codec codec, bool global_header, double offset,
                             double seconds, rml_error *err)
{
    *sound = (rml_av_sound){0};
    rml_status status = open_all(sound, path, untimed, codec, global_header, offset, seconds, err);
    if (status != RML_OK)
        rml_av_sound_close(sound);
    return status;
}

rml_status rml_av_sound_mix(rml_av_sound *sound, const char *path, bool untimed, rml_error *err)
{
    rml_av_sound *more = av_mallocz(sizeof *more);
    if (!more)
        return rml_fail_nomem(err, sizeof *more, "sound");
    more->also = sound->also;
    sound->also = more;
    RML_TRY(rml_av_sound_in_open(&more->in, path, untimed, err));
    more->pending = true;
    more->encoder = sound->encoder;
    more->skip = sound->skip;
    more->silence = sound->silence;
    more->quiet = av_frame_alloc();
    more->block = av_frame_alloc();
    more->fifo = av_audio_fifo_alloc(more->encoder->sample_fmt,
                                     more->encoder->ch_layout.nb_channels, PCM_BLOCK);
    return more->quiet && more->block && more->fifo ? RML_OK
                                                    : rml_fail_nomem(err, PCM_BLOCK, "sound");
}

void rml_av_sound_close(rml_av_sound *sound)
{
    rml_av_sound *also = sound->also;
    sound->also = NULL;
    if (also) {
        also->encoder = NULL;
        rml_av_sound_close(also);
        av_free(also);
    }
    rml_av_sound_in_close(&sound->in);
    av_frame_free(&sound->quiet);
    av_frame_free(&sound->block);
    rml_av_convert_close(&sound->convert);
    avcodec_free_context(&sound->encoder);
    av_audio_fifo_free(sound->fifo);
    sound->fifo = NULL;
}

// ---- decoding into the queue ------------------------------------------------------------------

// Queues a block of the silence in front of all.
static int queue_silence(rml_av_sound *s)
{
    uint8_t **data = NULL;
    int channels = s->encoder->ch_layout.nb_channels;
    enum AVSampleFormat format = s->encoder->sample_fmt;
    int count = s->silence < PCM_BLOCK ? (int)s->silence : PCM_BLOCK;
    int code = av_samples_alloc_array_and_samples(&data, NULL, channels, count, format, 0);
    if (code >= 0)
        code = av_samples_set_silence(data, 0, count, channels, format);
    if (code >= 0)
        code = av_audio_fifo_write(s->fifo, (void **)data, count);
    if (data)
        av_freep(&data[0]);
    av_freep(&data);
    s->silence -= count;
    return code;
}

static int write_converted(rml_av_sound *s, uint8_t **data, int count)
{
    int drop = s->skip < count ? (int)s->skip : count;
    s->skip -= drop;
    if (drop == count)
        return 0;
    uint8_t *from[RML_AUDIO_MAX_CHANNELS];
    const AVCodecContext *e = s->encoder;
    bool planar = av_sample_fmt_is_planar(e->sample_fmt);
    int planes = planar ? e->ch_layout.nb_channels : 1;
    int step = av_get_bytes_per_sample(e->sample_fmt) * (planar ? 1 : e->ch_layout.nb_channels);
    for (int i = 0; i < planes; i++)
        from[i] = data[i] + (size_t)drop * (size_t)step;
    return av_audio_fifo_write(s->fifo, (void **)from, count - drop);
}

// Converts `frame` (NULL: what the converter still holds) and queues it.
static int convert(rml_av_sound *s, const AVFrame *frame)
{
    int in_count = frame ? frame->nb_samples : 0;
    int room = swr_get_out_samples(s->convert.swr, in_count);
    if (room <= 0)
        return room;
    uint8_t **data = NULL;
    int code = av_samples_alloc_array_and_samples(&data, NULL, s->encoder->ch_layout.nb_channels,
                                                  room, s->encoder->sample_fmt, 0);
    if (code >= 0)
        code = swr_convert(s->convert.swr, data, room,
                           frame ? (const uint8_t **)frame->extended_data : NULL, in_count);
    if (code > 0)
        code = write_converted(s, data, code);
    if (data)
        av_freep(&data[0]);
    av_freep(&data);
    return code;
}

// Converts `frame` after all that came before it; a converter that does not fit is emptied first.
static int take(rml_av_sound *s, const AVFrame *frame)
{
    int code = 0;
    if (!rml_av_convert_fits(&s->convert, frame)) {
        if (s->convert.swr)
            code = convert(s, NULL);
        if (code >= 0)
            code = rml_av_convert_to(&s->convert, frame, s->encoder);
    }
    return code < 0 ? code : convert(s, frame);
}

// Converts a block of the silence in front of the frame, as if it had been decoded.
static int take_silence(rml_av_sound *s)
{
    AVFrame *q = s->quiet;
    const AVFrame *like = s->in.frame;
    av_frame_unref(q);
    q->nb_samples = s->in.silence < PCM_BLOCK ? (int)s->in.silence : PCM_BLOCK;
    q->format = like->format;
    q->sample_rate = like->sample_rate;
    int code = av_channel_layout_copy(&q->ch_layout, &like->ch_layout);
    if (code >= 0)
        code = av_frame_get_buffer(q, 0);
    if (code >= 0)
        code = av_samples_set_silence(q->extended_data, 0, q->nb_samples, q->ch_layout.nb_channels,
                                      q->format);
    s->in.silence -= q->nb_samples;
    return code < 0 ? code : take(s, q);
}

// Decodes until `want` samples are queued or the source has ended.
static rml_status fill(rml_av_sound *s, int want, rml_error *err)
{
    while (!s->source_ended && av_audio_fifo_size(s->fifo) < want) {
        int code = 0;
        bool end = false;
        if (s->silence > 0) {
            code = queue_silence(s);
        } else if (!s->pending) {
            RML_TRY(rml_av_sound_in_next(&s->in, &end, err));
            s->pending = !end;
            s->source_ended = end;
            if (end && s->convert.swr)
                code = convert(s, NULL);
        } else if (s->in.silence > 0) {
            code = take_silence(s);
        } else {
            s->pending = false;
            code = take(s, s->in.frame);
        }
        if (code < 0)
            return rml_av_fail(err, s->in.source.path, "its sound cannot be converted", code);
    }
    return RML_OK;
}

// ---- encoding ---------------------------------------------------------------------------------

// The next `count` samples in s->block; behind the end there is silence.
static int read_block(rml_av_sound *s, int count)
{
    const AVCodecContext *e = s->encoder;
    const int size = av_audio_fifo_size(s->fifo);
    av_frame_unref(s->block);
    s->block->nb_samples = count;
    s->block->format = e->sample_fmt;
    s->block->sample_rate = e->sample_rate;
    int code = av_channel_layout_copy(&s->block->ch_layout, &e->ch_layout);
    if (code >= 0)
        code = av_frame_get_buffer(s->block, 0);
    if (code >= 0 && size < count)
        code = av_samples_set_silence(s->block->extended_data, 0, count, e->ch_layout.nb_channels,
                                      e->sample_fmt);
    if (code >= 0)
        code = av_audio_fifo_read(s->fifo, (void **)s->block->extended_data,
                                  size < count ? size : count);
    return code;
}

static void add_block(AVFrame *to, const AVFrame *from)
{
    const int channels = to->ch_layout.nb_channels;
    const bool planar = av_sample_fmt_is_planar(to->format);
    const int count = to->nb_samples * (planar ? 1 : channels);
    for (int p = 0; p < (planar ? channels : 1); p++) {
        if (av_get_bytes_per_sample(to->format) == sizeof(int16_t)) {
            int16_t *sum = (int16_t *)to->extended_data[p];
            const int16_t *more = (const int16_t *)from->extended_data[p];
            for (int i = 0; i < count; i++)
                sum[i] = av_clip_int16(sum[i] + more[i]);
        } else {
            float *sum = (float *)to->extended_data[p];
            const float *more = (const float *)from->extended_data[p];
            for (int i = 0; i < count; i++)
                sum[i] = fminf(fmaxf(sum[i] + more[i], -1.0f), 1.0f);
        }
    }
}

// Gives the encoder its next block, or tells it that there is none.
static rml_status feed(rml_av_sound *s, rml_error *err)
{
    AVCodecContext *e = s->encoder;
    int size = e->frame_size > 0 ? e->frame_size : PCM_BLOCK;
    int64_t count = 0;
    for (rml_av_sound *at = s; at; at = at->also) {
        RML_TRY(fill(at, size, err));
        const int there = av_audio_fifo_size(at->fifo);
        count = there > count ? there : count;
    }
    count = count < size ? count : size;
    count = count < s->limit - s->fed ? count : s->limit - s->fed;
    int code;
    if (count <= 0) {
        code = avcodec_send_frame(e, NULL);
        s->flushed = true;
    } else {
        code = read_block(s, (int)count);
        for (rml_av_sound *at = s->also; at && code >= 0; at = at->also) {
            code = read_block(at, (int)count);
            if (code >= 0)
                add_block(s->block, at->block);
        }
        s->block->pts = s->fed;
        if (code >= 0)
            code = avcodec_send_frame(e, s->block);
        s->fed += count;
    }
    return code < 0 ? rml_av_fail(err, s->in.source.path, "its sound cannot be encoded", code)
                    : RML_OK;
}

rml_status rml_av_sound_next(rml_av_sound *sound, AVPacket *packet, bool *end, rml_error *err)
{
    *end = false;
    for (;;) {
        int code = avcodec_receive_packet(sound->encoder, packet);
        if (code >= 0)
            return RML_OK;
        if (code == AVERROR_EOF) {
            *end = true;
            return RML_OK;
        }
        if (code != AVERROR(EAGAIN) || sound->flushed)
            return rml_av_fail(err, sound->in.source.path, "its sound cannot be encoded", code);
        RML_TRY(feed(sound, err));
    }
}
