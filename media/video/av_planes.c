#include "media/video/av_planes.h"

#include "media/video/av_frame.h"

#include <libavcodec/avcodec.h>
#include <libavutil/pixdesc.h>

#include <string.h>

static bool has_samples(const AVPixFmtDescriptor *d)
{
    const uint64_t odd = AV_PIX_FMT_FLAG_BE | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM |
                         AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_BAYER;
    // XYZ is neither RGB nor has it a matrix.
    return d && !(d->flags & odd) && d->nb_components > 0 && d->log2_chroma_w <= 2 &&
           d->log2_chroma_h <= 2 && strncmp(d->name, "xyz", 3) != 0;
}

bool rml_av_layout(enum AVPixelFormat format, rml_plane_layout *layout)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    if (!has_samples(d))
        return false;
    *layout = (rml_plane_layout){.components = d->nb_components,
                                 .rgb = d->flags & AV_PIX_FMT_FLAG_RGB,
                                 .alpha = d->flags & AV_PIX_FMT_FLAG_ALPHA,
                                 .wide = d->comp[0].depth > 8,
                                 .chroma_x = d->log2_chroma_w,
                                 .chroma_y = d->log2_chroma_h};
    for (int i = 0; i < d->nb_components; i++) {
        const AVComponentDescriptor *c = &d->comp[i];
        const bool fits = layout->wide ? c->depth > 8 && c->depth + c->shift <= 16
                                       : c->depth == 8 && c->shift == 0;
        if (!fits)
            return false;
        layout->component[i] =
            (rml_component){(uint8_t)c->plane, (uint8_t)c->step, (uint8_t)c->offset,
                            (uint8_t)c->shift, (uint8_t)c->depth};
    }
    return true;
}

enum AVPixelFormat rml_av_plain_format(enum AVPixelFormat format)
{
    static const enum AVPixelFormat plain[] = {
        AV_PIX_FMT_GRAY8,     AV_PIX_FMT_GRAY10,    AV_PIX_FMT_GRAY12,    AV_PIX_FMT_GRAY16,
        AV_PIX_FMT_YA8,       AV_PIX_FMT_YUV420P,   AV_PIX_FMT_YUV422P,   AV_PIX_FMT_YUV444P,
        AV_PIX_FMT_YUV420P10, AV_PIX_FMT_YUV422P10, AV_PIX_FMT_YUV444P10, AV_PIX_FMT_YUV420P12,
        AV_PIX_FMT_YUV422P12, AV_PIX_FMT_YUV444P12, AV_PIX_FMT_YUV444P16, AV_PIX_FMT_YUVA444P16,
        AV_PIX_FMT_BGR24,     AV_PIX_FMT_BGRA,      AV_PIX_FMT_GBRP10,    AV_PIX_FMT_GBRP12,
        AV_PIX_FMT_GBRP16,    AV_PIX_FMT_GBRAP16,   AV_PIX_FMT_NONE};
    rml_plane_layout layout;
    if (rml_av_layout(format, &layout))
        return format;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    const int alpha = d && d->flags & AV_PIX_FMT_FLAG_ALPHA;
    return avcodec_find_best_pix_fmt_of_list(plain, format, alpha, NULL);
}

// Where the first chroma sample lies along an axis on which it stands for `size` luma samples.
static float chroma_place(int size, bool at_begin, bool at_end)
{
    return at_begin ? 0.0f : at_end ? (float)(size - 1) : (float)(size - 1) / 2;
}

static void place_chroma(rml_planes *p, const AVFrame *frame)
{
    enum AVChromaLocation at = frame->chroma_location;
    // Unsaid: beside each other as JPEG has them, else at the left as MPEG does.
    if (at == AVCHROMA_LOC_UNSPECIFIED)
        at = p->colour.full_range ? AVCHROMA_LOC_CENTER : AVCHROMA_LOC_LEFT;
    const bool left =
        at == AVCHROMA_LOC_LEFT || at == AVCHROMA_LOC_TOPLEFT || at == AVCHROMA_LOC_BOTTOMLEFT;
    const bool top = at == AVCHROMA_LOC_TOPLEFT || at == AVCHROMA_LOC_TOP;
    const bool bottom = at == AVCHROMA_LOC_BOTTOMLEFT || at == AVCHROMA_LOC_BOTTOM;
    p->chroma_at[0] = chroma_place(1 << p->layout.chroma_x, left, false);
    p->chroma_at[1] = chroma_place(1 << p->layout.chroma_y, top, bottom);
}

rml_planes rml_av_planes(const AVFrame *frame, rml_orientation upright)
{
    rml_planes p = {.width = frame->width,
                    .height = frame->height,
                    .colour = rml_colour_of_frame(frame),
                    .upright = upright};
    (void)rml_av_layout(frame->format, &p.layout);
    for (int i = 0; i < 4; i++) {
        p.data[i] = frame->data[i];
        p.stride[i] = frame->linesize[i];
    }
    place_chroma(&p, frame);
    return p;
}
