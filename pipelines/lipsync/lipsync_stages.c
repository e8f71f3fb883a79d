// The stages of a lip-sync run that look at pictures: faces, batches, the network, pasting.
#include "pipelines/lipsync/lipsync_chain.h"
#include "engine/node_time.h"
#include "tensor/status.h"

#include <string.h>

// Share of the box's side over which a generated face fades into the picture.
#define FEATHER_SHARE 10

static double source_seconds(const rml_slot *s)
{
    return rml_frame_seconds(s->picture);
}

static double output_seconds(const rml_chain *c, int64_t ticks)
{
    return (double)ticks * rml_rational_value(c->job->schedule.time_base);
}

// ---- paste and encode ---------------------------------------------------------------------------

static rml_feather soft_edges(const rml_chain *c, const rml_slot *s)
{
    if (c->job->settings.compat)
        return (rml_feather){0};
    int across = (s->box.x2 - s->box.x1) / FEATHER_SHARE;
    int down = (s->box.y2 - s->box.y1) / FEATHER_SHARE;
    return (rml_feather){.top = s->box.y1 > 0 ? down : 0,
                         .bottom = s->box.y2 < s->picture->height ? down : 0,
                         .left = s->box.x1 > 0 ? across : 0,
                         .right = s->box.x2 < s->picture->width ? across : 0};
}

static rml_status paste(rml_chain *c, const rml_slot *s, rml_frame *canvas, rml_error *err)
{
    int width = s->box.x2 - s->box.x1, height = s->box.y2 - s->box.y1;
    RML_TRY(rml_frame_reserve(&c->patch, width, height, c->allocator, err));
    const int side = c->lips->side;
    rml_pixels face = {s->item.patch, (size_t)side * RML_FRAME_CHANNELS, side, side};
    rml_pixels_out scaled = {c->patch.data, c->patch.pitch, width, height};
    RML_TRY(rml_resize_opencv(c->paste_resizer, face, scaled, RML_FRAME_CHANNELS, err));
    rml_pixels ready = {c->patch.data, c->patch.pitch, width, height};
    return rml_blend_paste(c->blender, canvas, s->box.x1, s->box.y1, ready, soft_edges(c, s), err);
}

static rml_part face_part(const rml_slot *s)
{
    if (!s->has_face)
        return (rml_part){0};
    return (rml_part){s->box.x1, s->box.y1, s->box.x2 - s->box.x1, s->box.y2 - s->box.y1};
}

// What the face is pasted on: the frame itself, or the copy of a still, of which only the face
// changes, always in the same place.
static rml_status choose_canvas(rml_chain *c, rml_slot *s, rml_frame **canvas, rml_error *err)
{
    const rml_frame *still = s->picture;
    *canvas = &s->frame;
    if (still == &s->frame)
        return RML_OK;
    *canvas = &c->canvas;
    if (!c->canvas.data)
        return rml_frame_copy(&c->canvas, still, c->allocator, err);
    const rml_part part = face_part(s);
    for (int y = part.y; y < part.y + part.height; y++) {
        const size_t at = (size_t)part.x * RML_FRAME_CHANNELS;
        memcpy(c->canvas.data + (size_t)y * c->canvas.pitch + at,
               still->data + (size_t)y * still->pitch + at,
               (size_t)part.width * RML_FRAME_CHANNELS);
    }
    return RML_OK;
}

// Frames without a face that follow one another are one range of time.
static void note_face(rml_chain *c, const rml_slot *s)
{
    rml_lipsync_result *r = c->result;
    double from = output_seconds(c, s->plan.pts);
    if (!s->has_face) {
        r->without_face++;
        if (!c->in_gap && r->range_count < RML_LIPSYNC_MAX_RANGES)
            r->ranges[r->range_count++].from = from;
        r->ranges[r->range_count - 1].to =
            output_seconds(c, s->plan.pts + c->job->schedule.frame_ticks);
    } else if (c->in_gap) {
        r->ranges[r->range_count - 1].to = from;
    }
    c->in_gap = !s->has_face;
}

