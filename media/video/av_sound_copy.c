#include "media/video/av_sound_copy.h"

#include "media/audio/av_sound_in.h"
#include "tensor/status.h"

#include <libavutil/channel_layout.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/mathematics.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TRIAL_BUFFER = 4096, SKIP_BYTES = 10 };

// ---- packets ----------------------------------------------------------------------------------

static const AVCodecParameters *parameters(const rml_sound_copy *c)
{
    return c->source.stream->codecpar;
}

static bool is_pcm(const rml_sound_copy *c)
{
    return strncmp(avcodec_get_name(parameters(c)->codec_id), "pcm_", 4) == 0;
}

static void close_source(rml_sound_copy *c)
{
    rml_av_source_close(&c->source);
    av_parser_close(c->parser);
    c->parser = NULL;
}

// Begins with the first packet.
static rml_status begin(rml_sound_copy *c, rml_error *err)
{
    close_source(c);
    RML_TRY(rml_av_source_open(&c->source, c->settings.path, AVMEDIA_TYPE_AUDIO, 1, err));
    const enum AVCodecID id = parameters(c)->codec_id;
    // Of these each packet says itself how long it lasts.
    if (id == AV_CODEC_ID_OPUS || id == AV_CODEC_ID_VORBIS || id == AV_CODEC_ID_FLAC)
        c->parser = av_parser_init((int)id);
    if (c->parser)
        c->parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
    c->next = c->first;
    c->index = 0;
    return RML_OK;
}

// How long the packet to come is. Files that count milliseconds do not say it, and of what ends
// within its last packet some say how much is heard.
static int64_t measure(rml_sound_copy *c, const AVPacket *packet)
{
    const AVRational base = c->source.stream->time_base, samples = {1, c->rate};
    int64_t coded = av_get_audio_frame_duration2(c->source.stream->codecpar, packet->size);
    int64_t stated = 0;
    if (c->parser) {
        uint8_t *data;
        int size;
        av_parser_parse2(c->parser, c->source.decoder, &data, &size, packet->data, packet->size,
                         AV_NOPTS_VALUE, AV_NOPTS_VALUE, -1);
        coded = c->parser->duration;
    }
    if (av_cmp_q(base, samples) <= 0)
        stated = av_rescale_q(packet->duration, base, samples);
    if (parameters(c)->codec_id == AV_CODEC_ID_VORBIS && c->index == 0)
        return 0; // it is heard with the second
    const int64_t length = FFMAX(coded, stated);
    return length > 0 && length < INT32_MAX ? length : 0;
}

// How many samples of a packet's end its file leaves out.
static int64_t left_out(const AVPacket *packet)
{
    size_t size = 0;
    const uint8_t *skip = av_packet_get_side_data(packet, AV_PKT_DATA_SKIP_SAMPLES, &size);
    return skip && size >= SKIP_BYTES ? AV_RL32(skip + 4) : 0;
}

// The last packet: `left` of its `length` samples are heard, and `skipped` are decoded beyond.
static int cut(const rml_sound_copy *c, AVPacket *packet, int64_t length, int64_t left,
               int64_t skipped)
{
    packet->duration = FFMIN(length, left);
    if (is_pcm(c) && !av_sample_fmt_is_planar(c->source.decoder->sample_fmt) && length > left &&
        packet->size % length == 0) {
        av_shrink_packet(packet, (int)(packet->size / length * left));
        return 0;
    }
    if (skipped <= 0)
        return 0;
    uint8_t *skip = av_packet_new_side_data(packet, AV_PKT_DATA_SKIP_SAMPLES, SKIP_BYTES);
    if (!skip)
        return AVERROR(ENOMEM);
    memset(skip, 0, SKIP_BYTES);
    AV_WL32(skip + 4, (uint32_t)skipped);
    return 0;
}

rml_status rml_sound_copy_next(rml_sound_copy *copy, AVPacket *packet, bool *end, rml_error *err)
{
    rml_sound_copy *c = copy;
    *end = c->index >= c->count || c->next >= c->end;
    if (!*end)
        RML_TRY(rml_av_source_packet(&c->source, packet, end, err));
    if (*end)
        return RML_OK;
    const int64_t length = measure(c, packet), left = c->end - c->next;
    const int64_t skipped = left_out(packet) + c->beyond;
    av_packet_free_side_data(packet); // it says how other files begin and end
    packet->pts = packet->dts = c->next;
    packet->duration = length;
    packet->flags = AV_PKT_FLAG_KEY;
    packet->pos = -1;
    if (c->index == c->count - 1 && cut(c, packet, length, left, skipped) < 0)
        return rml_fail_nomem(err, SKIP_BYTES, "a packet");
    c->uneven = c->uneven || (c->index > 0 && c->length != c->longest);
    c->longest = FFMAX(c->longest, length);
    c->length = length;
    c->next += length;
    c->index++;
    return RML_OK;
}

