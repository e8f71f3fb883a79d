// The chain of stages. Three threads: one decodes; the caller's looks for faces and runs the
// network (which has threads of its own); one pastes and encodes. Slots go round:
//
//   free -> [decode] -> decoded -> [detect, wait for the box, batch, network] -> finished
//        -> [paste, encode] -> free
//
// All rings hold all slots there are, so only an empty ring makes a stage wait. In a build
// without threads the caller does the steps of the other two itself.
#define _POSIX_C_SOURCE 200809L
#include "media/image/blend.h"
#include "pipelines/ring.h"
#include "pipelines/faces/face_track.h"
#include "pipelines/lipsync/lipsync_job.h"
#include "tensor/alloc.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

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
// Share of the box's side over which a generated face fades into the picture.
#define FEATHER_SHARE 10

// A constant, not a directive around the calls: both ways are compiled in every build.
#ifdef RML_WITH_THREADS
enum { HAVE_THREADS = 1 };
#else
enum { HAVE_THREADS = 0 };
#endif

typedef struct {
    rml_frame frame;
    int64_t source; // index in the clip
    int64_t place;  // of its box: the same, or in the clip and its mirror image
    rml_slot_plan plan;
    rml_signature signature; // of the picture, the first time the source frame is seen
    rml_box box;
    bool has_face;
    rml_lip_item item;
} slot;

// What one stage has for itself, so that no stage touches another's.
typedef struct {
    rml_status status;
    rml_error err;
} outcome;

typedef struct {
    rml_lipsync *job;
    const rml_allocator *allocator;
    rml_lip_net *lips;
    rml_face_finder *detector;
    rml_lipsync_result *result;
    slot *slots;
    int slot_count, batch;
    uint8_t *patches; // of all slots
    float *sounds;
    rml_ring *free, *decoded, *finished;
    bool threaded;
    atomic_bool abandoned; // a stage failed: the others stop at the next slot
    // decode
    outcome decode;
    int64_t seen; // source frames decoded at least once
    rml_clip_run run;
    rml_slot_plan *plans; // of the run
    slot **read;          // the run, of which so many have been delivered
    int delivered;
    bool announced;
    slot turn;
    // the caller's stage
    outcome work;
    rml_track *track;
    rml_resizer *crop_resizer;
    rml_signature last_signature;
    bool detected_any;
    slot **pending; // wait for their box, in order; a ring of slot_count places
    int pending_first, pending_count;
    slot **group; // wait for the network
    int group_count;
    int64_t emitted;
    // paste and encode
    outcome output;
    rml_encoder *encoder;
    rml_resizer *paste_resizer;
    rml_blender *blender;
    rml_frame patch;
    bool in_gap; // the frame written last had no face
} chain;

static double clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double source_seconds(const slot *s)
{
    return rml_frame_seconds(&s->frame);
}

static double output_seconds(const chain *c, int64_t ticks)
{
    return (double)ticks * rml_rational_value(c->job->schedule.time_base);
}

// ---- decode -------------------------------------------------------------------------------------

// Plans the next run of the clip. It is cut where the output ends: times are known beforehand.
static rml_status plan_run(chain *c, rml_error *err)
{
    rml_clip *clip = c->job->clip;
    rml_clip_run *run = &c->run;
    RML_TRY(rml_clip_plan(clip, c->slot_count, run, err));
    int count = 0;
    while (count < run->count &&
           rml_schedule_next(&c->job->schedule, run->source - count,
                             rml_clip_pts(clip, run->source - count), &c->plans[count]))
        count++;
    run->count = count;
    c->delivered = 0;
    return RML_OK;
}

