#include "media/video/av_picture.h"

#include "media/image/deinterlace.h"
#include "media/video/av_planes.h"
#include "tensor/status.h"

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

#include <math.h>
#include <string.h>

// The shape of a pixel, square where it is not stated.
static AVRational pixel_aspect(const AVFrame *f)
{
    const AVRational a = f->sample_aspect_ratio;
    return a.num > 0 && a.den > 0 ? a : (AVRational){1, 1};
}

rml_status rml_av_picture_init(rml_av_picture *picture, const AVFrame *first, const char *path,
                               rml_orientation orientation, const rml_allocator *allocator,
                               rml_error *err)
{
    RML_TRY(rml_frame_check_size(first->width, first->height, path, err));
    *picture = (rml_av_picture){.path = path,
                                .allocator = allocator,
                                .width = first->width,
                                .height = first->height,
                                .aspect = pixel_aspect(first),
                                .orientation = orientation};
    picture->home = av_frame_alloc();
    if (!picture->home || av_frame_copy_props(picture->home, first) < 0)
        return rml_fail_nomem(err, sizeof *picture->home, "a picture");
    AVFrame *home = picture->home;
    const rml_colour colour = rml_colour_of_frame(first);
    home->format = rml_av_plain_format(rml_av_ranged_format(first->format));
    home->width = first->width;
    home->height = first->height;
    home->color_range = colour.full_range ? AVCOL_RANGE_JPEG : first->color_range;
    return RML_OK;
}

void rml_av_picture_release(rml_av_picture *picture)
{
    sws_freeContext(picture->sws);
    picture->sws = NULL;
    av_frame_free(&picture->whole);
    av_frame_free(&picture->home);
    rml_frame_release(&picture->coded);
}

// A frame for the pixels of one as `like`, to write to.
static int reserve_whole(rml_av_picture *p, const AVFrame *like)
{
    if (!p->whole)
        p->whole = av_frame_alloc();
    if (!p->whole)
        return AVERROR(ENOMEM);
    AVFrame *w = p->whole;
    // A shot may still hold the last one.
    const bool fits = av_frame_is_writable(w) && w->width == like->width &&
                      w->height == like->height && w->format == like->format;
    if (!fits) {
        av_frame_unref(w);
        w->width = like->width;
        w->height = like->height;
        w->format = like->format;
        const int code = av_frame_get_buffer(w, 0);
        if (code < 0)
            return code;
    }
    return av_frame_copy_props(w, like);
}

static bool same_shape(const AVFrame *a, const AVFrame *b)
{
    return a->width == b->width && a->height == b->height && a->format == b->format;
}

rml_status rml_av_picture_deinterlace(rml_av_picture *picture, const AVFrame *before,
                                      const AVFrame *at, const AVFrame *after, bool top_first,
                                      bool *done, rml_error *err)
{
    rml_av_picture *p = picture;
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(at->format);
    int bytes, step;
    *done = rml_av_samples(at, 0, &bytes, &step);
    if (!*done)
        return RML_OK;
    const int code = reserve_whole(p, at);
    if (code < 0)
        return rml_fail_nomem(err, (size_t)at->width * (size_t)at->height,
                              "a picture of two fields");
    before = same_shape(before, at) ? before : at;
    after = same_shape(after, at) ? after : at;
    for (int i = 0; i < 4 && at->data[i]; i++) {
        const bool chroma = i == 1 || i == 2;
        rml_av_samples(at, i, &bytes, &step);
        const rml_woven_plane plane = {
            .before = before->data[i],
            .at = at->data[i],
            .after = after->data[i],
            .before_stride = before->linesize[i],
            .stride = at->linesize[i],
            .after_stride = after->linesize[i],
            .width = av_image_get_linesize(at->format, at->width, i) / bytes,
            .height = AV_CEIL_RSHIFT(at->height, chroma ? format->log2_chroma_h : 0),
            .step = step,
            .top_first = top_first};
        (bytes == 1 ? rml_deinterlace_u8 : rml_deinterlace_u16)(&plane, p->whole->data[i],
                                                                p->whole->linesize[i]);
    }
    return RML_OK;
}

static int clamped(double value, int most)
{
    const double whole = floor(value + 0.5);
    return whole < 1 ? 1 : whole > most ? most : (int)whole;
}

