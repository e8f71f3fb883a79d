#define _POSIX_C_SOURCE 200809L
#include "media/video/encode.h"

#include "media/video/av_format.h"
#include "media/video/av_frame.h"
#include "media/video/av_planes.h"
#include "media/video/av_track.h"
#include "media/video/av_video_out.h"
#include "media/video/picture_out.h"
#include "media/files/files.h"
#include "media/files/xmp.h"
#include "tensor/alloc.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct rml_encoder {
    const rml_allocator *allocator;
    char *path, *temporary;
    const rml_container *container;
    rml_mark mark;
    rml_seal seal;
    rml_picture_out pictures; // instead of a file
    AVFormatContext *format;
    AVStream *video_stream;
    rml_av_video_out video;
    rml_av_track sound;
    bool file_exists;
    AVPacket *video_packet;
    int64_t frames;
};

static void destroy(rml_encoder *e)
{
    rml_av_video_out_close(&e->video);
    rml_av_track_close(&e->sound);
    if (e->format && e->format->pb)
        avio_closep(&e->format->pb);
    avformat_free_context(e->format);
    av_packet_free(&e->video_packet);
    if (e->file_exists)
        remove(e->temporary);
    rml_picture_out_release(&e->pictures);
    rml_free(e->allocator, e->path);
    rml_free(e->allocator, e->temporary);
    rml_free(e->allocator, e);
}

// ---- opening -----------------------------------------------------------------------------------

static rml_status add_video(rml_encoder *e, const rml_encode_settings *settings, rml_error *err)
{
    bool global_header = e->format->oformat->flags & AVFMT_GLOBALHEADER;
    RML_TRY(rml_av_video_out_open(&e->video, e->path, settings, global_header,
                                  e->container->constant_rate, e->allocator, err));
    const AVCodecContext *codec = e->video.encoder;
    e->video_stream = avformat_new_stream(e->format, NULL);
    if (!e->video_stream)
        return rml_fail_nomem(err, sizeof *e->video_stream, "a stream");
    const int code = avcodec_parameters_from_context(e->video_stream->codecpar, codec);
    if (code < 0)
        return rml_av_fail(err, e->path, "cannot be begun", code);
    e->video_stream->time_base = codec->time_base;
    e->video_stream->avg_frame_rate = codec->framerate;
    e->video_stream->sample_aspect_ratio = codec->sample_aspect_ratio;
    // The tag by which the players of one large company know HEVC.
    if (settings->codec == RML_CODEC_HEVC && !e->container->tags_first)
        e->video_stream->codecpar->codec_tag = MKTAG('h', 'v', 'c', '1');
    return rml_av_describe_stream(e->video_stream, settings->like, err);
}

// All that can be done without creating a file.
static rml_status plan(rml_encoder *e, const char *path, const rml_encode_settings *settings,
                       bool probing, rml_error *err)
{
    e->mark = settings->mark;
    e->seal = settings->seal;
    e->path = rml_alloc_text(e->allocator, path);
    if (!e->path)
        return rml_fail_nomem(err, strlen(path) + 1, "a file name");
    e->container = rml_container_of(path, settings->codec, err);
    if (!e->container)
        return RML_ERR_UNSUPPORTED;
    if (!e->container->muxer) {
        RML_TRY(rml_picture_out_plan(&e->pictures, e->path, e->allocator, err));
        return rml_av_video_out_open(&e->video, e->path, settings, false, true, e->allocator, err);
    }
    RML_TRY(rml_check_writable(path, e->allocator, err));
    int code = avformat_alloc_output_context2(&e->format, NULL, e->container->muxer, NULL);
    if (code < 0)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: libavformat here cannot write .%s", path,
                        e->container->extension);
    RML_TRY(add_video(e, settings, err));
    return settings->audio_path ? rml_av_track_open(&e->sound, e->format, e->container, settings,
                                                    probing, e->allocator, err)
                                : RML_OK;
}

// Matroska has its tags before the pictures.
static bool marks_first(const rml_encoder *e)
{
    return e->mark.make && e->container->tags_first;
}

static rml_status mark_first(rml_encoder *e, rml_error *err)
{
    const char *packet;
    RML_TRY(e->mark.make(e->mark.user, &packet, err));
    return av_dict_set(&e->format->metadata, RML_XMP_TAG, packet, 0) < 0
               ? rml_fail_nomem(err, strlen(packet), "what a file says of itself")
               : RML_OK;
}

