#include "pipelines/lipsync/clip_shape.h"

#include "tensor/status.h"

#include <string.h>

rml_status rml_clip_shape_init(rml_clip_shape *shape, const rml_clip_settings *settings,
                               const rml_allocator *allocator, rml_error *err)
{
    *shape = (rml_clip_shape){.settings = settings, .allocator = allocator};
    return rml_resizer_create(&shape->resizer, allocator, err);
}

void rml_clip_shape_release(rml_clip_shape *shape)
{
    rml_resizer_destroy(&shape->resizer);
    rml_frame_release(&shape->scaled);
    rml_frame_release(&shape->turned);
}

bool rml_clip_shape_is_plain(const rml_clip_settings *s)
{
    return s->resize_factor <= 1 && !s->rotate && s->crop[0] == 0 && s->crop[1] == -1 &&
           s->crop[2] == 0 && s->crop[3] == -1;
}

// Python's meaning of a slice bound, with -1 as "to the end" where `open_end`.
static int slice_bound(int value, int length, bool open_end)
{
    if (open_end && value == -1)
        return length;
    if (value < 0)
        value = value < -length ? 0 : value + length;
    return value > length ? length : value;
}

static rml_part crop_area(const int crop[4], int width, int height)
{
    int top = slice_bound(crop[0], height, false), bottom = slice_bound(crop[1], height, true);
    int left = slice_bound(crop[2], width, false), right = slice_bound(crop[3], width, true);
    return (rml_part){left, top, right - left, bottom - top};
}

static rml_status smaller(const rml_clip_shape *shape, int width, int height, int *to_width,
                          int *to_height, rml_error *err)
{
    const int by = shape->settings->resize_factor;
    *to_width = width / by;
    *to_height = height / by;
    return *to_width >= 1 && *to_height >= 1
               ? RML_OK
               : rml_fail(err, RML_ERR_ARG, "%s: nothing is left of %dx%d after --resize_factor %d",
                          shape->settings->path, width, height, by);
}

static rml_status cropped(const rml_clip_shape *shape, int width, int height, rml_part *part,
                          rml_error *err)
{
    const int *c = shape->settings->crop;
    *part = crop_area(c, width, height);
    return part->width >= 1 && part->height >= 1
               ? RML_OK
               : rml_fail(err, RML_ERR_ARG,
                          "%s: --crop %d %d %d %d (top bottom left right) leaves nothing of %dx%d",
                          shape->settings->path, c[0], c[1], c[2], c[3], width, height);
}

rml_status rml_clip_shape_frame(rml_clip_shape *shape, const rml_frame *coded, rml_frame *out,
                                rml_error *err)
{
    const rml_clip_settings *s = shape->settings;
    const rml_frame *frame = coded;
    if (s->resize_factor > 1) {
        int width, height;
        RML_TRY(smaller(shape, frame->width, frame->height, &width, &height, err));
        RML_TRY(rml_frame_reserve(&shape->scaled, width, height, shape->allocator, err));
        rml_pixels src = {frame->data, frame->pitch, frame->width, frame->height};
        rml_pixels_out dst = {shape->scaled.data, shape->scaled.pitch, width, height};
        RML_TRY(rml_resize_opencv(shape->resizer, src, dst, RML_FRAME_CHANNELS, err));
        frame = &shape->scaled;
    }
    if (s->rotate) {
        RML_TRY(
            rml_frame_orient(&shape->turned, frame, RML_ORIENT_ROTATE_90, shape->allocator, err));
        frame = &shape->turned;
    }
    rml_part a;
    RML_TRY(cropped(shape, frame->width, frame->height, &a, err));
    RML_TRY(rml_frame_reserve(out, a.width, a.height, shape->allocator, err));
    size_t row_bytes = (size_t)a.width * RML_FRAME_CHANNELS;
    for (int y = 0; y < a.height; y++)
        memcpy(out->data + (size_t)y * out->pitch,
               frame->data + (size_t)(a.y + y) * frame->pitch + (size_t)a.x * RML_FRAME_CHANNELS,
               row_bytes);
    out->pts = coded->pts;
    out->time_base = coded->time_base;
    return RML_OK;
}

static rml_status turn(rml_shot *shot, rml_orientation orientation, bool *done, rml_error *err)
{
    rml_shot turned = {0};
    const rml_status status = rml_shot_turn(&turned, shot, orientation, done, err);
    if (status == RML_OK && *done) {
        rml_shot_release(shot);
        *shot = turned;
        shot->planes.upright = RML_ORIENT_NORMAL;
    }
    return status;
}

static rml_status scale(const rml_clip_shape *shape, rml_shot *shot, rml_error *err)
{
    rml_shot scaled = {0};
    int width, height;
    RML_TRY(smaller(shape, shot->planes.width, shot->planes.height, &width, &height, err));
    RML_TRY(
        rml_named(rml_shot_scale(&scaled, shot, width, height, err), err, shape->settings->path));
    rml_shot_release(shot);
    *shot = scaled;
    return RML_OK;
}

rml_status rml_clip_shape_shot(rml_clip_shape *shape, rml_shot *shot, bool *done, rml_error *err)
{
    const rml_clip_settings *s = shape->settings;
    const bool plain = rml_clip_shape_is_plain(s);
    *done = true;
    if (shot->planes.upright != RML_ORIENT_NORMAL && (s->turn_samples || !plain))
        RML_TRY(turn(shot, shot->planes.upright, done, err));
    if (plain || !*done)
        return RML_OK;
    if (s->resize_factor > 1)
        RML_TRY(scale(shape, shot, err));
    if (s->rotate)
        RML_TRY(turn(shot, RML_ORIENT_ROTATE_90, done, err));
    rml_part part;
    if (*done)
        RML_TRY(cropped(shape, shot->planes.width, shot->planes.height, &part, err));
    *done = *done && rml_shot_crop(shot, &part);
    return RML_OK;
}
