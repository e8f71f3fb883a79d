// The chain of stages. Three threads: one decodes; the caller's looks for faces and runs the
// network (which has threads of its own); one pastes and encodes. Slots go round:
//
//   free -> [decode] -> decoded -> [detect, wait for the box, batch, network] -> finished
//        -> [paste, encode] -> free
//
// All rings hold all slots there are, so only an empty ring makes a stage wait. In a build
// without threads the caller does the steps of the other two itself.
#include "pipelines/lipsync/lipsync_chain.h"
#include "engine/node_time.h"
#include "pipelines/faces/face_scout.h"
#include "tensor/alloc.h"

#include <math.h>
#include <string.h>

// Frames in flight take at most so much; large pictures make batches smaller, which changes the
// speed a little and no result.
#define SLOT_BUDGET_BYTES (INT64_C(128) << 20)
// Of small pictures there are more than the stages need: the more, the fewer are decoded again when
// the clip is played backwards.
#define ROOMY_BYTES (INT64_C(64) << 20)
#define ROOMY_SLOTS 64
// Besides two batches (one with the network, one with the encoder): those that wait for a smoothed
// box, and one or two in the hands of each stage.
#define EXTRA_SLOTS (RML_TRACK_LOOK_AHEAD + 5)
// A constant, not a directive around the calls: both ways are compiled in every build.
#ifdef RML_WITH_THREADS
enum { HAVE_THREADS = 1 };
#else
enum { HAVE_THREADS = 0 };
#endif

// ---- decode -------------------------------------------------------------------------------------

// Plans what is read next: one output frame, or a run of them that is played backwards. The output
// may end within it: times are known beforehand.
static rml_status plan_run(rml_chain *c, rml_error *err)
{
    rml_schedule *schedule = &c->job->schedule;
    rml_clip_step *step = &c->step;
    c->run_count = c->delivered = 0;
    while (c->run_count < c->slot_count) {
        rml_planned *next = &c->run[c->run_count];
        const bool shown = rml_schedule_next(schedule, &next->plan);
        if (!shown && schedule->done)
            break;
        // Every source frame is looked at once, so that boxes have the numbers of frames.
        if (shown || c->fresh) {
            next->source = step->source;
            next->place = step->place;
            next->hidden = !shown;
            c->fresh = false;
            c->run_count++;
            if (!step->back)
                break;
        } else if (c->run_count > 0 && !step->back) {
            break;
        } else {
            RML_TRY(rml_clip_plan(c->job->clip, step, err));
            rml_schedule_show(schedule, step->pts, step->end_pts);
            c->fresh = step->place == step->source;
        }
    }
    return RML_OK;
}

// Reads the run from its end, into slots as they come free.
static rml_status read_run(rml_chain *c, rml_error *err)
{
    const int64_t count = rml_clip_count(c->job->clip);
    const rml_shot *still = rml_clip_still(c->job->clip);
    const bool doubled = c->job->settings.clip.repeat == RML_REPEAT_DOUBLED;
    for (int i = c->run_count; i-- > 0;) {
        rml_slot *s = rml_ring_pop(c->free);
        if (!s || atomic_load(&c->abandoned)) {
            c->run_count = 0;
            return RML_OK;
        }
        double start = rml_clock_ms();
        rml_planned *planned = &c->run[i];
        s->source = planned->source;
        s->plan = planned->plan;
        s->again = planned->place > planned->source;
        s->hidden = planned->hidden;
        s->place = doubled && count > 1 ? planned->place % (2 * count) : s->source;
        s->picture = still ? still : &s->shot;
        if (!still)
            RML_TRY(rml_clip_read(c->job->clip, s->source, &s->shot, err));
        if (s->source >= c->seen) {
            rml_signature_make(&s->signature, &s->picture->planes);
            c->seen = s->source + 1;
        }
        planned->slot = s;
        c->result->stage_ms[RML_STAGE_DECODE] += rml_clock_ms() - start;
    }
    return RML_OK;
}

