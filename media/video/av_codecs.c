#include "media/video/av_codecs.h"

#include "media/video/av_format.h"
#include "media/video/av_frame.h"
#include "tensor/status.h"

#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ENCODERS = 2,      // of a codec
    MJPEG_QUALITY = 2, // quantiser scale, 2 is the best in use
    FFV1_VERSION = 3,
    FFV1_SLICES = 4,
    FFV1_SLICES_OF_LARGE = 36, // none is too large then
    FFV1_SLICE_MIN_SIDE = 64,
    SVT_MIN_SIDE = 64,
    AOM_FASTEST = 8,
    LARGE_PIXELS = 1 << 24,
};

typedef struct codec_options {
    enum AVCodecID id;
    const char *encoders[ENCODERS]; // by rank
    int crf, crf_max;               // the default; 0: it takes none
    const char *presets;            // words between spaces; NULL: it takes none
    const char *preset;             // the default
    const char *told;               // the words as they are told
} codec_options;

#define X26_PRESETS " ultrafast superfast veryfast faster fast medium slow slower veryslow placebo "
#define X26_TOLD "ultrafast to veryslow"

static const codec_options table[] = {
    [RML_CODEC_H264] = {AV_CODEC_ID_H264, {"libx264"}, 18, 51, X26_PRESETS, "veryfast", X26_TOLD},
    [RML_CODEC_HEVC] = {AV_CODEC_ID_HEVC, {"libx265"}, 20, 51, X26_PRESETS, "veryfast", X26_TOLD},
    [RML_CODEC_MJPEG] = {AV_CODEC_ID_MJPEG, {"mjpeg"}, 0, 0, NULL, NULL, NULL},
    [RML_CODEC_FFV1] = {AV_CODEC_ID_FFV1, {"ffv1"}, 0, 0, NULL, NULL, NULL},
    [RML_CODEC_AV1] = {AV_CODEC_ID_AV1,
                       {"libsvtav1", "libaom-av1"}, // the former codes 4:2:0 only
                       24,
                       RML_CRF_MAX,
                       " 0 1 2 3 4 5 6 7 8 9 10 11 12 13 ",
                       "10",
                       "0 (best) to 13 (fastest)"},
    [RML_CODEC_VP9] = {AV_CODEC_ID_VP9,
                       {"libvpx-vp9"},
                       24,
                       RML_CRF_MAX,
                       " 0 1 2 3 4 5 ",
                       "4",
                       "0 (best) to 5 (fastest)"},
    [RML_CODEC_PRORES] = {AV_CODEC_ID_PRORES,
                          {"prores_ks"},
                          0,
                          0,
                          " proxy lt standard hq 4444 4444xq ",
                          "auto",
                          "proxy, lt, standard, hq, 4444 or 4444xq"},
    [RML_CODEC_PNG] = {AV_CODEC_ID_PNG, {"png"}, 0, 0, NULL, NULL, NULL},
};

enum { CODEC_COUNT = sizeof table / sizeof *table };

// The encoder of `rank` (0 is preferred) for the settings' codec and size; NULL: none here.
static const AVCodec *find_encoder(const rml_encode_settings *s, int rank)
{
    const codec_options *o = &table[s->codec];
    const char *name = o->encoders[rank];
    const bool odd = (s->width | s->height) & 1;
    if (!name)
        return NULL;
    if (strcmp(name, "libsvtav1") == 0 &&
        (odd || s->width < SVT_MIN_SIDE || s->height < SVT_MIN_SIDE))
        return NULL;
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    // Whatever else codes it is better than nothing, where it is not a choice between two.
    return codec || o->encoders[ENCODERS - 1] ? codec : avcodec_find_encoder(o->id);
}

// ---- the format to code in ---------------------------------------------------------------------

static bool takes_format(const AVCodec *codec, enum AVPixelFormat format)
{
    const enum AVPixelFormat *f = codec->pix_fmts;
    while (f && *f != AV_PIX_FMT_NONE && *f != format)
        f++;
    return !f || *f == format;
}

// The one in the codec's list that loses least of `format`.
static enum AVPixelFormat nearest(const AVCodec *codec, enum AVPixelFormat format)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    const int alpha = d && d->flags & AV_PIX_FMT_FLAG_ALPHA;
    return avcodec_find_best_pix_fmt_of_list(codec->pix_fmts, format, alpha, NULL);
}

