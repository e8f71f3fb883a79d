// The stages of a lip-sync run that look at pictures: faces, batches, the network.
#include "pipelines/lipsync/lipsync_chain.h"
#include "engine/node_time.h"
#include "pipelines/faces/face_tilt.h"
#include "tensor/status.h"

#include <string.h>

static double source_seconds(const rml_slot *s)
{
    return (double)s->picture->pts * rml_rational_value(s->picture->time_base);
}

// ---- detect, batch, network ---------------------------------------------------------------------

static rml_status find_faces(rml_chain *c, const rml_slot *s, bool cut,
                             rml_face faces[RML_LIP_VOICES], rml_error *err)
{
    rml_lipsync *job = c->job;
    const bool looks = s->source >= rml_face_places_known(&job->places);
    const double start = looks ? rml_clock_ms() : 0;
    const rml_place_frame frame = {s->source, source_seconds(s), &s->picture->planes, cut};
    RML_TRY(rml_face_places_find(&job->places, c->detector, &frame, faces, c->allocator, err));
    if (looks)
        c->result->stage_ms[RML_STAGE_DETECT] += rml_clock_ms() - start;
    for (int i = 0; i < job->voice_count; i++)
        if (faces[i].source == RML_FACE_NONE && (job->settings.strict || job->settings.compat))
            return rml_fail(err, RML_ERR_ARG, "%s: no face in frame %lld, at %.3f s",
                            job->settings.clip.path, (long long)s->source, faces[i].seconds);
    return RML_OK;
}

// A source frame that comes by for the first time.
static rml_status track_faces(rml_chain *c, const rml_slot *s, rml_error *err)
{
    rml_face faces[RML_LIP_VOICES];
    const bool cut = s->source > 0 && rml_signature_is_cut(&c->last_signature, &s->signature);
    c->last_signature = s->signature;
    RML_TRY(find_faces(c, s, cut, faces, err));
    for (int i = 0; i < c->job->voice_count; i++)
        RML_TRY(rml_track_push(c->tracks[i], &faces[i], cut, err));
    return RML_OK;
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

// Runs the network on the faces of the group, a batch at a time.
static rml_status run_group(rml_chain *c, rml_error *err)
{
    rml_lip_item *items[RML_LIPSYNC_MAX_BATCH];
    uint8_t *given[RML_LIPSYNC_MAX_BATCH];
    float voiced[RML_LIPSYNC_MAX_BATCH];
    const bool round = !c->job->settings.compat;
    int count = 0;
    for (int i = 0; i < c->group_count; i++)
        for (rml_slot *s = c->group[i]; s; s = s->also) {
            if (!s->generated)
                continue;
            items[count] = &s->item;
            given[count] = s->given;
            voiced[count++] = s->voiced;
            if (count < c->batch)
                continue;
            RML_TRY(rml_mouth_run(c->mouth, items, given, voiced, count, round, err));
            count = 0;
        }
    return count > 0 ? rml_mouth_run(c->mouth, items, given, voiced, count, round, err) : RML_OK;
}

// Runs the network and hands all frames of the group on, in order.
static rml_status flush(rml_chain *c, rml_error *err)
{
    double start = rml_clock_ms();
    RML_TRY(run_group(c, err));
    c->result->stage_ms[RML_STAGE_NETWORK] += rml_clock_ms() - start;
    for (int i = 0; i < c->group_count; i++)
        for (rml_slot *s = c->group[i]; s; s = s->also)
            if (s->generated)
                rml_mouth_fade_face(c->mouth, s->item.patch, s->given, s->share);
    for (int i = 0; i < c->group_count; i++)
        RML_TRY(emit(c, c->group[i], err));
    c->group_count = 0;
    return RML_OK;
}

// The box of this voice's face is known: cut the face out.
static rml_status take_face(rml_chain *c, rml_slot *s, int voice, rml_error *err)
{
    rml_track *track = c->tracks[voice];
    s->has_face = rml_track_raw(track, s->place)->source != RML_FACE_NONE;
    s->jumps = rml_track_jumps(track, s->place);
    s->voiced = rml_mouth_voiced(c->mouth, c->job->speeches[voice], &s->plan);
    s->fit = rml_track_fit(track, s->place);
    s->share = rml_track_share(track, s->place);
    s->generated = s->has_face && s->share > 0 && rml_mouth_moves(c->mouth, s->voiced);
    if (s->generated) {
        double start = rml_clock_ms();
        RML_TRY(c->lips->listen(c->lips, voice, &s->plan, s->item.sound, err));
        rml_mouth_fade_sound(c->mouth, s->voiced, s->item.sound);
        double heard = rml_clock_ms();
        s->angle = 0;
        s->box = rml_track_box(track, s->place);
        if (!c->job->settings.no_upright)
            s->angle = rml_track_turn(track, s->place, &s->box);
        s->has_marks = rml_track_marks(track, s->place, s->marks);
        s->item.voice = voice;
        s->item.source = s->source;
        s->item.box = s->box;
        RML_TRY(rml_crop_step(c, s, err));
        c->result->stage_ms[RML_STAGE_SOUND] += heard - start;
        c->result->stage_ms[RML_STAGE_CROP] += rml_clock_ms() - heard;
    }
    return RML_OK;
}

static rml_status take(rml_chain *c, rml_slot *s, rml_error *err)
{
    int voice = 0;
    for (rml_slot *face = s; face; face = face->also) {
        face->picture = s->picture;
        face->source = s->source;
        face->place = s->place;
        face->plan = s->plan;
        RML_TRY(take_face(c, face, voice++, err));
    }
    c->group[c->group_count++] = s;
    return c->group_count == c->batch ? flush(c, err) : RML_OK;
}

// All tracks are as far as the first.
static rml_status take_ready(rml_chain *c, rml_error *err)
{
    while (c->pending_count > 0 &&
           c->pending[c->pending_first]->place < rml_track_ready(c->tracks[0])) {
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

static rml_status finish_tracks(rml_chain *c, rml_error *err)
{
    for (int i = 0; i < c->job->voice_count; i++)
        RML_TRY(rml_track_finish(c->tracks[i], err));
    return RML_OK;
}

// The clip has ended: nothing waits for later frames.
static rml_status finish(rml_chain *c, rml_error *err)
{
    RML_TRY(finish_tracks(c, err));
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
        if (s->source >= rml_track_count(c->tracks[0]))
            RML_TRY(track_faces(c, s, err));
        else if (s->again)
            RML_TRY(finish_tracks(c, err));
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
            for (int i = 0; i < c->job->voice_count; i++)
                rml_track_end_shot(c->tracks[i]);
            RML_TRY(take_ready(c, err));
        }
        // Looking for faces can take longer than all the rest, so what went through it counts.
        if (settings->progress)
            settings->progress(settings->user, c->emitted + c->group_count + c->pending_count,
                               c->job->schedule.total);
    }
    return atomic_load(&c->abandoned) ? RML_OK : finish(c, err);
}