// Reads the run from its end, into slots as they come free.
static rml_status read_run(chain *c, rml_error *err)
{
    const int64_t count = rml_clip_count(c->job->clip);
    const bool doubled = c->job->settings.clip.repeat == RML_REPEAT_DOUBLED;
    for (int i = c->run.count; i-- > 0;) {
        slot *s = rml_ring_pop(c->free);
        if (!s || atomic_load(&c->abandoned)) {
            c->run.count = 0;
            return RML_OK;
        }
        double start = clock_ms();
        s->source = c->run.source - i;
        s->plan = c->plans[i];
        s->place = doubled && count > 1 ? s->plan.index % (2 * count) : s->source;
        RML_TRY(rml_clip_read(c->job->clip, s->source, &s->frame, err));
        if (s->source >= c->seen) {
            rml_signature_make(&s->signature, &s->frame);
            c->seen = s->source + 1;
        }
        c->read[i] = s;
        c->result->stage_ms[RML_STAGE_DECODE] += clock_ms() - start;
    }
    return RML_OK;
}

// The next frame of the output; *out = NULL when there is none left. A run that is played backwards
// may need all slots, so it is announced by &c->turn, at which nothing may be kept waiting.
static rml_status decode_step(chain *c, slot **out, rml_error *err)
{
    *out = NULL;
    const bool announced = c->announced;
    if (!announced && c->delivered == c->run.count) {
        RML_TRY(plan_run(c, err));
        c->announced = c->run.backwards && c->run.count > 0;
    }
    if (c->announced && !announced) {
        *out = &c->turn;
        return RML_OK;
    }
    c->announced = false;
    if (c->delivered == 0)
        RML_TRY(read_run(c, err));
    if (c->delivered < c->run.count)
        *out = c->read[c->delivered++];
    return RML_OK;
}

static void abandon(chain *c)
{
    atomic_store(&c->abandoned, true);
    rml_ring_close(c->free);
    rml_ring_close(c->decoded);
    rml_ring_close(c->finished);
}

static void decode_main(void *user)
{
    chain *c = user;
    slot *s;
    do {
        c->decode.status = decode_step(c, &s, &c->decode.err);
    } while (c->decode.status == RML_OK && s && rml_ring_push(c->decoded, s));
    if (c->decode.status != RML_OK)
        abandon(c);
    rml_ring_close(c->decoded);
}

// ---- paste and encode ---------------------------------------------------------------------------

static rml_feather soft_edges(const chain *c, const slot *s)
{
    if (c->job->settings.compat)
        return (rml_feather){0};
    int across = (s->box.x2 - s->box.x1) / FEATHER_SHARE;
    int down = (s->box.y2 - s->box.y1) / FEATHER_SHARE;
    return (rml_feather){.top = s->box.y1 > 0 ? down : 0,
                         .bottom = s->box.y2 < s->frame.height ? down : 0,
                         .left = s->box.x1 > 0 ? across : 0,
                         .right = s->box.x2 < s->frame.width ? across : 0};
}

static rml_status paste(chain *c, slot *s, rml_error *err)
{
    int width = s->box.x2 - s->box.x1, height = s->box.y2 - s->box.y1;
    RML_TRY(rml_frame_reserve(&c->patch, width, height, c->allocator, err));
    const int side = c->lips->side;
    rml_pixels face = {s->item.patch, (size_t)side * RML_FRAME_CHANNELS, side, side};
    rml_pixels_out scaled = {c->patch.data, c->patch.pitch, width, height};
    RML_TRY(rml_resize_opencv(c->paste_resizer, face, scaled, RML_FRAME_CHANNELS, err));
    rml_pixels ready = {c->patch.data, c->patch.pitch, width, height};
    return rml_blend_paste(c->blender, &s->frame, s->box.x1, s->box.y1, ready, soft_edges(c, s),
                           err);
}

// Frames without a face that follow one another are one range of time.
static void note_face(chain *c, const slot *s)
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

static rml_status output_step(chain *c, slot *s, rml_error *err)
{
    note_face(c, s);
    double start = clock_ms();
    if (s->has_face)
        RML_TRY(paste(c, s, err));
    double pasted = clock_ms();
    s->frame.pts = s->plan.pts;
    s->frame.time_base = c->job->schedule.time_base;
    RML_TRY(rml_encoder_write(c->encoder, &s->frame, err));
    c->result->stage_ms[RML_STAGE_PASTE] += pasted - start;
    c->result->stage_ms[RML_STAGE_ENCODE] += clock_ms() - pasted;
    c->result->frames++;
    rml_ring_push(c->free, s);
    return RML_OK;
}