// What pictures of RGB or BGR, which few players know of most codecs, are coded as.
static enum AVPixelFormat plain_format(const rml_encode_settings *s, bool alpha)
{
    switch (s->codec) {
    case RML_CODEC_MJPEG:
        return AV_PIX_FMT_YUVJ420P;
    case RML_CODEC_FFV1:
        return AV_PIX_FMT_BGR0;
    case RML_CODEC_PNG:
        return AV_PIX_FMT_RGB24;
    case RML_CODEC_VP9:
        return alpha ? AV_PIX_FMT_YUVA420P : AV_PIX_FMT_YUV420P;
    case RML_CODEC_PRORES:
        return alpha ? AV_PIX_FMT_YUVA444P10 : AV_PIX_FMT_YUV444P10;
    default:
        return AV_PIX_FMT_YUV420P;
    }
}

// What loses least of `given` of what PNG has.
static enum AVPixelFormat png_format(enum AVPixelFormat given)
{
    static const enum AVPixelFormat formats[2][2][2] = {
        {{AV_PIX_FMT_GRAY8, AV_PIX_FMT_GRAY16BE}, {AV_PIX_FMT_YA8, AV_PIX_FMT_YA16BE}},
        {{AV_PIX_FMT_RGB24, AV_PIX_FMT_RGB48BE}, {AV_PIX_FMT_RGBA, AV_PIX_FMT_RGBA64BE}},
    };
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(given);
    const bool alpha = d->flags & AV_PIX_FMT_FLAG_ALPHA;
    return formats[d->nb_components > 2][alpha][d->comp[0].depth > 8];
}

static enum AVPixelFormat wanted_format(const rml_encode_settings *s)
{
    if (s->pix_fmt)
        return av_get_pix_fmt(s->pix_fmt);
    if (!s->like || !s->like->coded)
        return plain_format(s, false);
    const enum AVPixelFormat given = ((const AVFrame *)s->like->coded)->format;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(given);
    if (s->codec == RML_CODEC_PNG)
        return png_format(given);
    if (rml_av_is_rgb(given) && s->codec != RML_CODEC_FFV1)
        return plain_format(s, d && d->flags & AV_PIX_FMT_FLAG_ALPHA);
    return given;
}

// Apple's names stand for 4:2:2, or for 4:4:4 with or without alpha.
static enum AVPixelFormat of_profile(const rml_encode_settings *s, enum AVPixelFormat format)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    if (s->codec != RML_CODEC_PRORES || !s->preset)
        return format;
    if (strncmp(s->preset, "4444", 4) != 0)
        return AV_PIX_FMT_YUV422P10;
    return d && d->flags & AV_PIX_FMT_FLAG_ALPHA ? AV_PIX_FMT_YUVA444P10 : AV_PIX_FMT_YUV444P10;
}

rml_status rml_av_choose_format(const AVCodec **codec, enum AVPixelFormat *format, const char *path,
                                const rml_encode_settings *s, rml_error *err)
{
    const enum AVPixelFormat wanted = wanted_format(s);
    *codec = NULL;
    // The first that codes what is wanted, else the first.
    for (int i = 0; i < ENCODERS && (!*codec || !takes_format(*codec, wanted)); i++) {
        const AVCodec *other = find_encoder(s, i);
        if (other && (!*codec || takes_format(other, wanted)))
            *codec = other;
    }
    if (!*codec)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "%s: libavcodec here has no %s encoder that can be used", path,
                        rml_codec_name(s->codec));
    *format = wanted != AV_PIX_FMT_NONE && takes_format(*codec, wanted) ? wanted : AV_PIX_FMT_NONE;
    if (!s->pix_fmt) {
        if (*format == AV_PIX_FMT_NONE)
            *format = nearest(*codec, wanted);
        *format = of_profile(s, *format);
        return RML_OK;
    }
    if (*format == AV_PIX_FMT_NONE)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: %s does not code in pixel format %s", path,
                        (*codec)->name, s->pix_fmt);
    if (of_profile(s, *format) != *format)
        return rml_fail(err, RML_ERR_ARG,
                        "%s: prores of preset %s does not code in pixel format %s", path, s->preset,
                        s->pix_fmt);
    return RML_OK;
}

// ---- options -----------------------------------------------------------------------------------

static bool is_word_of(const char *word, const char *list)
{
    char spaced[32];
    const int length = snprintf(spaced, sizeof spaced, " %s ", word);
    return length > 2 && (size_t)length < sizeof spaced && !strchr(word, ' ') &&
           strstr(list, spaced);
}

