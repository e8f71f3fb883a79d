#include "media/video/encode.h"

#include <string.h>
#include <strings.h>

static const char *const codec_names[] = {"h264", "hevc", "mjpeg", "ffv1"};

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
};

static const rml_container containers[] = {
    {"mp4", "mp4", H264 | HEVC | MJPEG, false, true},
    {"m4v", "mp4", H264 | HEVC | MJPEG, false, true},
    {"mov", "mov", H264 | HEVC | MJPEG, false, true},
    {"mkv", "matroska", H264 | HEVC | MJPEG | FFV1, false, false},
    {"avi", "avi", H264 | MJPEG | FFV1, true, false},
};

const rml_container *rml_container_of(const char *path, rml_codec codec, rml_error *err)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    const char *extension = dot && (!slash || dot > slash) ? dot + 1 : "";
    for (size_t i = 0; i < sizeof containers / sizeof *containers; i++) {
        const rml_container *c = &containers[i];
        if (strcasecmp(extension, c->extension) != 0)
            continue;
        if (c->codecs & 1 << codec)
            return c;
        rml_fail(err, RML_ERR_UNSUPPORTED, "%s: .%s cannot hold %s; name the file .mkv", path,
                 c->extension, rml_codec_name(codec));
        return NULL;
    }
    rml_fail(err, RML_ERR_UNSUPPORTED, "%s: the name must end in .mp4, .mov, .m4v, .mkv or .avi",
             path);
    return NULL;
}