rml_status rml_sound_copy_describe(const rml_sound_copy *copy, AVStream *stream, rml_error *err)
{
    int code = avcodec_parameters_copy(stream->codecpar, parameters(copy));
    if (code < 0)
        return rml_av_fail(err, copy->settings.path, "its sound cannot be copied", code);
    stream->codecpar->codec_tag = 0; // that of the other format
    stream->codecpar->initial_padding = (int)-copy->first;
    stream->codecpar->trailing_padding = 0;
    stream->time_base = (AVRational){1, copy->rate};
    return RML_OK;
}

void rml_sound_copy_close(rml_sound_copy *copy)
{
    close_source(copy);
}

// ---- whether it can be ------------------------------------------------------------------------

// What the decoder makes of the file.
typedef struct heard {
    int64_t samples, packets; // all that is wanted, and the packets that it is made of
    int64_t first_packets;    // that had to be decoded for the first samples,
    int first_samples;        // which are so many
    int rate, channels;
} heard;

static const char *refuse_frame(const heard *h, const rml_av_sound_in *in)
{
    if (in->silence > 0)
        return "it begins late or has holes, where silence is put";
    if (in->shift != 0.0 || in->ahead->nb_samples > 0)
        return "its clock jumps";
    if (in->frame->sample_rate != h->rate || rml_av_channels(in->frame) != h->channels)
        return "its rate or channels change on the way";
    return in->source.damaged > 0 ? "it is damaged" : "";
}

static rml_status listen_to(rml_av_sound_in *in, double seconds, heard *h,
                            char why[RML_SOUND_WHY_BYTES], rml_error *err)
{
    bool end = false;
    h->rate = in->frame->sample_rate;
    h->channels = rml_av_channels(in->frame);
    h->first_packets = in->source.packets;
    h->first_samples = in->frame->nb_samples;
    while (!end) {
        snprintf(why, RML_SOUND_WHY_BYTES, "%s", refuse_frame(h, in));
        if (*why)
            return RML_OK;
        h->samples += in->frame->nb_samples;
        h->packets = in->source.packets;
        if (seconds > 0.0 && (double)h->samples >= seconds * h->rate)
            return RML_OK;
        RML_TRY(rml_av_sound_in_next(in, &end, err));
    }
    if (in->source.damaged > 0)
        snprintf(why, RML_SOUND_WHY_BYTES, "it is damaged");
    return RML_OK;
}

static rml_status listen(const rml_sound_copy_settings *s, heard *h, char why[RML_SOUND_WHY_BYTES],
                         rml_error *err)
{
    rml_av_sound_in in;
    RML_TRY(rml_av_sound_in_open(&in, s->path, false, err));
    const enum AVCodecID id = in.source.stream->codecpar->codec_id;
    rml_status status = RML_OK;
    if (avformat_query_codec(s->muxer, id, FF_COMPLIANCE_NORMAL) == 1)
        status = listen_to(&in, s->seconds, h, why, err);
    else
        snprintf(why, RML_SOUND_WHY_BYTES, ".%s does not hold %s", s->extension,
                 avcodec_get_name(id));
    rml_av_sound_in_close(&in);
    return status;
}

// Where the first packet lies: what is heard first may begin within a packet.
static rml_status find_first(rml_sound_copy *c, const heard *h, rml_error *err)
{
    bool end = false;
    c->first = 0;
    c->end = INT64_MAX;
    c->count = h->first_packets;
    RML_TRY(begin(c, err));
    while (!end) {
        RML_TRY(rml_sound_copy_next(c, c->source.packet, &end, err));
        av_packet_unref(c->source.packet);
    }
    c->first = h->first_samples - c->next;
    c->count = h->packets;
    c->end = h->samples;
    const double limit = c->settings.seconds * c->rate;
    if (limit > 0.0 && limit < (double)c->end)
        c->end = llrint(limit);
    c->beyond = h->samples - c->end;
    return RML_OK;
}

static int write_nowhere(void *position, uint8_t *data, int size)
{
    (void)data;
    *(int64_t *)position += size;
    return size;
}

static int64_t seek_nowhere(void *position, int64_t offset, int whence)
{
    int64_t *at = position;
    if (whence != SEEK_SET && whence != SEEK_CUR)
        return AVERROR(ENOSYS);
    *at = whence == SEEK_SET ? offset : *at + offset;
    return *at;
}