rml_status rml_output_step(rml_chain *c, rml_slot *s, rml_error *err)
{
    note_face(c, s);
    double start = rml_clock_ms();
    rml_frame *canvas;
    RML_TRY(choose_canvas(c, s, &canvas, err));
    if (s->has_face)
        RML_TRY(paste(c, s, canvas, err));
    double pasted = rml_clock_ms();
    canvas->pts = s->plan.pts;
    canvas->time_base = c->job->schedule.time_base;
    const rml_part face = face_part(s);
    RML_TRY(rml_encoder_write_part(c->encoder, canvas, canvas == &c->canvas ? &face : NULL, err));
    c->result->stage_ms[RML_STAGE_PASTE] += pasted - start;
    c->result->stage_ms[RML_STAGE_ENCODE] += rml_clock_ms() - pasted;
    c->result->frames++;
    rml_ring_push(c->free, s);
    return RML_OK;
}

// ---- detect, batch, network ---------------------------------------------------------------------

static rml_status find_face(rml_chain *c, const rml_slot *s, bool cut, rml_face *face,
                            rml_error *err)
{
    const rml_lipsync *job = c->job;
    const int *b = job->settings.box;
    if (job->has_box) {
        *face = (rml_face){{b[2], b[0], b[3], b[1]}, 1, RML_FACE_BY_HAND, 0};
    } else if (s->source < job->known_count) {
        *face = job->known[s->source];
    } else if (c->detector) {
        double start = rml_clock_ms();
        RML_TRY(rml_face_finder_next(c->detector, s->picture, cut, face, err));
        c->result->stage_ms[RML_STAGE_DETECT] += rml_clock_ms() - start;
        c->detected_any = true;
        // Weights of little worth find boxes of no size or beside the picture; the original goes on
        // with what the padding makes of them.
        rml_box whole = {0, 0, s->picture->width, s->picture->height};
        if (!job->settings.compat && rml_box_overlap(face->box, whole) == 0)
            *face = (rml_face){.source = RML_FACE_NONE};
    } else {
        return rml_fail(err, RML_ERR_ARG,
                        "%s holds the faces of the first %lld frames only: give --s3fd or "
                        "--detector to find the others",
                        job->settings.faces_path, (long long)job->known_count);
    }
    face->seconds = source_seconds(s);
    if (face->source == RML_FACE_NONE && (job->settings.strict || job->settings.compat))
        return rml_fail(err, RML_ERR_ARG, "%s: no face in frame %lld, at %.3f s",
                        job->settings.clip.path, (long long)s->source, face->seconds);
    return RML_OK;
}

// A source frame that comes by for the first time.
static rml_status track_face(rml_chain *c, const rml_slot *s, rml_error *err)
{
    rml_face face;
    const bool cut = s->source > 0 && rml_signature_is_cut(&c->last_signature, &s->signature);
    c->last_signature = s->signature;
    RML_TRY(find_face(c, s, cut, &face, err));
    return rml_track_push(c->track, &face, cut, err);
}

static rml_status emit(rml_chain *c, rml_slot *s, rml_error *err)
{
    c->emitted++;
    if (!c->threaded)
        return rml_output_step(c, s, err);
    // Refused only when the output stage has failed, whose message is the one that counts.
    rml_ring_push(c->finished, s);
    return RML_OK;
}

// Runs the network on the faces of the group and hands all its frames on, in order.
static rml_status flush(rml_chain *c, rml_error *err)
{
    rml_lip_item *items[RML_LIPSYNC_MAX_BATCH];
    int count = 0;
    for (int i = 0; i < c->group_count; i++)
        if (c->group[i]->has_face)
            items[count++] = &c->group[i]->item;
    double start = rml_clock_ms();
    if (count > 0)
        RML_TRY(c->lips->run(c->lips, items, count, !c->job->settings.compat, err));
    c->result->stage_ms[RML_STAGE_NETWORK] += rml_clock_ms() - start;
    for (int i = 0; i < c->group_count; i++)
        RML_TRY(emit(c, c->group[i], err));
    c->group_count = 0;
    return RML_OK;
}

