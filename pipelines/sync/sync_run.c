// The work: pictures and sound to windows, windows to embeddings.
#include "pipelines/batches.h"
#include "pipelines/faces/face_scout.h"
#include "pipelines/sync/sync_job.h"
#include "tensor/status.h"

#include <math.h>
#include <string.h>

#define SIDE 96 // of a face, whose lower half the network sees
#define ROWS (SIDE / 2)
#define HALF_COUNT (RML_FRAME_CHANNELS * ROWS * SIDE)
#define FACE_COUNT (RML_SYNC_WINDOW * HALF_COUNT)
#define CHUNK_COUNT (RML_MEL_BANDS * RML_MEL_CHUNK)
#define FRAME_SAMPLES (RML_MEL_RATE / RML_SYNC_RATE)
#define BATCH 8
#define MOST_START 36000.0 // seconds; a damaged file may state any
#define MOST_FIXED 1024    // windows in one run of a graph file

typedef struct chain {
    rml_sync *job;
    rml_session *session;
    rml_face_finder *detector;
    rml_track *track;
    rml_resizer *resizer;
    rml_shot shot;      // as BGR, which the measure is defined on
    rml_signature last; // of the picture looked at before
    bool looked;
    // The last pictures, that of slot k at k % RML_SYNC_WINDOW.
    float halves[RML_SYNC_WINDOW][HALF_COUNT];
    bool faces[RML_SYNC_WINDOW];
    int64_t slots;   // pictures at 25 a second so far
    int64_t most;    // that the sound is long enough for
    int64_t ahead;   // columns of sound before the first picture
    int64_t windows; // so far
    int room, group; // windows of a run, and those that wait for one
    bool *shown;     // of these, whether all five pictures have a face
} chain;

// ---- the network --------------------------------------------------------------------------------

static rml_status run_group(chain *c, rml_error *err)
{
    if (c->group == 0)
        return RML_OK;
    RML_TRY(rml_session_run(c->session, err));
    rml_shape shape;
    const float *sound = rml_session_output(c->session, "audio_embedding", &shape);
    const float *lips = rml_session_output(c->session, "face_embedding", NULL);
    const size_t width = (size_t)shape.dim[1];
    RML_TRY(rml_check_finite(sound, (size_t)c->group * width, err));
    RML_TRY(rml_check_finite(lips, (size_t)c->group * width, err));
    for (size_t i = 0; i < (size_t)c->group; i++)
        RML_TRY(rml_sync_meter_push(c->job->meter, c->shown[i] ? lips + i * width : NULL,
                                    sound + i * width, err));
    c->group = 0;
    return RML_OK;
}

// Window i, of which the slots i .. i+4 are those that are kept.
static rml_status add_window(chain *c, int64_t i, rml_error *err)
{
    float *face = rml_session_input(c->session, "face", NULL);
    float *audio = rml_session_input(c->session, "audio", NULL);
    face += (size_t)c->group * FACE_COUNT;
    audio += (size_t)c->group * CHUNK_COUNT;
    bool shown = true;
    for (int t = 0; t < RML_SYNC_WINDOW; t++)
        shown = shown && c->faces[(i + t) % RML_SYNC_WINDOW];
    for (int t = 0; t < RML_SYNC_WINDOW; t++) {
        if (shown)
            memcpy(face + (size_t)t * HALF_COUNT, c->halves[(i + t) % RML_SYNC_WINDOW],
                   HALF_COUNT * sizeof *face);
        else
            memset(face + (size_t)t * HALF_COUNT, 0, HALF_COUNT * sizeof *face);
    }
    const int64_t start = (int64_t)(RML_MEL_COLUMNS_PER_SECOND * ((double)i / RML_SYNC_RATE));
    RML_TRY(rml_speech_chunk(c->job->speech, start + c->ahead, audio, err));
    c->shown[c->group++] = shown;
    c->windows++;
    return c->group == c->room ? run_group(c, err) : RML_OK;
}

// The next picture at 25 a second; `half` NULL: without a face. The measure leaves the last window
// out, so a window is looked at when there is a picture behind it.
static rml_status add_slot(chain *c, const float *half, rml_error *err)
{
    const int place = (int)(c->slots % RML_SYNC_WINDOW);
    if (c->slots >= RML_SYNC_WINDOW)
        RML_TRY(add_window(c, c->slots - RML_SYNC_WINDOW, err));
    c->faces[place] = half != NULL;
    if (half)
        memcpy(c->halves[place], half, HALF_COUNT * sizeof *half);
    c->slots++;
    return RML_OK;
}

