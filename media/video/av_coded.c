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
    frame->color_primaries = like->color_primaries;
    frame->color_trc = like->color_trc;
    if (av_frame_get_buffer(frame, 0) < 0)
        av_frame_free(&frame);
    return frame;
}

rml_status rml_av_coded_open(rml_av_coded *coded, const AVCodecContext *encoder, int width,
                             int height, const rml_colour *colour, const rml_allocator *allocator,
                             rml_error *err)
{
    const AVCodecContext *e = encoder;
    const AVFrame like = {.format = e->pix_fmt,
                          .color_range = e->color_range,
                          .colorspace = e->colorspace,
                          .color_primaries = e->color_primaries,
                          .color_trc = e->color_trc};
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
    av_frame_free(&coded->passed);
    sws_freeContext(coded->shot_sws);
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

// ---- in planes ---------------------------------------------------------------------------------

static bool same_colour(const AVFrame *a, const AVFrame *b)
{
    const rml_colour x = rml_colour_of_frame(a), y = rml_colour_of_frame(b);
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(a->format);
    return format->flags & AV_PIX_FMT_FLAG_RGB ||
           (x.matrix == y.matrix && x.full_range == y.full_range);
}

// Repeats the last row and column of a plane of samples of `bytes`, up to the size coded.
static void repeat_edge(uint8_t *plane, int stride, int width, int height, int to_width,
                        int to_height, int bytes)
{
    for (int y = 0; y < height && width < to_width; y++) {
        uint8_t *end = plane + (ptrdiff_t)y * stride + (ptrdiff_t)width * bytes;
        for (int x = width; x < to_width; x++, end += bytes)
            memcpy(end, end - bytes, (size_t)bytes);
    }
    for (int y = height; y < to_height; y++)
        memcpy(plane + (ptrdiff_t)y * stride, plane + (ptrdiff_t)(height - 1) * stride,
               (size_t)to_width * (size_t)bytes);
}

// A picture whose sides are odd, in a frame of even ones.
static void copy_grown(AVFrame *to, const AVFrame *from)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(to->format);
    for (int i = 0; i < 4 && to->data[i]; i++) {
        const bool chroma = (i == 1 || i == 2) && d->nb_components >= 3;
        const int x = chroma ? d->log2_chroma_w : 0, y = chroma ? d->log2_chroma_h : 0;
        const int bytes = av_image_get_linesize(to->format, 1 << x, i);
        const int width = AV_CEIL_RSHIFT(from->width, x), height = AV_CEIL_RSHIFT(from->height, y);
        av_image_copy_plane(to->data[i], to->linesize[i], from->data[i], from->linesize[i],
                            width * bytes, height);
        repeat_edge(to->data[i], to->linesize[i], width, height, AV_CEIL_RSHIFT(to->width, x),
                    AV_CEIL_RSHIFT(to->height, y), bytes);
    }
}

rml_status rml_av_coded_take(rml_av_coded *coded, const rml_shot *shot, AVFrame **out,
                             rml_error *err)
{
    rml_av_coded *c = coded;
    const AVFrame *from = shot->coded;
    const bool same = from->format == c->frame->format && same_colour(from, c->frame);
    const bool fits = from->width == c->frame->width && from->height == c->frame->height;
    av_frame_free(&c->passed);
    if (same && fits) {
        c->passed = av_frame_clone(from);
    } else {
        c->passed = make_frame(c->frame, c->frame->width, c->frame->height);
        if (c->passed)
            (void)av_frame_copy_props(c->passed, from);
    }
    *out = c->passed;
    if (!*out)
        return rml_fail_nomem(err, (size_t)from->width * (size_t)from->height * 3, "a coded frame");
    if (same && !fits) {
        copy_grown(*out, from);
    } else if (!same) {
        if (!c->shot_sws)
            c->shot_sws = rml_av_converter(from, c->frame, c->frame->width, c->frame->height);
        if (!c->shot_sws)
            return rml_fail(err, RML_ERR_UNSUPPORTED, "pictures of format %s cannot be coded as %s",
                            av_get_pix_fmt_name(from->format),
                            av_get_pix_fmt_name(c->frame->format));
        sws_scale(c->shot_sws, (const uint8_t *const *)from->data, from->linesize, 0, from->height,
                  (*out)->data, (*out)->linesize);
    }
    (*out)->color_range = c->frame->color_range;
    (*out)->colorspace = c->frame->colorspace;
    (*out)->color_primaries = c->frame->color_primaries;
    (*out)->color_trc = c->frame->color_trc;
    return RML_OK;
}
