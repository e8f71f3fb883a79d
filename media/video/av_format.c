#include "media/video/av_format.h"

#include "media/video/av_frame.h"
#include "tensor/status.h"

#include <libavutil/mastering_display_metadata.h>
#include <libavutil/pixdesc.h>

#include <stdio.h>
#include <string.h>

rml_colour rml_av_coded_colour(const rml_encode_settings *s, enum AVPixelFormat format)
{
    rml_colour colour = s->colour;
    if (s->codec == RML_CODEC_MJPEG)
        return (rml_colour){RML_COLOUR_UNSPECIFIED, RML_COLOUR_UNSPECIFIED, AVCOL_SPC_BT470BG,
                            true};
    if (rml_av_is_rgb(format)) {
        colour.matrix = AVCOL_SPC_RGB;
        colour.full_range = true;
    } else if (s->codec == RML_CODEC_PNG) { // gray
        colour.full_range = true;
    } else if (colour.matrix == 0 || colour.matrix == RML_COLOUR_UNSPECIFIED) {
        colour.matrix = rml_colour_guess_matrix(s->width, s->height);
        // Nothing at all is known: the primaries and the curve that go with the matrix.
        if (colour.primaries == 0)
            colour.primaries = colour.transfer = colour.matrix;
    }
    if (colour.primaries == 0)
        colour.primaries = RML_COLOUR_UNSPECIFIED;
    if (colour.transfer == 0)
        colour.transfer = RML_COLOUR_UNSPECIFIED;
    return colour;
}

// ---- light and turn ----------------------------------------------------------------------------

static const void *light_of(const rml_shot *like, enum AVFrameSideDataType type)
{
    const AVFrameSideData *data =
        like && like->coded ? av_frame_get_side_data(like->coded, type) : NULL;
    return data ? data->data : NULL;
}

// In units of 1 / `unit`, as H.265 counts.
static int units(AVRational value, int unit)
{
    return value.den ? (int)(av_q2d(value) * unit + 0.5) : 0;
}

void rml_av_light_options(const rml_shot *like, char *text, size_t size)
{
    const AVMasteringDisplayMetadata *m = light_of(like, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA);
    const AVContentLightMetadata *l = light_of(like, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL);
    enum { PLACE = 50000, LIGHT = 10000 };
    int length = 0;
    text[0] = '\0';
    if (m && m->has_primaries && m->has_luminance)
        length = snprintf(
            text, size, ":master-display=G(%d,%d)B(%d,%d)R(%d,%d)WP(%d,%d)L(%d,%d)",
            units(m->display_primaries[1][0], PLACE), units(m->display_primaries[1][1], PLACE),
            units(m->display_primaries[2][0], PLACE), units(m->display_primaries[2][1], PLACE),
            units(m->display_primaries[0][0], PLACE), units(m->display_primaries[0][1], PLACE),
            units(m->white_point[0], PLACE), units(m->white_point[1], PLACE),
            units(m->max_luminance, LIGHT), units(m->min_luminance, LIGHT));
    if (l && length >= 0 && (size_t)length < size)
        snprintf(text + length, size - (size_t)length, ":max-cll=%u,%u", l->MaxCLL, l->MaxFALL);
}

static int add_side_data(AVStream *stream, enum AVPacketSideDataType type, const void *data,
                         size_t size)
{
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
    AVCodecParameters *p = stream->codecpar;
    AVPacketSideData *made =
        av_packet_side_data_new(&p->coded_side_data, &p->nb_coded_side_data, type, size, 0);
    uint8_t *to = made ? made->data : NULL;
#else
    uint8_t *to = av_stream_new_side_data(stream, type, size);
#endif
    if (to)
        memcpy(to, data, size);
    return to ? 0 : AVERROR(ENOMEM);
}

rml_status rml_av_describe_stream(AVStream *stream, const rml_shot *like, rml_error *err)
{
    int code = 0;
    if (!like)
        return RML_OK;
    const void *display = light_of(like, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA);
    const void *light = light_of(like, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL);
    if (display)
        code = add_side_data(stream, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, display,
                             sizeof(AVMasteringDisplayMetadata));
    if (light && code >= 0)
        code = add_side_data(stream, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, light,
                             sizeof(AVContentLightMetadata));
    int32_t matrix[9];
    rml_orientation_to_matrix(like->planes.upright, matrix);
    if (like->planes.upright != RML_ORIENT_NORMAL && code >= 0)
        code = add_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, matrix, sizeof matrix);
    return code < 0 ? rml_fail_nomem(err, sizeof matrix, "what a stream says") : RML_OK;
}
