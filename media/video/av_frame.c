#include "media/video/av_frame.h"

#include <libavcodec/avcodec.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

#include <string.h>

int rml_colour_guess_matrix(int width, int height)
{
    enum { HD_WIDTH = 1280, HD_HEIGHT = 720 };
    // A portrait video has the columns of a landscape one as its lines.
    bool hd =
        width >= HD_WIDTH || height >= HD_WIDTH || (width >= HD_HEIGHT && height >= HD_HEIGHT);
    return hd ? RML_COLOUR_BT709 : RML_COLOUR_BT601;
}

enum AVPixelFormat rml_av_ranged_format(enum AVPixelFormat format)
{
    switch (format) {
    case AV_PIX_FMT_YUVJ411P:
        return AV_PIX_FMT_YUV411P;
    case AV_PIX_FMT_YUVJ420P:
        return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
        return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ440P:
        return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ444P:
        return AV_PIX_FMT_YUV444P;
    default:
        return format;
    }
}

bool rml_av_is_rgb(enum AVPixelFormat format)
{
    const AVPixFmtDescriptor *description = av_pix_fmt_desc_get(format);
    return description && (description->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL));
}

rml_colour rml_colour_of_frame(const AVFrame *frame)
{
    enum AVPixelFormat format = frame->format;
    rml_colour colour = {frame->color_primaries, frame->color_trc, frame->colorspace,
                         frame->color_range == AVCOL_RANGE_JPEG ||
                             rml_av_ranged_format(format) != format};
    // RGB has no matrix and no range; what is said then is what a coded copy of it should use.
    if (rml_av_is_rgb(format))
        colour.full_range = false;
    if (rml_av_is_rgb(format) || colour.matrix == AVCOL_SPC_UNSPECIFIED ||
        colour.matrix == AVCOL_SPC_RESERVED || colour.matrix == AVCOL_SPC_RGB)
        colour.matrix = rml_colour_guess_matrix(frame->width, frame->height);
    return colour;
}

bool rml_av_same_colour(const AVFrame *a, const AVFrame *b)
{
    const rml_colour x = rml_colour_of_frame(a), y = rml_colour_of_frame(b);
    return (rml_av_is_rgb(a->format) && rml_av_is_rgb(b->format)) ||
           (x.matrix == y.matrix && x.full_range == y.full_range);
}

struct SwsContext *rml_colour_converter(int src_width, int src_height,
                                        enum AVPixelFormat src_format, int dst_width,
                                        int dst_height, enum AVPixelFormat dst_format,
                                        const rml_colour *colour, bool to_bgr)
{
    // Without the flags chroma is halved on the way and sums are cut instead of rounded.
    int flags = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP;
    struct SwsContext *sws =
        sws_getContext(src_width, src_height, rml_av_ranged_format(src_format), dst_width,
                       dst_height, rml_av_ranged_format(dst_format), flags, NULL, NULL, NULL);
    if (!sws)
        return NULL;
    const int *coded = sws_getCoefficients(colour->matrix); // numbered as in H.273 too
    const int *plain = sws_getCoefficients(SWS_CS_DEFAULT);
    enum { ONE = 1 << 16 };
    // Fails for conversions in which no matrix takes part (RGB to RGB), where nothing needs
    // setting.
    if (to_bgr)
        (void)sws_setColorspaceDetails(sws, coded, colour->full_range, plain, 1, 0, ONE, ONE);
    else
        (void)sws_setColorspaceDetails(sws, plain, 1, coded, colour->full_range, 0, ONE, ONE);
    return sws;
}

struct SwsContext *rml_av_converter(const AVFrame *from, const AVFrame *to, int width, int height)
{
    const bool smaller = width < from->width || height < from->height;
    const int flags = (smaller ? SWS_AREA : SWS_BICUBIC) | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT |
                      SWS_FULL_CHR_H_INP;
    struct SwsContext *sws =
        sws_getContext(from->width, from->height, rml_av_ranged_format(from->format), width, height,
                       rml_av_ranged_format(to->format), flags, NULL, NULL, NULL);
    if (!sws)
        return NULL;
    const rml_colour a = rml_colour_of_frame(from), b = rml_colour_of_frame(to);
    enum { ONE = 1 << 16 };
    (void)sws_setColorspaceDetails(
        sws, sws_getCoefficients(a.matrix), rml_av_is_rgb(from->format) || a.full_range,
        sws_getCoefficients(b.matrix), rml_av_is_rgb(to->format) || b.full_range, 0, ONE, ONE);
    return sws;
}