rml_status rml_decode_step(rml_chain *c, rml_slot **out, rml_error *err)
{
    *out = NULL;
    const bool announced = c->announced;
    if (!announced && c->delivered == c->run_count) {
        RML_TRY(plan_run(c, err));
        c->announced = c->run_count > 1;
    }
    if (c->announced && !announced) {
        *out = &c->turn;
        return RML_OK;
    }
    c->announced = false;
    if (c->delivered == 0)
        RML_TRY(read_run(c, err));
    if (c->delivered < c->run_count)
        *out = c->run[c->delivered++].slot;
    return RML_OK;
}

static void abandon(rml_chain *c)
{
    atomic_store(&c->abandoned, true);
    rml_ring_close(c->free);
    rml_ring_close(c->decoded);
    rml_ring_close(c->finished);
}

static void decode_main(void *user)
{
    rml_chain *c = user;
    rml_slot *s;
    do {
        c->decode.status = rml_decode_step(c, &s, &c->decode.err);
    } while (c->decode.status == RML_OK && s && rml_ring_push(c->decoded, s));
    if (c->decode.status != RML_OK)
        abandon(c);
    rml_ring_close(c->decoded);
}

static void output_main(void *user)
{
    rml_chain *c = user;
    rml_slot *s;
    while (c->output.status == RML_OK && (s = rml_ring_pop(c->finished)) != NULL &&
           !atomic_load(&c->abandoned))
        c->output.status = rml_output_step(c, s, &c->output.err);
    if (c->output.status != RML_OK)
        abandon(c);
}

// ---- the whole ----------------------------------------------------------------------------------

static void choose_sizes(rml_chain *c)
{
    const int64_t side = c->lips->side;
    const int64_t picture = rml_clip_still(c->job->clip)
                                ? 0 // all slots show the same
                                : rml_planes_bytes(&rml_clip_first(c->job->clip)->planes);
    const int64_t patches = 2 * (int64_t)c->job->voice_count;
    const int64_t frame_bytes = picture + patches * side * side * RML_FRAME_CHANNELS;
    int64_t batch = (SLOT_BUDGET_BYTES / frame_bytes - EXTRA_SLOTS) / 2;
    batch = batch > c->job->settings.batch ? c->job->settings.batch : batch;
    batch = batch > RML_LIPSYNC_MAX_BATCH ? RML_LIPSYNC_MAX_BATCH : batch;
    c->batch = batch < 1 ? 1 : (int)batch;
    const int64_t roomy = ROOMY_BYTES / frame_bytes;
    c->slot_count = 2 * c->batch + EXTRA_SLOTS;
    if (roomy > c->slot_count)
        c->slot_count = roomy < ROOMY_SLOTS ? (int)roomy : ROOMY_SLOTS;
    c->result->batch = c->batch;
}

// The pictures and pieces of sound that belong to the slots.
static rml_status make_items(rml_chain *c, rml_error *err)
{
    const size_t frames = (size_t)c->slot_count, side = (size_t)c->lips->side;
    const size_t also = (size_t)c->job->voice_count - 1, count = frames * (1 + also);
    const size_t patch_bytes = side * side * RML_FRAME_CHANNELS;
    c->patches = rml_alloc_zero(c->allocator, 2 * count, patch_bytes);
    c->sounds = rml_alloc_zero(c->allocator, count, c->lips->sound_count * sizeof *c->sounds);
    if (also)
        c->also = rml_alloc_zero(c->allocator, frames * also, sizeof *c->also);
    if (!c->patches || !c->sounds || (also && !c->also))
        return rml_fail_nomem(err, count * patch_bytes, "the faces in flight");
    for (size_t i = 0; i < count; i++) {
        // The slots, then the further faces of the first, those of the second, ...
        rml_slot *s = i < frames ? &c->slots[i] : &c->also[i - frames];
        const size_t next = i < frames ? i * also : i - frames + 1;
        s->also = also && (i < frames || next % also) ? &c->also[next] : NULL;
        s->item.patch = c->patches + 2 * i * patch_bytes;
        s->given = s->item.patch + patch_bytes;
        s->item.sound = c->sounds + i * c->lips->sound_count;
    }
    return RML_OK;
}