rml_status rml_av_check_options(const char *path, const rml_encode_settings *s, rml_error *err)
{
    if ((unsigned)s->codec >= CODEC_COUNT)
        return rml_fail(err, RML_ERR_ARG, "%s: codec number %d is not known", path, (int)s->codec);
    const codec_options *o = &table[s->codec];
    const char *name = rml_codec_name(s->codec);
    if (s->crf != RML_CRF_DEFAULT && !o->crf_max)
        return rml_fail(err, RML_ERR_ARG, "%s: %s takes no crf; h264, hevc, av1 and vp9 do", path,
                        name);
    if (s->crf != RML_CRF_DEFAULT && (s->crf < 0 || s->crf > o->crf_max))
        return rml_fail(err, RML_ERR_ARG, "%s: crf %d is outside 0..%d of %s", path, s->crf,
                        o->crf_max, name);
    if (s->preset && !o->presets)
        return rml_fail(err, RML_ERR_ARG,
                        "%s: %s takes no preset; h264, hevc, av1, vp9 and prores do", path, name);
    if (s->preset && !is_word_of(s->preset, o->presets))
        return rml_fail(err, RML_ERR_ARG, "%s: a preset of %s is %s, not '%s'", path, name, o->told,
                        s->preset);
    return RML_OK;
}

bool rml_av_is_large(const rml_encode_settings *s)
{
    return (int64_t)s->width * s->height > LARGE_PIXELS;
}

static void set_h264(AVCodecContext *e, const rml_encode_settings *s)
{
    if (!rml_av_is_large(s))
        return;
    e->max_b_frames = 0;
    e->refs = 1;
    (void)av_opt_set(e->priv_data, "x264-params", "rc-lookahead=1:sync-lookahead=0:weightp=0", 0);
}

static void set_hevc(AVCodecContext *e, const rml_encode_settings *s, int threads)
{
    char text[512], light[256];
    rml_av_light_options(s->like, light, sizeof light);
    // x265 has a log of its own, and threads of its own.
    snprintf(text, sizeof text, "log-level=none:pools=%d%s%s", threads,
             rml_av_is_large(s) ? ":bframes=0:ref=1:rc-lookahead=0:cutree=0:frame-threads=1" : "",
             light);
    (void)av_opt_set(e->priv_data, "x265-params", text, 0);
}

static void set_av1(AVCodecContext *e, const char *preset, int threads)
{
    if (strcmp(e->codec->name, "libsvtav1") == 0) {
        char text[32];
        snprintf(text, sizeof text, "lp=%d", threads);
        (void)av_opt_set(e->priv_data, "preset", preset, 0);
        (void)av_opt_set(e->priv_data, "svtav1-params", text, 0);
        return;
    }
    const int speed = atoi(preset);
    (void)av_opt_set_int(e->priv_data, "cpu-used", speed < AOM_FASTEST ? speed : AOM_FASTEST, 0);
}

static void set_vp9(AVCodecContext *e, const char *preset)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(e->pix_fmt);
    (void)av_opt_set(e->priv_data, "deadline", "good", 0);
    (void)av_opt_set(e->priv_data, "cpu-used", preset, 0);
    // Frames that are not shown come between those of alpha, which then belong to others.
    if (d && d->flags & AV_PIX_FMT_FLAG_ALPHA)
        (void)av_opt_set_int(e->priv_data, "auto-alt-ref", 0, 0);
}

void rml_av_set_options(AVCodecContext *encoder, const rml_encode_settings *s, int threads)
{
    AVCodecContext *e = encoder;
    const codec_options *o = &table[s->codec];
    const char *preset = s->preset ? s->preset : o->preset;
    // An option that another encoder of the same format does not have is not an error.
    if (o->crf_max)
        (void)av_opt_set_int(e->priv_data, "crf", s->crf < 0 ? o->crf : s->crf, 0);
    switch (s->codec) {
    case RML_CODEC_H264:
        (void)av_opt_set(e->priv_data, "preset", preset, 0);
        set_h264(e, s);
        break;
    case RML_CODEC_HEVC:
        (void)av_opt_set(e->priv_data, "preset", preset, 0);
        set_hevc(e, s, threads);
        break;
    case RML_CODEC_AV1:
        set_av1(e, preset, threads);
        break;
    case RML_CODEC_VP9:
        set_vp9(e, preset);
        break;
    case RML_CODEC_PRORES:
        (void)av_opt_set(e->priv_data, "profile", preset, 0);
        break;
    case RML_CODEC_PNG:
        break;
    case RML_CODEC_MJPEG:
        e->flags |= AV_CODEC_FLAG_QSCALE;
        e->global_quality = FF_QP2LAMBDA * MJPEG_QUALITY;
        break;
    case RML_CODEC_FFV1:
        e->level = FFV1_VERSION;
        e->gop_size = 1;
        if (s->width >= FFV1_SLICE_MIN_SIDE && s->height >= FFV1_SLICE_MIN_SIDE)
            e->slices = rml_av_is_large(s) ? FFV1_SLICES_OF_LARGE : FFV1_SLICES;
        break;
    }
}
