#include "media/image/webp_frames.h"

#include "tensor/alloc.h"
#include "tensor/mapfile.h"
#include "tensor/status.h"

#ifdef RML_WITH_WEBP

#include <string.h>
#include <webp/demux.h>

struct rml_webp_frames {
    const rml_allocator *allocator;
    char *path;
    rml_mapfile file;
    WebPAnimDecoder *decoder;
    rml_webp_info info;
    int64_t at; // where the next picture begins
    int next;
};

bool rml_webp_is_animated(const char *path)
{
    enum { FLAGS_AT = 20, ANIMATION = 2 };
    rml_mapfile file;
    if (rml_mapfile_open(&file, path, NULL) != RML_OK)
        return false;
    const uint8_t *d = file.data;
    const bool animated = file.size > FLAGS_AT && memcmp(d, "RIFF", 4) == 0 &&
                          memcmp(d + 8, "WEBPVP8X", 8) == 0 && d[FLAGS_AT] & ANIMATION;
    rml_mapfile_close(&file);
    return animated;
}

// Sums what the pictures last, without decoding them.
static int64_t length_of(const WebPDemuxer *demuxer)
{
    WebPIterator frame;
    int64_t sum = 0;
    if (WebPDemuxGetFrame(demuxer, 1, &frame)) {
        do
            sum += frame.duration;
        while (WebPDemuxNextFrame(&frame));
        WebPDemuxReleaseIterator(&frame);
    }
    return sum;
}

static rml_status open_all(rml_webp_frames *f, const char *path, rml_error *err)
{
    WebPAnimDecoderOptions options;
    WebPAnimInfo info;
    f->path = rml_alloc_text(f->allocator, path);
    if (!f->path)
        return rml_fail_nomem(err, strlen(path), "a file name");
    RML_TRY(rml_mapfile_open(&f->file, path, err));
    if (!WebPAnimDecoderOptionsInit(&options))
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: libwebpdemux here is of another version",
                        path);
    options.color_mode = MODE_RGBA;
    f->decoder = WebPAnimDecoderNew(&(WebPData){f->file.data, f->file.size}, &options);
    if (!f->decoder || !WebPAnimDecoderGetInfo(f->decoder, &info))
        return rml_fail(err, RML_ERR_FORMAT, "%s: the animated WebP is damaged or too large", path);
    const WebPDemuxer *demuxer = WebPAnimDecoderGetDemuxer(f->decoder);
    f->info = (rml_webp_info){.width = (int)info.canvas_width,
                              .height = (int)info.canvas_height,
                              .count = (int)info.frame_count,
                              .length = length_of(demuxer),
                              .alpha = WebPDemuxGetI(demuxer, WEBP_FF_FORMAT_FLAGS) & ALPHA_FLAG};
    return rml_frame_check_size(f->info.width, f->info.height, path, err);
}

rml_status rml_webp_frames_open(rml_webp_frames **out, const char *path,
                                const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_webp_frames *f;
    RML_TRY(rml_make(allocator, &f, 1, sizeof *f, "a reader of WebP", err));
    f->allocator = allocator;
    const rml_status status = open_all(f, path, err);
    if (status != RML_OK)
        rml_webp_frames_close(&f);
    *out = f;
    return status;
}

const rml_webp_info *rml_webp_frames_info(const rml_webp_frames *frames)
{
    return &frames->info;
}

rml_status rml_webp_frames_next(rml_webp_frames *frames, const uint8_t **pixels, int64_t *from,
                                int64_t *to, bool *end, rml_error *err)
{
    rml_webp_frames *f = frames;
    uint8_t *canvas;
    int until;
    *end = !WebPAnimDecoderHasMoreFrames(f->decoder);
    if (*end)
        return RML_OK;
    f->next++;
    if (!WebPAnimDecoderGetNext(f->decoder, &canvas, &until))
        return rml_fail(err, RML_ERR_FORMAT, "%s: picture %d of %d is damaged", f->path, f->next,
                        f->info.count);
    *pixels = canvas;
    *from = f->at;
    *to = f->at = until;
    return RML_OK;
}

void rml_webp_frames_rewind(rml_webp_frames *frames)
{
    WebPAnimDecoderReset(frames->decoder);
    frames->at = 0;
    frames->next = 0;
}

void rml_webp_frames_close(rml_webp_frames **frames)
{
    rml_webp_frames *old = *frames;
    *frames = NULL;
    if (!old)
        return;
    if (old->decoder)
        WebPAnimDecoderDelete(old->decoder);
    rml_mapfile_close(&old->file);
    rml_free(old->allocator, old->path);
    rml_free(old->allocator, old);
}

#else

bool rml_webp_is_animated(const char *path)
{
    (void)path;
    return false;
}

rml_status rml_webp_frames_open(rml_webp_frames **out, const char *path,
                                const rml_allocator *allocator, rml_error *err)
{
    (void)allocator;
    *out = NULL;
    return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: this build reads no WebP", path);
}

const rml_webp_info *rml_webp_frames_info(const rml_webp_frames *frames)
{
    (void)frames;
    return NULL;
}

rml_status rml_webp_frames_next(rml_webp_frames *frames, const uint8_t **pixels, int64_t *from,
                                int64_t *to, bool *end, rml_error *err)
{
    (void)frames, (void)pixels, (void)from, (void)to;
    *end = true;
    return rml_fail(err, RML_ERR_UNSUPPORTED, "this build reads no WebP");
}

void rml_webp_frames_rewind(rml_webp_frames *frames)
{
    (void)frames;
}

void rml_webp_frames_close(rml_webp_frames **frames)
{
    *frames = NULL;
}

#endif
