#include "media/video/av_coded.h"

#include "media/video/av_frame.h"
#include "tensor/status.h"

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

#include <string.h>

// Farther than the filters for colours at half the resolution reach, and even.
#define REACH 16

static AVFrame *make_frame(const AVFrame *like, int width, int height)
{
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return NULL;
    frame->width = width;
    frame->height = height;
    frame->format = like->format;
    frame->color_range = like->color_range;
    frame->colorspace = like->colorspace;
    if (av_frame_get_buffer(frame, 0) < 0)
        av_frame_free(&frame);
    return frame;
}

rml_status rml_av_coded_open(rml_av_coded *coded, const AVCodecContext *encoder, int width,
                             int height, const rml_colour *colour, const rml_allocator *allocator,
                             rml_error *err)
{
    const AVCodecContext *e = encoder;
    const AVFrame like = {
        .format = e->pix_fmt, .color_range = e->color_range, .colorspace = e->colorspace};
    *coded =
        (rml_av_coded){.allocator = allocator, .width = width, .height = height, .colour = *colour};
    coded->sws = rml_colour_converter(e->width, e->height, AV_PIX_FMT_BGR24, e->width, e->height,
                                      e->pix_fmt, colour, false);
    coded->frame = make_frame(&like, e->width, e->height);
    if (coded->sws && coded->frame)
        return RML_OK;
    rml_av_coded_close(coded);
    return rml_fail_nomem(err, (size_t)e->width * (size_t)e->height * 4, "a coded frame");
}

void rml_av_coded_close(rml_av_coded *coded)
{
    av_frame_free(&coded->frame);
    av_frame_free(&coded->piece);
    sws_freeContext(coded->sws);
    sws_freeContext(coded->piece_sws);
    rml_frame_release(&coded->padded);
    *coded = (rml_av_coded){0};
}

// `part` with so many pixels more on each side, from an even place to an even place, inside the
// frame.
static rml_part grown(const AVFrame *frame, const rml_part *part, int by)
{
    const int left = FFMAX(part->x - by, 0) & ~1, top = FFMAX(part->y - by, 0) & ~1;
    const int right = FFMIN((part->x + part->width + by + 1) & ~1, frame->width);
    const int bottom = FFMIN((part->y + part->height + by + 1) & ~1, frame->height);
    return (rml_part){left, top, right - left, bottom - top};
}

// Copies a part of an odd-sized picture, with its last row and column repeated.
static rml_status pad(rml_av_coded *c, const rml_frame *picture, const rml_part *part,
                      rml_error *err)
{
    const AVFrame *f = c->frame;
    RML_TRY(rml_frame_reserve(&c->padded, f->width, f->height, c->allocator, err));
    const int inside = FFMIN(part->x + part->width, c->width) - part->x;
    for (int y = part->y; y < part->y + part->height; y++) {
        const size_t from = (size_t)(y < c->height ? y : c->height - 1);
        const size_t at = (size_t)part->x * RML_FRAME_CHANNELS;
        const size_t bytes = (size_t)inside * RML_FRAME_CHANNELS;
        uint8_t *to = c->padded.data + (size_t)y * c->padded.pitch + at;
        memcpy(to, picture->data + from * picture->pitch + at, bytes);
        if (inside < part->width)
            memcpy(to + bytes, to + bytes - RML_FRAME_CHANNELS, RML_FRAME_CHANNELS);
    }
    return RML_OK;
}

static void convert(struct SwsContext *sws, const rml_frame *picture, const rml_part *from,
                    AVFrame *to)
{
    const uint8_t *planes[4] = {picture->data + (size_t)from->y * picture->pitch +
                                (size_t)from->x * RML_FRAME_CHANNELS};
    const int strides[4] = {(int)picture->pitch};
    sws_scale(sws, planes, strides, 0, from->height, to->data, to->linesize);
}

static rml_status prepare_piece(rml_av_coded *c, int width, int height, rml_error *err)
{
    if (c->piece && c->piece->width == width && c->piece->height == height)
        return RML_OK;
    av_frame_free(&c->piece);
    sws_freeContext(c->piece_sws);
    c->piece_sws = rml_colour_converter(width, height, AV_PIX_FMT_BGR24, width, height,
                                        c->frame->format, &c->colour, false);
    c->piece = make_frame(c->frame, width, height);
    return c->piece_sws && c->piece
               ? RML_OK
               : rml_fail_nomem(err, (size_t)width * (size_t)height * 4, "a part of a coded frame");
}

// Copies `part` of the frame out of the piece, which begins at (x, y) of it.
static void put(rml_av_coded *c, int x, int y, const rml_part *part)
{
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(c->frame->format);
    for (int plane = 0; plane < av_pix_fmt_count_planes(c->frame->format); plane++) {
        const bool chroma = plane == 1 || plane == 2;
        const int across = chroma ? format->log2_chroma_w : 0;
        const int down = chroma ? format->log2_chroma_h : 0;
        const int to_stride = c->frame->linesize[plane], from_stride = c->piece->linesize[plane];
        const int step = av_image_get_linesize(c->frame->format, 1 << across, plane);
        uint8_t *to = c->frame->data[plane] + (ptrdiff_t)(part->y >> down) * to_stride +
                      (ptrdiff_t)(part->x >> across) * step;
        const uint8_t *from = c->piece->data[plane] +
                              (ptrdiff_t)((part->y - y) >> down) * from_stride +
                              (ptrdiff_t)((part->x - x) >> across) * step;
        av_image_copy_plane(to, to_stride, from, from_stride, (part->width >> across) * step,
                            part->height >> down);
    }
}

rml_status rml_av_coded_fill(rml_av_coded *coded, const rml_frame *picture, const rml_part *part,
                             rml_error *err)
{
    rml_av_coded *c = coded;
    const rml_part all = {0, 0, c->frame->width, c->frame->height};
    // Where colours have half the resolution an odd size scales them a little.
    const bool whole = !part || all.width % 2 || all.height % 2;
    if (!whole && (part->width <= 0 || part->height <= 0))
        return RML_OK;
    const rml_part source = whole ? all : grown(c->frame, part, 2 * REACH);
    if (av_frame_make_writable(c->frame) < 0) // the encoder may still hold the last one
        return rml_fail_nomem(err, (size_t)all.width * (size_t)all.height * 4, "a coded frame");
    if (all.width != c->width || all.height != c->height) {
        RML_TRY(pad(c, picture, &source, err));
        picture = &c->padded;
    }
    if (whole) {
        convert(c->sws, picture, &all, c->frame);
        return RML_OK;
    }
    RML_TRY(prepare_piece(c, source.width, source.height, err));
    convert(c->piece_sws, picture, &source, c->piece);
    const rml_part changed = grown(c->frame, part, REACH);
    put(c, source.x, source.y, &changed);
    return RML_OK;
}