static rml_status start_listening(rml_chain *c, rml_error *err)
{
    rml_lip_sound sound = {.count = c->job->voice_count,
                           .fps = rml_clip_info_of(c->job->clip)->fps,
                           .compat = c->job->settings.compat};
    for (int i = 0; i < sound.count; i++)
        sound.voices[i] = (rml_lip_voice){c->job->speeches[i], c->job->settings.voices[i].path};
    const double start = rml_clock_ms();
    RML_TRY(c->lips->begin(c->lips, &sound, err));
    c->result->stage_ms[RML_STAGE_SOUND] += rml_clock_ms() - start;
    return RML_OK;
}

static rml_status sign_result(void *user, const char *source, const char *result, rml_error *err)
{
    const rml_chain *c = user;
    const char *manifest;
    RML_TRY(rml_result_mark_manifest(c->mark, &manifest, err));
    return rml_c2pa_sign(c->job->c2pa, manifest, source, result, err);
}

// The weights are open by now, so that nothing is digested that cannot be used.
static rml_status start_mark(rml_chain *c, rml_error *err)
{
    if (!c->job->settings.mark)
        return RML_OK;
    RML_TRY(rml_result_mark_start(&c->mark, c->job->settings.mark, c->allocator, err));
    c->job->encode.mark = (rml_mark){rml_result_mark_packet, c->mark};
    if (c->job->c2pa)
        c->job->encode.seal = (rml_seal){sign_result, c};
    return RML_OK;
}

static rml_status make_chain(rml_chain *c, rml_error *err)
{
    const rml_lipsync_settings *s = &c->job->settings;
    const rml_clip_info *info = rml_clip_info_of(c->job->clip);
    RML_TRY(start_mark(c, err));
    RML_TRY(start_listening(c, err));
    choose_sizes(c);
    size_t count = (size_t)c->slot_count;
    c->slots = rml_alloc_zero(c->allocator, count, sizeof *c->slots);
    c->pending = rml_alloc_zero(c->allocator, count, sizeof *c->pending);
    c->run = rml_alloc_zero(c->allocator, count, sizeof *c->run);
    c->group = rml_alloc_zero(c->allocator, (size_t)c->batch, sizeof *c->group);
    if (!c->slots || !c->pending || !c->run || !c->group)
        return rml_fail_nomem(err, count * sizeof *c->slots, "the frames in flight");
    RML_TRY(make_items(c, err));
    RML_TRY(rml_ring_create(&c->free, count, c->allocator, err));
    RML_TRY(rml_ring_create(&c->decoded, count + 1, c->allocator, err));
    RML_TRY(rml_ring_create(&c->finished, count, c->allocator, err));
    for (size_t i = 0; i < count; i++)
        rml_ring_push(c->free, &c->slots[i]);
    rml_track_settings track = {.width = info->width,
                                .height = info->height,
                                .compat = s->compat,
                                .doubled = s->clip.repeat == RML_REPEAT_DOUBLED &&
                                           !s->clip.first_frame_only && !info->still};
    if (!c->job->places.by_hand) {
        track.top = s->pads[0];
        track.bottom = s->pads[1];
        track.left = s->pads[2];
        track.right = s->pads[3];
        track.smooth = !s->no_smooth;
    }
    for (int i = 0; i < c->job->voice_count; i++)
        RML_TRY(rml_track_create(&c->tracks[i], &track, c->allocator, err));
    RML_TRY(rml_resizer_create(&c->crop_resizer, c->allocator, err));
    RML_TRY(rml_resizer_create(&c->paste_resizer, c->allocator, err));
    RML_TRY(rml_mouth_create(&c->mouth, &s->mouth, c->lips, c->job->voice_count, c->batch,
                             1.0 / info->fps, c->allocator, err));
    RML_TRY(rml_face_cutter_create(&c->cutter, c->allocator, err));
    RML_TRY(rml_face_paster_create(&c->paster, &s->paste, c->allocator, err));
    return rml_encoder_open(&c->encoder, s->out_path, &c->job->encode, c->allocator, err);
}