// ---- pictures -----------------------------------------------------------------------------------

static rml_status find_face(chain *c, int64_t source, rml_error *err)
{
    rml_face face;
    rml_signature now;
    rml_signature_make(&now, &c->shot.planes);
    const bool cut = c->looked && rml_signature_is_cut(&c->last, &now);
    c->last = now;
    c->looked = true;
    const rml_place_frame frame = {source, rml_frame_seconds(&c->shot.frame), &c->shot.planes, cut};
    RML_TRY(
        rml_face_places_find(&c->job->places, c->detector, &frame, &face, c->job->allocator, err));
    return rml_track_push(c->track, &face, cut, err);
}

// Three planes of the lower half, B first. x / 255 is rounded once, as upstream's.
static rml_status cut_half(chain *c, rml_box box, float *half, rml_error *err)
{
    uint8_t patch[SIDE * SIDE * RML_FRAME_CHANNELS];
    const rml_pixels face = {c->shot.frame.data + (size_t)box.y1 * c->shot.frame.pitch +
                                 (size_t)box.x1 * RML_FRAME_CHANNELS,
                             c->shot.frame.pitch, box.x2 - box.x1, box.y2 - box.y1};
    const rml_pixels_out scaled = {patch, (size_t)SIDE * RML_FRAME_CHANNELS, SIDE, SIDE};
    RML_TRY(rml_resize_opencv(c->resizer, face, scaled, RML_FRAME_CHANNELS, err));
    const uint8_t *from = patch + (SIDE - ROWS) * SIDE * RML_FRAME_CHANNELS;
    for (int channel = 0; channel < RML_FRAME_CHANNELS; channel++)
        for (int i = 0; i < ROWS * SIDE; i++)
            half[channel * ROWS * SIDE + i] =
                (float)from[i * RML_FRAME_CHANNELS + channel] / 255.0f;
    return RML_OK;
}

// The slot whose time is nearest.
static int64_t slot_of(const chain *c, int64_t pts)
{
    const rml_clip_info *info = rml_clip_info_of(c->job->clip);
    const double seconds = (double)pts * rml_rational_value(info->time_base);
    const double slot = floor(seconds * RML_SYNC_RATE + 0.5 + 1e-6);
    return slot < 0 ? 0 : slot > (double)c->most ? c->most : (int64_t)slot;
}

static rml_status take_frame(chain *c, const rml_clip_step *step, rml_error *err)
{
    float half[HALF_COUNT];
    const int64_t from = slot_of(c, step->pts), to = slot_of(c, step->end_pts);
    // What is in a faces file is there for every frame.
    if (to <= c->slots && !c->job->places.path)
        return RML_OK;
    RML_TRY(rml_clip_read(c->job->clip, step->source, &c->shot, err));
    RML_TRY(find_face(c, step->source, err));
    const int64_t index = rml_track_count(c->track) - 1;
    const bool has_face = rml_track_raw(c->track, index)->source != RML_FACE_NONE;
    if (has_face && to > c->slots)
        RML_TRY(cut_half(c, rml_track_box(c->track, index), half, err));
    while (c->slots < from)
        RML_TRY(add_slot(c, NULL, err));
    while (c->slots < to)
        RML_TRY(add_slot(c, has_face ? half : NULL, err));
    return RML_OK;
}

// ---- all of it ----------------------------------------------------------------------------------

static int64_t expected(const chain *c)
{
    const rml_clip_info *info = rml_clip_info_of(c->job->clip);
    const double slots =
        info->fps > 0 ? (double)info->frames_estimate / info->fps * RML_SYNC_RATE : 0;
    if (slots < 1)
        return -1;
    return slots < (double)c->most ? (int64_t)slots : c->most;
}