static int write_packets(rml_sound_copy *c, AVFormatContext *format, rml_status *status,
                         rml_error *err)
{
    AVPacket *packet = c->source.packet;
    AVStream *stream = avformat_new_stream(format, NULL);
    bool end = false;
    if (!stream)
        return AVERROR(ENOMEM);
    *status = rml_sound_copy_describe(c, stream, err);
    int code = *status == RML_OK ? avformat_write_header(format, NULL) : 0;
    while (*status == RML_OK && code >= 0 && !end) {
        *status = rml_sound_copy_next(c, packet, &end, err);
        if (*status != RML_OK || end)
            break;
        av_packet_rescale_ts(packet, (AVRational){1, c->rate}, stream->time_base);
        packet->stream_index = stream->index;
        code = av_write_frame(format, packet);
        av_packet_unref(packet);
    }
    return *status == RML_OK && code >= 0 ? av_write_trailer(format) : code;
}

// Writes all to nowhere, to know before the work what the format thinks of it.
static rml_status try_writing(rml_sound_copy *c, char why[RML_SOUND_WHY_BYTES], rml_error *err)
{
    AVFormatContext *format = NULL;
    int64_t position = 0;
    rml_status status = begin(c, err);
    if (status != RML_OK)
        return status;
    int code = avformat_alloc_output_context2(&format, c->settings.muxer, NULL, NULL);
    uint8_t *buffer = code < 0 ? NULL : av_malloc(TRIAL_BUFFER);
    if (buffer)
        format->pb = avio_alloc_context(buffer, TRIAL_BUFFER, 1, &position, NULL, write_nowhere,
                                        seek_nowhere);
    if (buffer && format->pb) {
        format->avoid_negative_ts = 0;
        format->flags |= AVFMT_FLAG_BITEXACT;
        code = write_packets(c, format, &status, err);
        av_freep(&format->pb->buffer);
        avio_context_free(&format->pb);
    } else {
        av_free(buffer);
        code = AVERROR(ENOMEM);
    }
    avformat_free_context(format);
    if (code == AVERROR(ENOMEM))
        return rml_fail_nomem(err, TRIAL_BUFFER, "a format");
    if (code < 0) {
        char reason[AV_ERROR_MAX_STRING_SIZE] = "";
        av_strerror(code, reason, sizeof reason);
        snprintf(why, RML_SOUND_WHY_BYTES, "it does not go into .%s as it is (%s)",
                 c->settings.extension, reason);
    }
    return status;
}

// What is known after a trial.
static void refuse_packets(rml_sound_copy *c, const heard *h, char why[RML_SOUND_WHY_BYTES])
{
    const rml_sound_copy_settings *s = &c->settings;
    const bool numbered = s->numbered && !is_pcm(c);
    if (c->index != c->count || c->next < h->samples || c->next - c->length >= h->samples)
        snprintf(why, RML_SOUND_WHY_BYTES, "its packets do not say how long they last");
    else if (c->beyond > 0 && !is_pcm(c) &&
             c->source.decoder->codec->capabilities & AV_CODEC_CAP_FRAME_THREADS)
        // With several threads libavcodec cuts another frame than it is asked to.
        snprintf(why, RML_SOUND_WHY_BYTES, "it would end within a packet, which players of %s miss",
                 avcodec_get_name(parameters(c)->codec_id));
    else if (s->numbered && c->first < 0)
        snprintf(why, RML_SOUND_WHY_BYTES, "it begins within a packet, which .%s cannot say",
                 s->extension);
    else if (numbered && (c->uneven || parameters(c)->extradata_size > 0 ||
                          (double)c->longest > s->frame_seconds * c->rate))
        snprintf(why, RML_SOUND_WHY_BYTES, ".%s cannot say when its packets are heard",
                 s->extension);
    else if (numbered && 2 * (c->end - (c->next - c->length)) < c->length)
        c->count--; // it would be longer by more than it is shorter without
}

static rml_status open_all(rml_sound_copy *c, char why[RML_SOUND_WHY_BYTES], rml_error *err)
{
    heard h = {0};
    RML_TRY(listen(&c->settings, &h, why, err));
    if (*why)
        return RML_OK;
    c->rate = h.rate;
    RML_TRY(find_first(c, &h, err));
    if (parameters(c)->sample_rate != h.rate || c->first > 0 || c->first < -INT32_MAX) {
        snprintf(why, RML_SOUND_WHY_BYTES, "its file does not say how it is coded");
        return RML_OK;
    }
    RML_TRY(try_writing(c, why, err));
    if (!*why)
        refuse_packets(c, &h, why);
    return *why ? RML_OK : begin(c, err);
}

rml_status rml_sound_copy_open(rml_sound_copy *copy, const rml_sound_copy_settings *settings,
                               char why[RML_SOUND_WHY_BYTES], rml_error *err)
{
    *copy = (rml_sound_copy){.settings = *settings};
    *why = 0;
    rml_status status = open_all(copy, why, err);
    if (status != RML_OK || *why)
        rml_sound_copy_close(copy);
    return status;
}
