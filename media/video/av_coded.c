#include "media/video/av_coded.h"

#include "media/video/av_frame.h"
#include "tensor/status.h"

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

#include <string.h>

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
    sws_freeContext(coded->shot_sws);
    sws_freeContext(coded->sws);
    rml_frame_release(&coded->padded);
    *coded = (rml_av_coded){0};
}

// Copies an odd-sized picture, with its last row and column repeated.
static rml_status pad(rml_av_coded *c, const rml_frame *picture, rml_error *err)
{
    const AVFrame *f = c->frame;
    const size_t bytes = (size_t)c->width * RML_FRAME_CHANNELS;
    RML_TRY(rml_frame_reserve(&c->padded, f->width, f->height, c->allocator, err));
    for (int y = 0; y < f->height; y++) {
        const size_t from = (size_t)(y < c->height ? y : c->height - 1);
        uint8_t *to = c->padded.data + (size_t)y * c->padded.pitch;
        memcpy(to, picture->data + from * picture->pitch, bytes);
        if (c->width < f->width)
            memcpy(to + bytes, to + bytes - RML_FRAME_CHANNELS, RML_FRAME_CHANNELS);
    }
    return RML_OK;
}

rml_status rml_av_coded_fill(rml_av_coded *coded, const rml_frame *picture, rml_error *err)
{
    rml_av_coded *c = coded;
    AVFrame *f = c->frame;
    if (av_frame_make_writable(f) < 0) // the encoder may still hold the last one
        return rml_fail_nomem(err, (size_t)f->width * (size_t)f->height * 4, "a coded frame");
    if (f->width != c->width || f->height != c->height) {
        RML_TRY(pad(c, picture, err));
        picture = &c->padded;
    }
    const uint8_t *planes[4] = {picture->data};
    const int strides[4] = {(int)picture->pitch};
    sws_scale(c->sws, planes, strides, 0, f->height, f->data, f->linesize);
    return RML_OK;
}

// ---- in planes ---------------------------------------------------------------------------------

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
    const bool same = from->format == c->frame->format && rml_av_same_colour(from, c->frame);
    const bool fits = from->width == c->frame->width && from->height == c->frame->height;
    if (same && fits) {
        *out = av_frame_clone(from);
    } else {
        *out = make_frame(c->frame, c->frame->width, c->frame->height);
        if (*out)
            (void)av_frame_copy_props(*out, from);
    }
    if (!*out)
        return rml_fail_nomem(err, (size_t)from->width * (size_t)from->height * 3, "a coded frame");
    if (same && !fits) {
        copy_grown(*out, from);
    } else if (!same) {
        if (!c->shot_sws)
            c->shot_sws = rml_av_converter(from, c->frame, c->frame->width, c->frame->height);
        if (!c->shot_sws) {
            av_frame_free(out);
            return rml_fail(err, RML_ERR_UNSUPPORTED, "pictures of format %s cannot be coded as %s",
                            av_get_pix_fmt_name(from->format),
                            av_get_pix_fmt_name(c->frame->format));
        }
        sws_scale(c->shot_sws, (const uint8_t *const *)from->data, from->linesize, 0, from->height,
                  (*out)->data, (*out)->linesize);
    }
    (*out)->color_range = c->frame->color_range;
    (*out)->colorspace = c->frame->colorspace;
    (*out)->color_primaries = c->frame->color_primaries;
    (*out)->color_trc = c->frame->color_trc;
    return RML_OK;
}