// The box of this frame is known: cut the face out.
static rml_status take(rml_chain *c, rml_slot *s, rml_error *err)
{
    s->has_face = rml_track_raw(c->track, s->place)->source != RML_FACE_NONE;
    if (s->has_face) {
        double start = rml_clock_ms();
        RML_TRY(c->lips->listen(c->lips, &s->plan, s->item.sound, err));
        double heard = rml_clock_ms();
        s->box = rml_track_box(c->track, s->place);
        s->item.source = s->source;
        s->item.box = s->box;
        rml_pixels face = {s->picture->data + (size_t)s->box.y1 * s->picture->pitch +
                               (size_t)s->box.x1 * RML_FRAME_CHANNELS,
                           s->picture->pitch, s->box.x2 - s->box.x1, s->box.y2 - s->box.y1};
        const int side = c->lips->side;
        rml_pixels_out patch = {s->item.patch, (size_t)side * RML_FRAME_CHANNELS, side, side};
        RML_TRY(rml_resize_opencv(c->crop_resizer, face, patch, RML_FRAME_CHANNELS, err));
        c->result->stage_ms[RML_STAGE_SOUND] += heard - start;
        c->result->stage_ms[RML_STAGE_CROP] += rml_clock_ms() - heard;
    }
    c->group[c->group_count++] = s;
    return c->group_count == c->batch ? flush(c, err) : RML_OK;
}

static rml_status take_ready(rml_chain *c, rml_error *err)
{
    while (c->pending_count > 0 &&
           c->pending[c->pending_first]->place < rml_track_ready(c->track)) {
        rml_slot *s = c->pending[c->pending_first];
        c->pending_first = (c->pending_first + 1) % c->slot_count;
        c->pending_count--;
        RML_TRY(take(c, s, err));
    }
    return RML_OK;
}

static rml_status next_slot(rml_chain *c, rml_slot **s, rml_error *err)
{
    if (!c->threaded)
        return rml_decode_step(c, s, err);
    *s = rml_ring_pop(c->decoded);
    return RML_OK;
}

// The clip has ended: nothing waits for later frames.
static rml_status finish(rml_chain *c, rml_error *err)
{
    RML_TRY(rml_track_finish(c->track, err));
    RML_TRY(take_ready(c, err));
    return flush(c, err);
}

rml_status rml_work_through(rml_chain *c, rml_error *err)
{
    const rml_lipsync_settings *settings = &c->job->settings;
    for (;;) {
        if (settings->cancelled && settings->cancelled(settings->user))
            return rml_fail(err, RML_ERR_IO, "stopped; nothing is left of the result");
        rml_slot *s;
        RML_TRY(next_slot(c, &s, err));
        if (!s || atomic_load(&c->abandoned))
            break;
        if (s == &c->turn) {
            RML_TRY(finish(c, err));
            continue;
        }
        if (s->source >= rml_track_count(c->track))
            RML_TRY(track_face(c, s, err));
        else if (s->again)
            RML_TRY(rml_track_finish(c->track, err));
        if (s->hidden) {
            rml_ring_push(c->free, s);
            RML_TRY(take_ready(c, err));
            continue;
        }
        c->pending[(c->pending_first + c->pending_count) % c->slot_count] = s;
        c->pending_count++;
        RML_TRY(take_ready(c, err));
        // A hold can have any number of frames; smoothing needs no more than stand for a moment.
        if (c->pending_count > RML_TRACK_LOOK_AHEAD) {
            rml_track_end_shot(c->track);
            RML_TRY(take_ready(c, err));
        }
        // Looking for faces can take longer than all the rest, so what went through it counts.
        if (settings->progress)
            settings->progress(settings->user, c->emitted + c->group_count + c->pending_count,
                               c->job->schedule.total);
    }
    return atomic_load(&c->abandoned) ? RML_OK : finish(c, err);
}