static rml_status mark_last(rml_encoder *e, rml_error *err)
{
    const char *packet;
    RML_TRY(e->mark.make(e->mark.user, &packet, err));
    const bool avi = strcmp(e->container->muxer, "avi") == 0;
    return rml_xmp_append(e->temporary, avi ? RML_VIDEO_AVI : RML_VIDEO_MP4, packet, err);
}

static rml_status create_file(rml_encoder *e, rml_error *err)
{
    if (!e->container->muxer) {
        e->video_packet = av_packet_alloc();
        return e->video_packet ? rml_picture_out_create(&e->pictures, err)
                               : rml_fail_nomem(err, sizeof *e->video_packet, "a packet");
    }
    if (marks_first(e))
        RML_TRY(mark_first(e, err));
    RML_TRY(rml_temporary_name(&e->temporary, e->path, e->allocator, err));
    e->video_packet = av_packet_alloc();
    e->format->url = rml_av_url(e->temporary); // the format frees it
    if (!e->video_packet || !e->format->url)
        return rml_fail_nomem(err, sizeof *e->video_packet, "a packet");
    int code = avio_open(&e->format->pb, e->format->url, AVIO_FLAG_WRITE);
    if (code < 0)
        return rml_av_fail(err, e->path, "cannot be created", code);
    e->file_exists = true;
    // Sound begins before zero by the delay of its encoder, which every format here can express.
    // Without this Matroska would move the pictures instead.
    e->format->avoid_negative_ts = 0;
    // Matroska would draw its identifiers by chance.
    e->format->flags |= AVFMT_FLAG_BITEXACT;
    // MP4: the index goes to the front at the end, so that playing can start before all is loaded.
    AVDictionary *options = NULL;
    code = av_dict_set(&options, "movflags", "+faststart", 0);
    if (code >= 0)
        code = avformat_write_header(e->format, &options);
    av_dict_free(&options);
    return code < 0 ? rml_av_fail(err, e->path, "cannot be begun", code) : RML_OK;
}

static rml_status make(rml_encoder **out, const char *path, const rml_encode_settings *settings,
                       bool probing, const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_encoder *encoder;
    RML_TRY(rml_make(allocator, &encoder, 1, sizeof *encoder, "a video writer", err));
    encoder->allocator = allocator;
    rml_status status = plan(encoder, path, settings, probing, err);
    if (status == RML_OK)
        *out = encoder;
    else
        destroy(encoder);
    return status;
}

rml_status rml_encoder_probe(const char *path, const rml_encode_settings *settings,
                             const rml_allocator *allocator, rml_error *err)
{
    rml_encoder *encoder;
    rml_status status = make(&encoder, path, settings, true, allocator, err);
    rml_encoder_abort(&encoder);
    return status;
}

rml_status rml_encoder_open(rml_encoder **out, const char *path,
                            const rml_encode_settings *settings, const rml_allocator *allocator,
                            rml_error *err)
{
    RML_TRY(make(out, path, settings, false, allocator, err));
    rml_status status = create_file(*out, err);
    if (status != RML_OK)
        rml_encoder_abort(out);
    return status;
}

void rml_encoder_abort(rml_encoder **encoder)
{
    rml_encoder *old = *encoder;
    *encoder = NULL;
    if (old)
        destroy(old);
}

// ---- writing -----------------------------------------------------------------------------------

// Writes `packet` at once. Packets are put in order here rather than by libavformat, which would
// hold back seconds of lossless pictures while it waits for the other stream.
static rml_status write_packet(rml_encoder *e, AVPacket *packet, const AVStream *stream,
                               rml_error *err)
{
    packet->stream_index = stream->index;
    int code = av_write_frame(e->format, packet);
    av_packet_unref(packet);
    if (code >= 0 && e->format->pb->error < 0)
        code = e->format->pb->error;
    return code < 0 ? rml_av_fail(err, e->path, "cannot be written", code) : RML_OK;
}

// Writes the sound that comes before `time` (in units of `base`), or all of it.
static rml_status write_sound(rml_encoder *e, int64_t time, AVRational base, rml_error *err)
{
    for (;;) {
        AVPacket *packet;
        RML_TRY(rml_av_track_next(&e->sound, time, base, &packet, err));
        if (!packet)
            return RML_OK;
        RML_TRY(write_packet(e, packet, e->sound.stream, err));
    }
}

