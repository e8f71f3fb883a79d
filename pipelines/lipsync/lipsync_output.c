// The stages of a lip-sync run that cut faces out, paste them and encode. With --compat a picture
// is BGR and all of its box changes, as upstream does; otherwise only what the mask touches, in the
// planes that the picture was decoded to.
#include "pipelines/lipsync/lipsync_chain.h"
#include "engine/node_time.h"
#include "tensor/status.h"

#include <string.h>

// Ten levels of 255: networks that fit their film leave two, at times four (docs/lip-sync.md).
#define STRONG_SEAM 0.04f

static double output_seconds(const rml_chain *c, int64_t ticks)
{
    return (double)ticks * rml_rational_value(c->job->schedule.time_base);
}

static bool is_compat(const rml_chain *c)
{
    return c->job->settings.compat;
}

// ---- as upstream -------------------------------------------------------------------------------

static rml_status crop_compat(rml_chain *c, rml_slot *s, rml_error *err)
{
    const rml_frame *frame = &s->picture->frame;
    const rml_box b = s->box;
    rml_pixels face = {frame->data + (size_t)b.y1 * frame->pitch +
                           (size_t)b.x1 * RML_FRAME_CHANNELS,
                       frame->pitch, b.x2 - b.x1, b.y2 - b.y1};
    const int side = c->lips->side;
    rml_pixels_out patch = {s->item.patch, (size_t)side * RML_FRAME_CHANNELS, side, side};
    return rml_resize_opencv(c->crop_resizer, face, patch, RML_FRAME_CHANNELS, err);
}

static rml_status paste_compat(rml_chain *c, const rml_slot *s, rml_frame *canvas, rml_error *err)
{
    const int width = s->box.x2 - s->box.x1, height = s->box.y2 - s->box.y1, side = c->lips->side;
    rml_pixels face = {s->item.patch, (size_t)side * RML_FRAME_CHANNELS, side, side};
    rml_pixels_out box = {canvas->data + (size_t)s->box.y1 * canvas->pitch +
                              (size_t)s->box.x1 * RML_FRAME_CHANNELS,
                          canvas->pitch, width, height};
    return rml_resize_opencv(c->paste_resizer, face, box, RML_FRAME_CHANNELS, err);
}

// ---- in planes ---------------------------------------------------------------------------------

rml_status rml_crop_step(rml_chain *c, rml_slot *s, rml_error *err)
{
    const int side = c->lips->side;
    const float(*marks)[2] = s->has_marks ? (const float(*)[2])s->marks : NULL;
    s->item.seen = is_compat(c) ? (rml_part){0, 0, side, side}
                                : rml_face_paste_seen(c->paster, s->box, s->angle, marks, side);
    if (is_compat(c))
        return crop_compat(c, s, err);
    RML_TRY(
        rml_face_cut(c->cutter, &s->picture->planes, s->box, s->angle, side, s->item.patch, err));
    memcpy(s->given, s->item.patch, (size_t)side * (size_t)side * RML_FRAME_CHANNELS);
    return RML_OK;
}

static rml_status paste(rml_chain *c, const rml_slot *s, rml_shot *canvas, float *step,
                        rml_error *err)
{
    if (is_compat(c))
        return paste_compat(c, s, &canvas->frame, err);
    RML_TRY(rml_shot_own(canvas, err));
    return rml_face_paste(c->paster, &canvas->planes, s->box, s->angle,
                          s->has_marks ? s->marks : NULL, s->given, s->item.patch, c->lips->side,
                          step, err);
}

