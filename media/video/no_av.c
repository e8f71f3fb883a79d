// What a build without the libav libraries says where they would be needed.
#include "media/audio/audio_in.h"
#include "media/video/encode.h"
#include "media/video/libav.h"
#include "media/video/video_in.h"

#ifndef RML_WITH_LIBAV

static rml_status unsupported(const char *path, const char *what, rml_error *err)
{
    return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: this build cannot %s (RML_LIBAV is off)", path,
                    what);
}

void rml_libav_quiet(void) {}

const char *rml_libav_version(void)
{
    return NULL;
}

rml_status rml_video_in_open(rml_video_in **out, const char *path,
                             const rml_video_in_settings *settings, const rml_allocator *allocator,
                             rml_error *err)
{
    (void)settings;
    (void)allocator;
    *out = NULL;
    return unsupported(path, "read video", err);
}

rml_status rml_audio_in_open(rml_audio_in **out, const char *path, const rml_allocator *allocator,
                             rml_error *err)
{
    (void)allocator;
    *out = NULL;
    return unsupported(path, "read sound", err);
}

rml_status rml_encoder_probe(const char *path, const rml_encode_settings *settings,
                             const rml_allocator *allocator, rml_error *err)
{
    (void)settings;
    (void)allocator;
    return unsupported(path, "write video", err);
}

rml_status rml_encoder_open(rml_encoder **out, const char *path,
                            const rml_encode_settings *settings, const rml_allocator *allocator,
                            rml_error *err)
{
    (void)settings;
    (void)allocator;
    *out = NULL;
    return unsupported(path, "write video", err);
}

rml_video_in_settings rml_video_in_settings_default(void)
{
    return (rml_video_in_settings){0};
}

// Nothing below can be reached: there is no reader or writer to call it with.

const rml_video_info *rml_video_in_info(const rml_video_in *in)
{
    (void)in;
    return NULL;
}

rml_status rml_video_in_read(rml_video_in *in, rml_frame *frame, bool *end, rml_error *err)
{
    (void)in;
    (void)frame;
    *end = true;
    return unsupported("video", "read video", err);
}

rml_status rml_video_in_peek(rml_video_in *in, bool *end, rml_error *err)
{
    (void)in;
    *end = true;
    return unsupported("video", "read video", err);
}

rml_status rml_video_in_seek(rml_video_in *in, int64_t index, rml_error *err)
{
    (void)in;
    (void)index;
    return unsupported("video", "read video", err);
}

int64_t rml_video_in_pts(const rml_video_in *in, int64_t index)
{
    (void)in;
    return index;
}

int64_t rml_video_in_decoded(const rml_video_in *in)
{
    (void)in;
    return 0;
}

int64_t rml_video_in_damaged_packets(const rml_video_in *in)
{
    (void)in;
    return 0;
}

void rml_video_in_close(rml_video_in **in)
{
    *in = NULL;
}

const rml_audio_info *rml_audio_in_info(const rml_audio_in *in)
{
    (void)in;
    return NULL;
}

rml_status rml_audio_in_read(rml_audio_in *in, float *mono, size_t capacity, size_t *count,
                             rml_error *err)
{
    (void)in;
    (void)mono;
    (void)capacity;
    *count = 0;
    return unsupported("audio", "read sound", err);
}

rml_status rml_audio_in_rewind(rml_audio_in *in, rml_error *err)
{
    (void)in;
    return unsupported("audio", "read sound", err);
}

int64_t rml_audio_in_damaged_packets(const rml_audio_in *in)
{
    (void)in;
    return 0;
}

void rml_audio_in_close(rml_audio_in **in)
{
    *in = NULL;
}

rml_status rml_encoder_write(rml_encoder *encoder, const rml_frame *frame, rml_error *err)
{
    (void)encoder;
    (void)frame;
    return unsupported("video", "write video", err);
}

rml_status rml_encoder_finish(rml_encoder **encoder, rml_encode_summary *summary, rml_error *err)
{
    (void)summary;
    *encoder = NULL;
    return unsupported("video", "write video", err);
}

void rml_encoder_abort(rml_encoder **encoder)
{
    *encoder = NULL;
}

#endif