static void output_main(void *user)
{
    chain *c = user;
    slot *s;
    while (c->output.status == RML_OK && (s = rml_ring_pop(c->finished)) != NULL &&
           !atomic_load(&c->abandoned))
        c->output.status = output_step(c, s, &c->output.err);
    if (c->output.status != RML_OK)
        abandon(c);
}

// ---- detect, batch, network ---------------------------------------------------------------------

static rml_status find_face(chain *c, const slot *s, bool cut, rml_face *face, rml_error *err)
{
    const rml_lipsync *job = c->job;
    const int *b = job->settings.box;
    if (job->has_box) {
        *face = (rml_face){{b[2], b[0], b[3], b[1]}, 1, RML_FACE_BY_HAND, 0};
    } else if (s->source < job->known_count) {
        *face = job->known[s->source];
    } else if (c->detector) {
        double start = clock_ms();
        RML_TRY(rml_face_finder_next(c->detector, &s->frame, cut, face, err));
        c->result->stage_ms[RML_STAGE_DETECT] += clock_ms() - start;
        c->detected_any = true;
        // Weights of little worth find boxes of no size or beside the picture; the original goes on
        // with what the padding makes of them.
        rml_box whole = {0, 0, s->frame.width, s->frame.height};
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
static rml_status track_face(chain *c, const slot *s, rml_error *err)
{
    rml_face face;
    const bool cut = s->source > 0 && rml_signature_is_cut(&c->last_signature, &s->signature);
    c->last_signature = s->signature;
    RML_TRY(find_face(c, s, cut, &face, err));
    return rml_track_push(c->track, &face, cut, err);
}

static rml_status emit(chain *c, slot *s, rml_error *err)
{
    c->emitted++;
    if (!c->threaded)
        return output_step(c, s, err);
    // Refused only when the output stage has failed, whose message is the one that counts.
    rml_ring_push(c->finished, s);
    return RML_OK;
}

// Runs the network on the faces of the group and hands all its frames on, in order.
static rml_status flush(chain *c, rml_error *err)
{
    rml_lip_item *items[RML_LIPSYNC_MAX_BATCH];
    int count = 0;
    for (int i = 0; i < c->group_count; i++)
        if (c->group[i]->has_face)
            items[count++] = &c->group[i]->item;
    double start = clock_ms();
    if (count > 0)
        RML_TRY(c->lips->run(c->lips, items, count, !c->job->settings.compat, err));
    c->result->stage_ms[RML_STAGE_NETWORK] += clock_ms() - start;
    for (int i = 0; i < c->group_count; i++)
        RML_TRY(emit(c, c->group[i], err));
    c->group_count = 0;
    return RML_OK;
}

// The box of this frame is known: cut the face out.
static rml_status take(chain *c, slot *s, rml_error *err)
{
    s->has_face = rml_track_raw(c->track, s->place)->source != RML_FACE_NONE;
    if (s->has_face) {
        double start = clock_ms();
        RML_TRY(c->lips->listen(c->lips, &s->plan, s->item.sound, err));
        double heard = clock_ms();
        s->box = rml_track_box(c->track, s->place);
        s->item.source = s->source;
        s->item.box = s->box;
        rml_pixels face = {s->frame.data + (size_t)s->box.y1 * s->frame.pitch +
                               (size_t)s->box.x1 * RML_FRAME_CHANNELS,
                           s->frame.pitch, s->box.x2 - s->box.x1, s->box.y2 - s->box.y1};
        const int side = c->lips->side;
        rml_pixels_out patch = {s->item.patch, (size_t)side * RML_FRAME_CHANNELS, side, side};
        RML_TRY(rml_resize_opencv(c->crop_resizer, face, patch, RML_FRAME_CHANNELS, err));
        c->result->stage_ms[RML_STAGE_SOUND] += heard - start;
        c->result->stage_ms[RML_STAGE_CROP] += clock_ms() - heard;
    }
    c->group[c->group_count++] = s;
    return c->group_count == c->batch ? flush(c, err) : RML_OK;
}

static rml_status take_ready(chain *c, rml_error *err)
{
    while (c->pending_count > 0 &&
           c->pending[c->pending_first]->place < rml_track_ready(c->track)) {
        slot *s = c->pending[c->pending_first];
        c->pending_first = (c->pending_first + 1) % c->slot_count;
        c->pending_count--;
        RML_TRY(take(c, s, err));
    }
    return RML_OK;
}

static rml_status next_slot(chain *c, slot **s, rml_error *err)
{
    if (!c->threaded)
        return decode_step(c, s, err);
    *s = rml_ring_pop(c->decoded);
    return RML_OK;
}

// The clip has ended: nothing waits for later frames.
static rml_status finish(chain *c, rml_error *err)
{
    RML_TRY(rml_track_finish(c->track, err));
    RML_TRY(take_ready(c, err));
    return flush(c, err);
}

static rml_status work(chain *c, rml_error *err)
{
    const rml_lipsync_settings *settings = &c->job->settings;
    for (;;) {
        if (settings->cancelled && settings->cancelled(settings->user))
            return rml_fail(err, RML_ERR_IO, "stopped; nothing is left of the result");
        slot *s;
        RML_TRY(next_slot(c, &s, err));
        if (!s || atomic_load(&c->abandoned))
            break;
        if (s == &c->turn) {
            RML_TRY(finish(c, err));
            continue;
        }
        if (s->source == rml_track_count(c->track))
            RML_TRY(track_face(c, s, err));
        else // the clip repeats, so its end has been seen
            RML_TRY(rml_track_finish(c->track, err));
        c->pending[(c->pending_first + c->pending_count) % c->slot_count] = s;
        c->pending_count++;
        RML_TRY(take_ready(c, err));
        // Looking for faces can take longer than all the rest, so what went through it counts.
        if (settings->progress)
            settings->progress(settings->user, c->emitted + c->group_count + c->pending_count,
                               c->job->schedule.total);
    }
    return atomic_load(&c->abandoned) ? RML_OK : finish(c, err);
}

// ---- the whole ----------------------------------------------------------------------------------

static void choose_sizes(chain *c)
{
    const rml_clip_info *info = rml_clip_info_of(c->job->clip);
    const int64_t side = c->lips->side;
    int64_t frame_bytes = ((int64_t)info->width * info->height + side * side) * RML_FRAME_CHANNELS;
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
static rml_status make_items(chain *c, rml_error *err)
{
    const size_t count = (size_t)c->slot_count, side = (size_t)c->lips->side;
    const size_t patch_bytes = side * side * RML_FRAME_CHANNELS;
    c->patches = rml_alloc_zero(c->allocator, count, patch_bytes);
    c->sounds = rml_alloc_zero(c->allocator, count, c->lips->sound_count * sizeof *c->sounds);
    if (!c->patches || !c->sounds)
        return rml_fail_nomem(err, count * patch_bytes, "the faces in flight");
    for (size_t i = 0; i < count; i++) {
        c->slots[i].item.patch = c->patches + i * patch_bytes;
        c->slots[i].item.sound = c->sounds + i * c->lips->sound_count;
    }
    return RML_OK;
}

static rml_status start_listening(chain *c, rml_error *err)
{
    const rml_lip_sound sound = {.speech = c->job->speech,
                                 .path = c->job->settings.audio_path,
                                 .fps = rml_clip_info_of(c->job->clip)->fps,
                                 .compat = c->job->settings.compat};
    const double start = clock_ms();
    RML_TRY(c->lips->begin(c->lips, &sound, err));
    c->result->stage_ms[RML_STAGE_SOUND] += clock_ms() - start;
    return RML_OK;
}

static rml_status make_chain(chain *c, rml_error *err)
{
    const rml_lipsync_settings *s = &c->job->settings;
    const rml_clip_info *info = rml_clip_info_of(c->job->clip);
    RML_TRY(start_listening(c, err));
    choose_sizes(c);
    size_t count = (size_t)c->slot_count;
    c->slots = rml_alloc_zero(c->allocator, count, sizeof *c->slots);
    c->pending = rml_alloc_zero(c->allocator, count, sizeof *c->pending);
    c->plans = rml_alloc_zero(c->allocator, count, sizeof *c->plans);
    c->read = rml_alloc_zero(c->allocator, count, sizeof *c->read);
    c->group = rml_alloc_zero(c->allocator, (size_t)c->batch, sizeof *c->group);
    if (!c->slots || !c->pending || !c->plans || !c->read || !c->group)
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
    if (!c->job->has_box) {
        track.top = s->pads[0];
        track.bottom = s->pads[1];
        track.left = s->pads[2];
        track.right = s->pads[3];
        track.smooth = !s->no_smooth;
    }
    RML_TRY(rml_track_create(&c->track, &track, c->allocator, err));
    RML_TRY(rml_resizer_create(&c->crop_resizer, c->allocator, err));
    RML_TRY(rml_resizer_create(&c->paste_resizer, c->allocator, err));
    RML_TRY(rml_blender_create(&c->blender, c->allocator, err));
    return rml_encoder_open(&c->encoder, s->out_path, &c->job->encode, c->allocator, err);
}

static void free_chain(chain *c)
{
    rml_encoder_abort(&c->encoder);
    rml_blender_destroy(&c->blender);
    rml_resizer_destroy(&c->paste_resizer);
    rml_resizer_destroy(&c->crop_resizer);
    rml_track_destroy(&c->track);
    rml_ring_destroy(&c->finished);
    rml_ring_destroy(&c->decoded);
    rml_ring_destroy(&c->free);
    rml_frame_release(&c->patch);
    for (int i = 0; c->slots && i < c->slot_count; i++)
        rml_frame_release(&c->slots[i].frame);
    rml_free(c->allocator, c->group);
    rml_free(c->allocator, c->read);
    rml_free(c->allocator, c->plans);
    rml_free(c->allocator, c->pending);
    rml_free(c->allocator, c->sounds);
    rml_free(c->allocator, c->patches);
    rml_free(c->allocator, c->slots);
}

// Runs the three stages to their end; the first failure along the chain is the one to tell.
static rml_status run_stages(chain *c, rml_error *err)
{
    rml_stage *decode = NULL, *output = NULL;
    c->threaded = HAVE_THREADS;
    if (c->threaded) {
        RML_TRY(rml_stage_start(&decode, decode_main, c, c->allocator, err));
        c->work.status = rml_stage_start(&output, output_main, c, c->allocator, &c->work.err);
    }
    if (c->work.status == RML_OK)
        c->work.status = work(c, &c->work.err);
    if (c->work.status != RML_OK)
        abandon(c);
    rml_ring_close(c->finished);
    rml_stage_join(&output);
    // The decoder may still wait for a free slot when the output is complete.
    rml_ring_close(c->free);
    rml_stage_join(&decode);
    const outcome *all[] = {&c->decode, &c->work, &c->output};
    for (int i = 0; i < 3; i++)
        if (all[i]->status != RML_OK)
            return rml_fail(err, all[i]->status, "%s", all[i]->err.message);
    return RML_OK;
}

rml_status rml_lipsync_run(rml_lipsync *job, rml_lip_net *lips, rml_face_finder *detector,
                           rml_lipsync_result *result, rml_error *err)
{
    memset(result, 0, sizeof *result);
    chain c = {.job = job,
               .allocator = job->allocator,
               .lips = lips,
               .detector = detector,
               .result = result};
    atomic_init(&c.abandoned, false);
    rml_status status = make_chain(&c, err);
    if (status == RML_OK)
        status = run_stages(&c, err);
    if (status == RML_OK) {
        result->source_frames = rml_track_count(c.track);
        result->decoded = rml_clip_decoded(job->clip);
        result->damaged_packets = rml_clip_damaged_packets(job->clip);
        if (job->settings.faces_path && c.detected_any)
            status = rml_faces_write(job->settings.faces_path, &job->faces_key, c.track,
                                     job->allocator, err);
    }
    if (status == RML_OK)
        status = rml_encoder_finish(&c.encoder, &result->file, err);
    free_chain(&c);
    return status;
}
