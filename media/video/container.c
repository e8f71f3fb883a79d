#include "media/video/encode.h"

#include "media/image/picture_series.h"

#include <string.h>
#include <strings.h>

static const char *const codec_names[] = {"h264", "hevc", "mjpeg",  "ffv1",
                                          "av1",  "vp9",  "prores", "png"};

enum { CODEC_COUNT = sizeof codec_names / sizeof *codec_names };

const char *rml_codec_name(rml_codec codec)
{
    return (unsigned)codec < CODEC_COUNT ? codec_names[codec] : "?";
}

bool rml_codec_parse(const char *name, rml_codec *codec)
{
    for (int i = 0; i < CODEC_COUNT; i++)
        if (strcmp(name, codec_names[i]) == 0) {
            *codec = (rml_codec)i;
            return true;
        }
    return false;
}

const char *rml_codec_names(void)
{
    return "h264, hevc, av1, vp9, prores, ffv1, mjpeg or png";
}

rml_encode_settings rml_encode_settings_default(void)
{
    return (rml_encode_settings){.codec = RML_CODEC_H264,
                                 .crf = RML_CRF_DEFAULT,
                                 .frame_rate = {25, 1},
                                 .pixel_aspect = {1, 1}};
}

// ---- containers -------------------------------------------------------------------------------

enum {
    H264 = 1 << RML_CODEC_H264,
    HEVC = 1 << RML_CODEC_HEVC,
    MJPEG = 1 << RML_CODEC_MJPEG,
    FFV1 = 1 << RML_CODEC_FFV1,
    AV1 = 1 << RML_CODEC_AV1,
    VP9 = 1 << RML_CODEC_VP9,
    PRORES = 1 << RML_CODEC_PRORES,
    PNG = 1 << RML_CODEC_PNG,
    ALL = PNG - 1, // it is the last
};

static const rml_container containers[] = {
    {"mp4", "mp4", H264 | HEVC | MJPEG | AV1 | VP9, RML_SOUND_AAC, RML_CODEC_H264, .turns = true},
    {"m4v", "mp4", H264 | HEVC | MJPEG, RML_SOUND_AAC, RML_CODEC_H264, .turns = true},
    {"mov", "mov", H264 | HEVC | MJPEG | PRORES, RML_SOUND_AAC, RML_CODEC_H264, .turns = true},
    {"mkv", "matroska", ALL, RML_SOUND_AAC, RML_CODEC_H264, .tags_first = true},
    {"webm", "webm", AV1 | VP9, RML_SOUND_OPUS, RML_CODEC_VP9, .tags_first = true},
    {"avi", "avi", H264 | MJPEG | FFV1, RML_SOUND_PCM16, RML_CODEC_H264, .constant_rate = true},
};

static const rml_container pictures = {
    .extension = "png", .codecs = PNG, .codec = RML_CODEC_PNG, .constant_rate = true};

static const rml_container *of_name(const char *path)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    const char *extension = dot && (!slash || dot > slash) ? dot + 1 : "";
    if (rml_names_series(path) && (!*extension || strcasecmp(extension, "png") == 0))
        return &pictures;
    for (size_t i = 0; i < sizeof containers / sizeof *containers; i++)
        if (strcasecmp(extension, containers[i].extension) == 0)
            return &containers[i];
    return NULL;
}

rml_codec rml_codec_default(const char *path)
{
    const rml_container *c = of_name(path);
    return c ? c->codec : RML_CODEC_H264;
}

const rml_container *rml_container_of(const char *path, rml_codec codec, rml_error *err)
{
    const rml_container *c = of_name(path);
    if (!c)
        rml_fail(err, RML_ERR_UNSUPPORTED,
                 "%s: the name must end in .mp4, .mov, .m4v, .mkv, .webm or .avi, or be that of a "
                 "folder, or a pattern of PNG pictures in it (shots/%%04d.png)",
                 path);
    else if (c != &pictures && codec == RML_CODEC_PNG)
        rml_fail(err, RML_ERR_UNSUPPORTED,
                 "%s: png is for a folder of pictures: give a name that ends in / or holds %%04d",
                 path);
    else if (c == &pictures && codec != RML_CODEC_PNG)
        rml_fail(err, RML_ERR_UNSUPPORTED, "%s: a folder of pictures holds png, not %s", path,
                 rml_codec_name(codec));
    else if (!(c->codecs & 1U << codec))
        rml_fail(err, RML_ERR_UNSUPPORTED, "%s: .%s cannot hold %s; name the file .mkv", path,
                 c->extension, rml_codec_name(codec));
    return c && c->codecs & 1U << codec ? c : NULL;
}