rml_orientation rml_av_orientation(const AVStream *stream)
{
    const int32_t *matrix = NULL;
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
    const AVPacketSideData *data =
        av_packet_side_data_get(stream->codecpar->coded_side_data,
                                stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    if (data && data->size >= 9 * sizeof(int32_t))
        matrix = (const int32_t *)data->data;
#else
    size_t size = 0;
    const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    if (data && size >= 9 * sizeof(int32_t))
        matrix = (const int32_t *)data;
#endif
    return matrix ? rml_orientation_from_matrix(matrix) : RML_ORIENT_NORMAL;
}

// Four lanes, so that products do not wait for each other.
static void hash_row(uint64_t lane[4], const uint8_t *row, int bytes)
{
    const uint64_t prime = UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < bytes; i += (int)sizeof(uint64_t[4])) {
        uint64_t word[4] = {0};
        memcpy(word, row + i, (size_t)FFMIN(bytes - i, (int)sizeof word));
        for (int k = 0; k < 4; k++)
            lane[k] = (lane[k] ^ word[k]) * prime;
    }
}

uint32_t rml_av_hash(const AVFrame *f)
{
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(f->format);
    uint64_t lane[4] = {(uint64_t)f->width, (uint64_t)f->height, (uint64_t)f->format, 0};
    for (int plane = 0; format && plane < 4 && f->data[plane]; plane++) {
        const bool chroma = plane == 1 || plane == 2;
        const int height = AV_CEIL_RSHIFT(f->height, chroma ? format->log2_chroma_h : 0);
        const int bytes = av_image_get_linesize(f->format, f->width, plane);
        for (int y = 0; y < height && bytes > 0; y++)
            hash_row(lane, f->data[plane] + (ptrdiff_t)y * f->linesize[plane], bytes);
    }
    if (format && format->flags & AV_PIX_FMT_FLAG_PAL)
        hash_row(lane, f->data[1], AVPALETTE_SIZE);
    hash_row(lane, (const uint8_t *)&lane[1], (int)sizeof(uint64_t[3]));
    return (uint32_t)((lane[0] ^ lane[1] ^ lane[2]) >> 32);
}

bool rml_av_is_key(const AVFrame *frame)
{
#ifdef AV_FRAME_FLAG_KEY
    return frame->flags & AV_FRAME_FLAG_KEY;
#else
    return frame->key_frame;
#endif
}

rml_fields rml_av_fields(const AVFrame *frame, const AVCodecParameters *stream)
{
#ifdef AV_FRAME_FLAG_INTERLACED
    const bool woven = frame->flags & AV_FRAME_FLAG_INTERLACED;
    const bool top = frame->flags & AV_FRAME_FLAG_TOP_FIELD_FIRST;
#else
    const bool woven = frame->interlaced_frame, top = frame->top_field_first;
#endif
    if (woven)
        return top ? RML_FIELDS_TOP_FIRST : RML_FIELDS_BOTTOM_FIRST;
    const AVCodecDescriptor *codec = avcodec_descriptor_get(stream->codec_id);
    if (!codec || !(codec->props & AV_CODEC_PROP_INTRA_ONLY))
        return RML_FIELDS_NONE;
    switch (stream->field_order) {
    case AV_FIELD_TT:
    case AV_FIELD_BT: // coded last, shown first
        return RML_FIELDS_TOP_FIRST;
    case AV_FIELD_BB:
    case AV_FIELD_TB:
        return RML_FIELDS_BOTTOM_FIRST;
    default:
        return RML_FIELDS_NONE;
    }
}

void rml_av_set_fields(AVFrame *frame, rml_fields fields)
{
#ifdef AV_FRAME_FLAG_INTERLACED
    const int both = AV_FRAME_FLAG_INTERLACED | AV_FRAME_FLAG_TOP_FIELD_FIRST;
    frame->flags &= ~both;
    if (fields != RML_FIELDS_NONE)
        frame->flags |= fields == RML_FIELDS_TOP_FIRST ? both : AV_FRAME_FLAG_INTERLACED;
#else
    frame->interlaced_frame = fields != RML_FIELDS_NONE;
    frame->top_field_first = fields == RML_FIELDS_TOP_FIRST;
#endif
}

bool rml_av_samples(const AVFrame *frame, int plane, int *bytes, int *step)
{
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(frame->format);
    const uint64_t odd = AV_PIX_FMT_FLAG_BE | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM |
                         AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_FLOAT;
    *bytes = *step = 0;
    if (!format || format->flags & odd)
        return false;
    for (int i = 0; i < format->nb_components; i++) {
        const AVComponentDescriptor *c = &format->comp[i];
        const int size = c->depth > 8 ? 2 : 1;
        const bool whole = size == 1 ? c->depth == 8 && c->shift == 0
                                     : c->depth + c->shift <= 16 && c->offset % 2 == 0;
        if (!whole || (*bytes && *bytes != size))
            return false;
        *bytes = size;
        if (c->plane == plane)
            *step = FFMAX(*step, c->step / size);
    }
    return true;
}