// Where a picture of another shape goes: as large as fits, in the middle.
static void fit(rml_av_picture *p, int width, int height, AVRational aspect)
{
    p->fit_width = p->width;
    p->fit_height = p->height;
    const double shown = width * av_q2d(aspect) / av_q2d(p->aspect); // columns for all its rows
    if (width != p->width || height != p->height || av_cmp_q(aspect, p->aspect) != 0) {
        const double scale = fmin(p->width / shown, (double)p->height / height);
        p->fit_width = clamped(shown * scale, p->width);
        p->fit_height = clamped(height * scale, p->height);
    }
    p->x = (p->width - p->fit_width) / 2;
    p->y = (p->height - p->fit_height) / 2;
}

static bool same_colour(const rml_colour *a, const rml_colour *b)
{
    return a->matrix == b->matrix && a->full_range == b->full_range;
}

static rml_status prepare_converter(rml_av_picture *p, const AVFrame *f, rml_error *err)
{
    const rml_colour colour = rml_colour_of_frame(f);
    const AVRational aspect = pixel_aspect(f);
    if (p->sws && p->sws_width == f->width && p->sws_height == f->height &&
        p->sws_format == f->format && av_cmp_q(p->sws_aspect, aspect) == 0 &&
        same_colour(&p->sws_colour, &colour))
        return RML_OK;
    if (colour.matrix == AVCOL_SPC_YCGCO)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "%s: its colours are YCgCo, which is not supported", p->path);
    RML_TRY(rml_frame_check_size(f->width, f->height, p->path, err));
    fit(p, f->width, f->height, aspect);
    sws_freeContext(p->sws);
    p->sws = rml_colour_converter(f->width, f->height, f->format, p->fit_width, p->fit_height,
                                  AV_PIX_FMT_BGR24, &colour, true);
    if (!p->sws)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: its pixel format (%d) cannot be converted",
                        p->path, f->format);
    p->sws_width = f->width;
    p->sws_height = f->height;
    p->sws_format = f->format;
    p->sws_aspect = aspect;
    p->sws_colour = colour;
    return RML_OK;
}

// Blackens what lies around the picture.
static void clear_border(const rml_av_picture *p, rml_frame *to)
{
    const size_t row = (size_t)p->width * RML_FRAME_CHANNELS;
    const size_t left = (size_t)p->x * RML_FRAME_CHANNELS;
    const size_t right = left + (size_t)p->fit_width * RML_FRAME_CHANNELS;
    for (int y = 0; y < p->height; y++) {
        uint8_t *pixels = to->data + (size_t)y * to->pitch;
        const bool inside = y >= p->y && y < p->y + p->fit_height;
        memset(pixels, 0, inside ? left : row);
        if (inside)
            memset(pixels + right, 0, row - right);
    }
}

rml_status rml_av_picture_convert(rml_av_picture *picture, const AVFrame *decoded, rml_frame *frame,
                                  rml_error *err)
{
    rml_av_picture *p = picture;
    RML_TRY(prepare_converter(p, decoded, err));
    const bool upright = p->orientation == RML_ORIENT_NORMAL;
    rml_frame *to = upright ? frame : &p->coded;
    RML_TRY(rml_frame_reserve(to, p->width, p->height, p->allocator, err));
    uint8_t *planes[4] = {to->data + (size_t)p->y * to->pitch + (size_t)p->x * RML_FRAME_CHANNELS};
    int strides[4] = {(int)to->pitch};
    int rows = sws_scale(p->sws, (const uint8_t *const *)decoded->data, decoded->linesize, 0,
                         decoded->height, planes, strides);
    if (rows != p->fit_height)
        return rml_fail(err, RML_ERR_INTERNAL, "%s: converting a picture gave %d of %d rows",
                        p->path, rows, p->fit_height);
    clear_border(p, to);
    return upright ? RML_OK : rml_frame_orient(frame, to, p->orientation, p->allocator, err);
}

// ---- in planes ---------------------------------------------------------------------------------

// Where a plane of `f` begins for the pixel (x, y), which chroma begins at.
static uint8_t *place_in(const AVFrame *f, int plane, int x, int y)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    const bool chroma = (plane == 1 || plane == 2) && d->nb_components >= 3;
    const int rows = y >> (chroma ? d->log2_chroma_h : 0);
    const int bytes = x > 0 ? av_image_get_linesize(f->format, x, plane) : 0;
    return f->data[plane] + (ptrdiff_t)rows * f->linesize[plane] + bytes;
}

// To the nearest place at which a chroma sample begins.
static int on_grid(int place, int log2)
{
    return (place + ((1 << log2) >> 1)) >> log2 << log2;
}