static void free_chain(rml_chain *c)
{
    rml_encoder_abort(&c->encoder);
    rml_result_mark_end(&c->mark);
    c->job->encode.mark = (rml_mark){0};
    c->job->encode.seal = (rml_seal){0};
    rml_face_paster_destroy(&c->paster);
    rml_mouth_destroy(&c->mouth);
    rml_face_cutter_destroy(&c->cutter);
    rml_resizer_destroy(&c->paste_resizer);
    rml_resizer_destroy(&c->crop_resizer);
    for (int i = 0; i < RML_LIP_VOICES; i++)
        rml_track_destroy(&c->tracks[i]);
    rml_ring_destroy(&c->finished);
    rml_ring_destroy(&c->decoded);
    rml_ring_destroy(&c->free);
    rml_frame_release(&c->patch);
    rml_shot_release(&c->still);
    rml_shot_release(&c->canvas);
    for (int i = 0; c->slots && i < c->slot_count; i++)
        rml_shot_release(&c->slots[i].shot);
    rml_free(c->allocator, c->group);
    rml_free(c->allocator, c->run);
    rml_free(c->allocator, c->pending);
    rml_free(c->allocator, c->sounds);
    rml_free(c->allocator, c->patches);
    rml_free(c->allocator, c->also);
    rml_free(c->allocator, c->slots);
}

// Whom the user asked for, before the work.
static rml_status find_wanted(rml_chain *c, rml_error *err)
{
    rml_lipsync *job = c->job;
    const rml_lipsync_settings *s = &job->settings;
    rml_face_scout_settings wanted = {.clip = &s->clip, .cancelled = s->cancelled, .user = s->user};
    for (int i = 0; i < job->voice_count; i++)
        wanted.seconds = fmax(wanted.seconds, rml_speech_info_of(job->speeches[i])->seconds);
    const double start = rml_clock_ms();
    RML_TRY(rml_face_scout(&job->places, c->detector, &wanted, c->allocator, err));
    c->result->stage_ms[RML_STAGE_DETECT] += rml_clock_ms() - start;
    return RML_OK;
}

// Runs the three stages to their end; the first failure along the chain is the one to tell.
static rml_status run_stages(rml_chain *c, rml_error *err)
{
    rml_stage *decode = NULL, *output = NULL;
    c->threaded = HAVE_THREADS;
    if (c->threaded) {
        RML_TRY(rml_stage_start(&decode, decode_main, c, c->allocator, err));
        c->work.status = rml_stage_start(&output, output_main, c, c->allocator, &c->work.err);
    }
    if (c->work.status == RML_OK)
        c->work.status = rml_work_through(c, &c->work.err);
    if (c->work.status != RML_OK)
        abandon(c);
    rml_ring_close(c->finished);
    rml_stage_join(&output);
    // The decoder may still wait for a free slot when the output is complete.
    rml_ring_close(c->free);
    rml_stage_join(&decode);
    const rml_outcome *all[] = {&c->decode, &c->work, &c->output};
    for (int i = 0; i < 3; i++)
        if (all[i]->status != RML_OK)
            return rml_fail(err, all[i]->status, "%s", all[i]->err.message);
    return RML_OK;
}

rml_status rml_lipsync_run(rml_lipsync *job, rml_lip_net *lips, rml_face_finder *detector,
                           rml_lipsync_result *result, rml_error *err)
{
    memset(result, 0, sizeof *result);
    rml_chain c = {.job = job,
                   .allocator = job->allocator,
                   .lips = lips,
                   .detector = detector,
                   .result = result};
    atomic_init(&c.abandoned, false);
    // Who is not there is found out before a long voice is heard.
    rml_status status = find_wanted(&c, err);
    if (status == RML_OK)
        status = make_chain(&c, err);
    if (status == RML_OK)
        status = run_stages(&c, err);
    if (status == RML_OK) {
        result->source_frames = rml_track_count(c.tracks[0]);
        result->decoded = rml_clip_decoded(job->clip);
        result->damaged_packets = rml_clip_damaged_packets(job->clip);
        status = rml_face_places_keep(&job->places, job->allocator, err);
    }
    if (status == RML_OK)
        status = rml_encoder_finish(&c.encoder, &result->file, err);
    free_chain(&c);
    return rml_lipsync_explain(job, status, err);
}
