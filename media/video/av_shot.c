#include "media/video/shot.h"

#include "media/video/av_frame.h"
#include "media/video/av_planes.h"
#include "tensor/status.h"

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

#include <string.h>

static void forget_coded(rml_shot *shot)
{
    AVFrame *coded = shot->coded;
    av_frame_free(&coded);
    shot->coded = NULL;
}

void rml_shot_release(rml_shot *shot)
{
    forget_coded(shot);
    rml_frame_release(&shot->frame);
    *shot = (rml_shot){0};
}

void rml_shot_use_frame(rml_shot *shot)
{
    forget_coded(shot);
    shot->planes = rml_planes_of_frame(&shot->frame);
    shot->pts = shot->frame.pts;
    shot->time_base = shot->frame.time_base;
}

rml_status rml_shot_copy(rml_shot *dst, const rml_shot *src, const rml_allocator *allocator,
                         rml_error *err)
{
    if (!src->coded) {
        RML_TRY(rml_frame_copy(&dst->frame, &src->frame, allocator, err));
        rml_shot_use_frame(dst);
    } else {
        AVFrame *copy = av_frame_clone(src->coded);
        if (!copy)
            return rml_fail_nomem(err, sizeof *copy, "a picture");
        forget_coded(dst);
        dst->coded = copy;
        dst->planes = src->planes;
    }
    dst->pts = src->pts;
    dst->time_base = src->time_base;
    return RML_OK;
}

rml_status rml_shot_from_picture(rml_shot *shot, const rml_picture *picture, rml_error *err)
{
    static const enum AVPixelFormat formats[2][4] = {
        {AV_PIX_FMT_GRAY8, AV_PIX_FMT_YA8, AV_PIX_FMT_RGB24, AV_PIX_FMT_RGBA},
        {AV_PIX_FMT_GRAY16, AV_PIX_FMT_YA16, AV_PIX_FMT_RGB48, AV_PIX_FMT_RGBA64},
    };
    AVFrame *frame = av_frame_alloc();
    if (frame) {
        frame->format = formats[picture->bits == 16][picture->channels - 1];
        frame->width = picture->width;
        frame->height = picture->height;
        frame->color_range = AVCOL_RANGE_JPEG; // gray of files is of the full range
    }
    if (!frame || av_frame_get_buffer(frame, 0) < 0) {
        av_frame_free(&frame);
        return rml_fail_nomem(err, rml_picture_pitch(picture) * (size_t)picture->height,
                              "a picture");
    }
    const size_t pitch = rml_picture_pitch(picture);
    for (int y = 0; y < picture->height; y++)
        memcpy(frame->data[0] + (ptrdiff_t)y * frame->linesize[0],
               (const uint8_t *)picture->data + (size_t)y * pitch, pitch);
    forget_coded(shot);
    shot->coded = frame;
    shot->planes = rml_av_planes(frame, RML_ORIENT_NORMAL);
    shot->pts = 0;
    shot->time_base = (rml_rational){1, 1};
    return RML_OK;
}

static void look_again(rml_shot *shot)
{
    AVFrame *f = shot->coded;
    for (int i = 0; i < 4; i++) {
        shot->planes.data[i] = f->data[i];
        shot->planes.stride[i] = f->linesize[i];
    }
}

rml_status rml_shot_own(rml_shot *shot, rml_error *err)
{
    AVFrame *f = shot->coded;
    if (!f)
        return RML_OK;
    if (av_frame_make_writable(f) < 0)
        return rml_fail_nomem(err, (size_t)f->width * (size_t)f->height * 3, "a picture");
    look_again(shot);
    return RML_OK;
}

void rml_shot_copy_part(rml_shot *dst, const rml_shot *src, const rml_part *part)
{
    AVFrame *to = dst->coded;
    const AVFrame *from = src->coded;
    const rml_plane_layout *l = &dst->planes.layout;
    for (int i = 0; i < 4 && to->data[i]; i++) {
        const bool chroma = (i == 1 || i == 2) && l->components >= 3;
        const int down = chroma ? l->chroma_y : 0;
        // Whole groups of samples, as packed formats have them.
        const int left = part->x >> l->chroma_x << l->chroma_x;
        const int begin = left > 0 ? av_image_get_linesize(to->format, left, i) : 0;
        const int end = av_image_get_linesize(
            to->format, FFMIN(to->width, part->x + part->width + (1 << l->chroma_x)), i);
        const int top = part->y >> down;
        const int bottom = AV_CEIL_RSHIFT(part->y + part->height, down);
        av_image_copy_plane(to->data[i] + (ptrdiff_t)top * to->linesize[i] + begin, to->linesize[i],
                            from->data[i] + (ptrdiff_t)top * from->linesize[i] + begin,
                            from->linesize[i], end - begin, bottom - top);
    }
}