// Puts `part` into the middle of `to`, which is as the first picture, with black around it.
static void put_into(const rml_av_picture *p, const AVFrame *part, AVFrame *to)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(to->format);
    ptrdiff_t strides[4];
    for (int i = 0; i < 4; i++)
        strides[i] = to->linesize[i];
    (void)av_image_fill_black(to->data, strides, to->format, to->color_range, to->width,
                              to->height);
    const int x = on_grid(p->x, d->log2_chroma_w), y = on_grid(p->y, d->log2_chroma_h);
    const int width = FFMIN(part->width, to->width - x);
    const int height = FFMIN(part->height, to->height - y);
    for (int i = 0; i < 4 && to->data[i]; i++) {
        const bool chroma = (i == 1 || i == 2) && d->nb_components >= 3;
        av_image_copy_plane(place_in(to, i, x, y), to->linesize[i], part->data[i],
                            part->linesize[i], av_image_get_linesize(to->format, width, i),
                            AV_CEIL_RSHIFT(height, chroma ? d->log2_chroma_h : 0));
    }
}

// `decoded` scaled into a picture like the first one. Not scaled into place, since the scaler may
// write beyond the end of a row.
static rml_status fit_into(rml_av_picture *p, const AVFrame *decoded, AVFrame *to, rml_error *err)
{
    fit(p, decoded->width, decoded->height, pixel_aspect(decoded));
    AVFrame *part = av_frame_alloc();
    if (!part || av_frame_copy_props(part, p->home) < 0) {
        av_frame_free(&part);
        return rml_fail_nomem(err, sizeof *part, "a picture");
    }
    part->format = to->format;
    part->width = p->fit_width;
    part->height = p->fit_height;
    struct SwsContext *sws = rml_av_converter(decoded, to, p->fit_width, p->fit_height);
    const bool scaled = sws && av_frame_get_buffer(part, 0) >= 0 &&
                        sws_scale(sws, (const uint8_t *const *)decoded->data, decoded->linesize, 0,
                                  decoded->height, part->data, part->linesize) == part->height;
    if (scaled)
        put_into(p, part, to);
    sws_freeContext(sws);
    av_frame_free(&part);
    return scaled
               ? RML_OK
               : rml_fail(err, RML_ERR_UNSUPPORTED, "%s: its pixel format (%d) cannot be converted",
                          p->path, decoded->format);
}

static bool is_at_home(const rml_av_picture *p, const AVFrame *f)
{
    return f->width == p->width && f->height == p->height &&
           rml_av_ranged_format(f->format) == (enum AVPixelFormat)p->home->format &&
           av_cmp_q(pixel_aspect(f), p->aspect) == 0 && rml_av_same_colour(f, p->home);
}

// `decoded` in the format of home, or NULL.
static AVFrame *at_home(const rml_av_picture *p, const AVFrame *decoded)
{
    AVFrame *frame = is_at_home(p, decoded) ? av_frame_clone(decoded) : av_frame_alloc();
    if (!frame)
        return NULL;
    frame->format = p->home->format;
    frame->color_range = p->home->color_range;
    if (frame->buf[0])
        return frame;
    frame->width = p->width;
    frame->height = p->height;
    if (av_frame_get_buffer(frame, 0) < 0 || av_frame_copy_props(frame, p->home) < 0)
        av_frame_free(&frame);
    return frame;
}

rml_status rml_av_picture_take(rml_av_picture *picture, const AVFrame *decoded, rml_shot *shot,
                               rml_error *err)
{
    rml_av_picture *p = picture;
    const int matrix = rml_colour_of_frame(decoded).matrix;
    rml_colour_matrix known;
    if (!rml_colour_matrix_of(&known, matrix))
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: its colours (matrix %d) are not supported",
                        p->path, matrix);
    RML_TRY(rml_frame_check_size(decoded->width, decoded->height, p->path, err));
    AVFrame *coded = at_home(p, decoded);
    if (!coded)
        return rml_fail_nomem(err, (size_t)p->width * (size_t)p->height * 3, "a picture");
    const rml_status status = is_at_home(p, decoded) ? RML_OK : fit_into(p, decoded, coded, err);
    if (status != RML_OK) {
        av_frame_free(&coded);
        return status;
    }
    rml_frame buffer = shot->frame;
    shot->frame = (rml_frame){0};
    rml_shot_release(shot);
    *shot =
        (rml_shot){.planes = rml_av_planes(coded, p->orientation), .coded = coded, .frame = buffer};
    return RML_OK;
}