// What the face is pasted on: the shot itself, or a copy of the still, which is brought to the
// format that is coded once, and of which only the box changes.
static rml_status choose_canvas(rml_chain *c, rml_slot *s, rml_shot **canvas, rml_error *err)
{
    *canvas = &s->shot;
    if (s->picture == &s->shot)
        return RML_OK;
    *canvas = &c->canvas;
    const rml_shot *still = s->picture;
    if (is_compat(c))
        return rml_shot_copy(&c->canvas, still, c->allocator, err);
    if (!still->coded && !c->still.coded)
        RML_TRY(rml_encoder_convert(c->encoder, &still->frame, &c->still, err));
    still = still->coded ? still : &c->still;
    if (!c->canvas.coded)
        return rml_shot_copy(&c->canvas, still, c->allocator, err);
    if (c->drawn)
        RML_TRY(rml_shot_own(&c->canvas, err));
    while (c->drawn > 0) {
        const rml_part part = rml_planes_coded(&still->planes, &c->drawn_parts[--c->drawn]);
        rml_shot_copy_part(&c->canvas, still, &part);
    }
    return RML_OK;
}

static rml_status encode(rml_chain *c, rml_shot *canvas, const rml_slot *s, rml_error *err)
{
    canvas->pts = canvas->frame.pts = s->plan.pts;
    canvas->time_base = canvas->frame.time_base = c->job->schedule.time_base;
    return canvas->coded ? rml_encoder_write_shot(c->encoder, canvas, err)
                         : rml_encoder_write(c->encoder, &canvas->frame, err);
}

// Frames of one doubt that follow one another are one range of time.
static void note(rml_chain *c, const rml_slot *s, rml_doubt doubt, bool is)
{
    rml_doubtful *d = &c->result->doubtful[doubt];
    const double from = output_seconds(c, s->plan.pts);
    if (is) {
        d->frames++;
        if (!c->doubted[doubt] && d->count < RML_LIPSYNC_MAX_RANGES)
            d->ranges[d->count++].from = from;
        d->ranges[d->count - 1].to = output_seconds(c, s->plan.pts + c->job->schedule.frame_ticks);
    } else if (c->doubted[doubt]) {
        d->ranges[d->count - 1].to = from;
    }
    c->doubted[doubt] = is;
}

rml_status rml_output_step(rml_chain *c, rml_slot *s, rml_error *err)
{
    bool has_face = false, generated = false, silent = true, jumps = false, seam = false;
    bool fits[RML_FACE_SMALL + 1] = {false}; // how the faces do
    double start = rml_clock_ms();
    rml_shot *canvas;
    RML_TRY(choose_canvas(c, s, &canvas, err));
    const int width = rml_planes_width(&s->picture->planes);
    const int height = rml_planes_height(&s->picture->planes);
    for (const rml_slot *face = s; face; face = face->also) {
        float step = 0;
        fits[face->fit] = true;
        has_face = has_face || face->has_face;
        silent = silent && face->voiced == 0.0f;
        if (!face->generated)
            continue;
        RML_TRY(paste(c, face, canvas, &step, err));
        if (canvas == &c->canvas && !is_compat(c))
            c->drawn_parts[c->drawn++] = rml_face_paste_part(face->box, face->angle, width, height);
        generated = true;
        jumps = jumps || face->jumps;
        seam = seam || step > STRONG_SEAM;
    }
    c->result->generated += generated;
    c->result->silent += silent;
    note(c, s, RML_DOUBT_NO_FACE, !has_face);
    note(c, s, RML_DOUBT_TURNED, fits[RML_FACE_TURNED]);
    note(c, s, RML_DOUBT_CUT_OFF, fits[RML_FACE_CUT_OFF]);
    note(c, s, RML_DOUBT_SMALL, fits[RML_FACE_SMALL]);
    note(c, s, RML_DOUBT_JUMP, jumps);
    note(c, s, RML_DOUBT_SEAM, seam);
    double pasted = rml_clock_ms();
    RML_TRY(encode(c, canvas, s, err));
    c->result->stage_ms[RML_STAGE_PASTE] += pasted - start;
    c->result->stage_ms[RML_STAGE_ENCODE] += rml_clock_ms() - pasted;
    c->result->frames++;
    rml_ring_push(c->free, s);
    return RML_OK;
}