bool rml_shot_crop(rml_shot *shot, const rml_part *part)
{
    const rml_plane_layout *l = &shot->planes.layout;
    AVFrame *f = shot->coded;
    if (!f || part->x & ((1 << l->chroma_x) - 1) || part->y & ((1 << l->chroma_y) - 1))
        return false;
    f->crop_left = (size_t)part->x;
    f->crop_top = (size_t)part->y;
    f->crop_right = (size_t)(f->width - part->x - part->width);
    f->crop_bottom = (size_t)(f->height - part->y - part->height);
    if (av_frame_apply_cropping(f, AV_FRAME_CROP_UNALIGNED) < 0)
        return false;
    look_again(shot);
    shot->planes.width = f->width;
    shot->planes.height = f->height;
    return true;
}

// A new frame like `like`, of another size.
static AVFrame *make_like(const AVFrame *like, int width, int height)
{
    AVFrame *f = av_frame_alloc();
    if (!f)
        return NULL;
    f->format = like->format;
    f->width = width;
    f->height = height;
    if (av_frame_get_buffer(f, 0) < 0 || av_frame_copy_props(f, like) < 0)
        av_frame_free(&f);
    return f;
}

static rml_status take_made(rml_shot *dst, const rml_shot *src, AVFrame *made)
{
    forget_coded(dst);
    dst->coded = made;
    dst->planes = rml_av_planes(made, src->planes.upright);
    dst->pts = src->pts;
    dst->time_base = src->time_base;
    return RML_OK;
}

// Bytes of a pixel in each plane; 0 where some plane holds pixels of several places together.
static int pixel_bytes(const AVFrame *f, int plane)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    int step = 0;
    for (int i = 0; i < d->nb_components; i++) {
        if (d->comp[i].plane != plane)
            continue;
        if (step && step != d->comp[i].step)
            return 0;
        step = d->comp[i].step;
    }
    return step;
}

static bool can_turn(const rml_shot *src, bool swap)
{
    const rml_plane_layout *l = &src->planes.layout;
    const AVFrame *f = src->coded;
    const int across = 1 << l->chroma_x, down = 1 << l->chroma_y;
    if (!f || (swap && across != down) || f->width % across || f->height % down)
        return false;
    for (int i = 0; i < 4 && f->data[i]; i++)
        if (pixel_bytes(f, i) == 0)
            return false;
    return true;
}

static enum AVChromaLocation turned_location(const rml_planes *p)
{
    // Only what lies in the middle stays where it is.
    const bool middle = p->chroma_at[0] * 2 == (float)((1 << p->layout.chroma_x) - 1) &&
                        p->chroma_at[1] * 2 == (float)((1 << p->layout.chroma_y) - 1);
    return middle ? AVCHROMA_LOC_CENTER : AVCHROMA_LOC_UNSPECIFIED;
}

rml_status rml_shot_turn(rml_shot *dst, const rml_shot *src, rml_orientation orientation,
                         bool *done, rml_error *err)
{
    const bool swap = rml_orientation_swaps(orientation);
    const AVFrame *from = src->coded;
    *done = can_turn(src, swap);
    if (!*done)
        return RML_OK;
    AVFrame *to =
        make_like(from, swap ? from->height : from->width, swap ? from->width : from->height);
    if (!to)
        return rml_fail_nomem(err, (size_t)from->width * (size_t)from->height * 3, "a picture");
    for (int i = 0; i < 4 && from->data[i]; i++) {
        const bool chroma = (i == 1 || i == 2) && src->planes.layout.components >= 3;
        const int x = chroma ? src->planes.layout.chroma_x : 0;
        const int y = chroma ? src->planes.layout.chroma_y : 0;
        const size_t bytes = (size_t)pixel_bytes(from, i);
        const rml_pixel_rows in = {from->data[i], from->width >> x, from->height >> y,
                                   (size_t)from->linesize[i], bytes};
        const rml_pixel_rows out = {to->data[i], to->width >> (swap ? y : x),
                                    to->height >> (swap ? x : y), (size_t)to->linesize[i], bytes};
        rml_orient_pixels(&out, &in, orientation);
    }
    to->chroma_location = turned_location(&src->planes);
    if (swap)
        to->sample_aspect_ratio = av_inv_q(from->sample_aspect_ratio);
    return take_made(dst, src, to);
}

rml_status rml_shot_scale(rml_shot *dst, const rml_shot *src, int width, int height, rml_error *err)
{
    const AVFrame *from = src->coded;
    AVFrame *to = make_like(from, width, height);
    if (!to)
        return rml_fail_nomem(err, (size_t)width * (size_t)height * 3, "a picture");
    struct SwsContext *sws = rml_av_converter(from, to, width, height);
    if (!sws || sws_scale(sws, (const uint8_t *const *)from->data, from->linesize, 0, from->height,
                          to->data, to->linesize) != height) {
        sws_freeContext(sws);
        av_frame_free(&to);
        return rml_fail(err, RML_ERR_UNSUPPORTED, "pictures of format %s cannot be scaled",
                        av_get_pix_fmt_name(from->format));
    }
    sws_freeContext(sws);
    return take_made(dst, src, to);
}