static rml_status write_picture(rml_encoder *e, rml_error *err)
{
    AVPacket *packet = e->video_packet;
    if (!e->container->muxer) {
        const rml_status status =
            rml_picture_out_write(&e->pictures, packet->data, (size_t)packet->size, err);
        av_packet_unref(packet);
        return status;
    }
    const AVRational base = e->video.encoder->time_base;
    RML_TRY(write_sound(e, packet->dts, base, err));
    av_packet_rescale_ts(packet, base, e->video_stream->time_base);
    return write_packet(e, packet, e->video_stream, err);
}

static rml_status write_video(rml_encoder *e, rml_error *err)
{
    for (;;) {
        bool none;
        RML_TRY(rml_av_video_out_next(&e->video, e->video_packet, &none, err));
        if (none)
            return RML_OK;
        RML_TRY(write_picture(e, err));
    }
}

rml_status rml_encoder_write(rml_encoder *encoder, const rml_frame *frame, rml_error *err)
{
    rml_encoder *e = encoder;
    RML_TRY(rml_av_video_out_send(&e->video, frame, err));
    e->frames++;
    return write_video(e, err);
}

rml_status rml_encoder_write_shot(rml_encoder *encoder, const rml_shot *shot, rml_error *err)
{
    rml_encoder *e = encoder;
    RML_TRY(rml_av_video_out_send_shot(&e->video, shot, err));
    e->frames++;
    return write_video(e, err);
}

rml_status rml_encoder_convert(rml_encoder *encoder, const rml_frame *frame, rml_shot *shot,
                               rml_error *err)
{
    rml_av_coded *c = &encoder->video.coded;
    RML_TRY(rml_av_coded_fill(c, frame, err));
    AVFrame *coded = av_frame_clone(c->frame);
    if (!coded)
        return rml_fail_nomem(err, sizeof *coded, "a picture");
    rml_shot_release(shot);
    *shot = (rml_shot){.planes = rml_av_planes(coded, RML_ORIENT_NORMAL),
                       .pts = frame->pts,
                       .time_base = frame->time_base,
                       .coded = coded};
    shot->planes.width = frame->width; // one less than coded where that is odd
    shot->planes.height = frame->height;
    return RML_OK;
}

// What is signed takes the place of what is not.
static rml_status put_seal(rml_encoder *e, rml_error *err)
{
    char *sealed;
    RML_TRY(rml_temporary_name(&sealed, e->path, e->allocator, err));
    const rml_status status = e->seal.sign(e->seal.user, e->temporary, sealed, err);
    if (status == RML_OK) {
        remove(e->temporary);
        rml_free(e->allocator, e->temporary);
        e->temporary = sealed;
    } else {
        remove(sealed);
        rml_free(e->allocator, sealed);
    }
    return status;
}

static void summarise(const rml_encoder *e, rml_encode_summary *summary)
{
    *summary = (rml_encode_summary){.frames = e->frames, .lost_alpha = e->video.lost_alpha};
    summary->video_seconds = rml_av_video_out_seconds(&e->video);
    rml_av_track_summarise(&e->sound, summary);
    struct stat info;
    if (!e->container->muxer)
        summary->bytes = e->pictures.bytes;
    else if (stat(e->temporary, &info) == 0)
        summary->bytes = (int64_t)info.st_size;
}

static rml_status finish(rml_encoder *e, rml_encode_summary *summary, rml_error *err)
{
    if (e->frames == 0)
        return rml_fail(err, RML_ERR_ARG, "%s: no frame was written", e->path);
    RML_TRY(rml_av_video_out_flush(&e->video, err));
    RML_TRY(write_video(e, err));
    if (!e->container->muxer) {
        if (summary)
            summarise(e, summary);
        return rml_picture_out_finish(&e->pictures, err);
    }
    RML_TRY(write_sound(e, AV_NOPTS_VALUE, (AVRational){1, 1}, err));
    int code = av_write_trailer(e->format);
    if (code >= 0 && e->format->pb->error < 0)
        code = e->format->pb->error;
    int closed = avio_closep(&e->format->pb);
    if (code >= 0)
        code = closed;
    if (code < 0)
        return rml_av_fail(err, e->path, "cannot be written", code);
    if (e->mark.make && !marks_first(e))
        RML_TRY(mark_last(e, err));
    if (e->seal.sign)
        RML_TRY(put_seal(e, err));
    if (summary)
        summarise(e, summary);
    e->file_exists = false; // from here on rml_replace_file looks after it
    return rml_replace_file(e->temporary, e->path, e->allocator, err);
}

rml_status rml_encoder_finish(rml_encoder **encoder, rml_encode_summary *summary, rml_error *err)
{
    rml_status status = finish(*encoder, summary, err);
    rml_encoder_abort(encoder);
    return status;
}