static rml_status work(chain *c, rml_error *err)
{
    const rml_sync_settings *s = &c->job->settings;
    const int64_t total = expected(c);
    const rml_face_scout_settings wanted = {.clip = &s->clip,
                                            .seconds = (double)c->most / RML_SYNC_RATE,
                                            .cancelled = s->cancelled,
                                            .user = s->user};
    RML_TRY(rml_face_scout(&c->job->places, c->detector, &wanted, c->job->allocator, err));
    while (c->slots < c->most) {
        rml_clip_step step;
        if (s->cancelled && s->cancelled(s->user))
            return rml_fail(err, RML_ERR_IO, "stopped");
        RML_TRY(rml_clip_plan(c->job->clip, &step, err));
        const int64_t count = rml_clip_count(c->job->clip);
        if (count && step.place >= count) // from here on the clip repeats
            break;
        RML_TRY(take_frame(c, &step, err));
        if (s->progress)
            s->progress(s->user, c->slots, total >= 0 && c->slots > total ? c->slots : total);
    }
    RML_TRY(run_group(c, err));
    if (c->windows == 0)
        return rml_fail(err, RML_ERR_ARG,
                        "%s: too short to compare lips and sound: %lld pictures at %d a second and "
                        "%.2f s of sound, of which at least %d and %.2f s are needed",
                        s->clip.path, (long long)c->slots, RML_SYNC_RATE,
                        rml_speech_info_of(c->job->speech)->seconds, RML_SYNC_WINDOW + 1,
                        (RML_SYNC_WINDOW + 1.0) / RML_SYNC_RATE);
    RML_TRY(rml_named(rml_sync_meter_finish(c->job->meter, err), err, s->clip.path));
    return rml_face_places_keep(&c->job->places, c->job->allocator, err);
}

static rml_status begin(chain *c, const rml_model *model, rml_error *err)
{
    const rml_allocator *allocator = c->job->allocator;
    const rml_clip_info *info = rml_clip_info_of(c->job->clip);
    const rml_speech_info *voice = rml_speech_info_of(c->job->speech);
    const int fixed = rml_fixed_batch(model, MOST_FIXED);
    c->room = fixed ? fixed : BATCH;
    const double start = fmin(fmax(info->start_seconds - voice->late, -MOST_START), MOST_START);
    c->ahead = llround(start * RML_MEL_COLUMNS_PER_SECOND);
    const int64_t samples = voice->samples - c->ahead * RML_MEL_HOP;
    c->most = samples > 0 ? samples / FRAME_SAMPLES : 0;
    const rml_shape audio = {4, {c->room, 1, RML_MEL_BANDS, RML_MEL_CHUNK}};
    const rml_shape face = {4, {c->room, RML_SYNC_WINDOW * RML_FRAME_CHANNELS, ROWS, SIDE}};
    RML_TRY(rml_session_resize(c->session, "audio", audio, err));
    RML_TRY(rml_session_resize(c->session, "face", face, err));
    RML_TRY(rml_session_prepare(c->session, err));
    memset(rml_session_input(c->session, "audio", NULL), 0,
           (size_t)c->room * CHUNK_COUNT * sizeof(float));
    memset(rml_session_input(c->session, "face", NULL), 0,
           (size_t)c->room * FACE_COUNT * sizeof(float));
    rml_shape sound = {0}, lips = {0};
    const bool both = rml_session_output(c->session, "audio_embedding", &sound) &&
                      rml_session_output(c->session, "face_embedding", &lips);
    if (!both || sound.rank != 2 || lips.rank != 2 || sound.dim[0] != c->room ||
        lips.dim[0] != c->room || sound.dim[1] != lips.dim[1] || sound.dim[1] < 1)
        return rml_fail(err, RML_ERR_SHAPE,
                        "the network does not give two embeddings of one width as SyncNet does");
    const rml_track_settings track = {
        .width = info->width, .height = info->height, .any_fit = true};
    RML_TRY(rml_track_create(&c->track, &track, allocator, err));
    RML_TRY(rml_resizer_create(&c->resizer, allocator, err));
    RML_TRY(rml_make(allocator, &c->shown, (size_t)c->room, sizeof *c->shown, "windows", err));
    return rml_sync_meter_create(&c->job->meter, sound.dim[1], allocator, err);
}

rml_status rml_sync_run(rml_sync *job, const rml_model *model, rml_session *session,
                        rml_face_finder *detector, rml_error *err)
{
    chain *c;
    RML_TRY(rml_make(job->allocator, &c, 1, sizeof *c, "the work", err));
    c->job = job;
    c->session = session;
    c->detector = detector;
    rml_status status = begin(c, model, err);
    if (status == RML_OK)
        status = work(c, err);
    if (status != RML_OK) {
        rml_spool_explain(&job->video, err);
        rml_spool_explain(&job->audio, err);
    }
    rml_track_destroy(&c->track);
    rml_resizer_destroy(&c->resizer);
    rml_shot_release(&c->shot);
    rml_free(job->allocator, c->shown);
    rml_free(job->allocator, c);
    return status;
}
