#define _POSIX_C_SOURCE 200809L
#include "pipelines/lipsync/lipsync_chain.h"
#include "pipelines/lipsync/latent_voice.h"
#include "tensor/alloc.h"

#include <math.h>
#include <sys/stat.h>

#define DEFAULT_BATCH 8
// Of a picture that begins before its sound; silence is put for what is more.
#define MOST_LEFT_OUT 1.0
// Less is the rounding of clocks, for which no frame is worth being moved off the grid.
#define LEAST_LEAD 0.005

rml_lipsync_settings rml_lipsync_settings_default(void)
{
    return (rml_lipsync_settings){
        .clip = {.still_fps = 25, .resize_factor = 1, .crop = {0, -1, 0, -1}},
        .pads = {0, 10, 0, 0},
        .box = {RML_NO_BOX, RML_NO_BOX, RML_NO_BOX, RML_NO_BOX},
        .batch = DEFAULT_BATCH,
        .temporary_folder = "/tmp",
        .mouth = {.silence = RML_SILENCE_CLOSE, .strength = 1.0},
        .paste = {.mask = RML_MASK_MOUTH, .feather = RML_MASK_FEATHER_DEFAULT},
        .codec = RML_CODEC_H264,
        .crf = RML_CRF_DEFAULT,
    };
}

const char *rml_lipsync_stage_name(rml_lipsync_stage stage)
{
    static const char *const names[RML_STAGE_COUNT] = {"decode",  "detect", "sound", "crop",
                                                       "network", "paste",  "encode"};
    return stage >= 0 && stage < RML_STAGE_COUNT ? names[stage] : "?";
}

const char *rml_doubt_name(rml_doubt doubt)
{
    static const char *const names[RML_DOUBT_COUNT] = {"no face",   "turned away", "cut off",
                                                       "too small", "jump",        "strong seam"};
    return doubt >= 0 && doubt < RML_DOUBT_COUNT ? names[doubt] : "?";
}

void rml_lipsync_quiet_libraries(void)
{
    rml_libav_quiet();
}

static bool is_same_file(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static rml_status check_not_input(const char *out, const char *in, rml_error *err)
{
    if (is_same_file(out, in))
        return rml_fail(err, RML_ERR_ARG, "%s is read and cannot be the result at the same time",
                        in);
    return RML_OK;
}

// Reads what comes out of pipes, each once; from here on the settings name files that can be read
// again.
static rml_status read_pipes(rml_lipsync *job, rml_error *err)
{
    rml_lipsync_settings *s = &job->settings;
    const rml_spool_settings wanted = {s->temporary_folder, s->cancelled, s->user};
    const char **names[RML_LIPSYNC_INPUTS] = {&s->clip.path};
    rml_spool *spools[RML_LIPSYNC_INPUTS];
    int of[RML_LIPSYNC_INPUTS], named = 1, count = 0;
    for (int i = 0; i < job->voice_count; i++)
        names[named++] = &s->voices[i].path;
    if (s->final_audio_path)
        names[named++] = &s->final_audio_path;
    for (int i = 0; i < named; i++) {
        for (of[i] = 0; of[i] < count; of[i]++)
            if (*spools[of[i]]->path && is_same_file(*names[i], spools[of[i]]->name))
                break;
        if (of[i] < count)
            continue;
        spools[count] = &job->inputs[count];
        RML_TRY(rml_spool_open(spools[count++], *names[i], &wanted, err));
    }
    RML_TRY(rml_spool_fill(spools, count, &wanted, err));
    for (int i = 0; i < named; i++)
        *names[i] = rml_spool_path(spools[of[i]]);
    return RML_OK;
}

rml_status rml_lipsync_explain(const rml_lipsync *job, rml_status status, rml_error *err)
{
    for (int i = 0; i < RML_LIPSYNC_INPUTS && status != RML_OK; i++)
        if (job->inputs[i].name)
            rml_spool_explain(&job->inputs[i], err);
    return status;
}

// What is heard: the voices, or the sound that was given.
static void describe_sound(rml_lipsync *job)
{
    const rml_lipsync_settings *s = &job->settings;
    rml_encode_settings *e = &job->encode;
    e->audio_untimed = s->compat;
    e->audio_path = s->final_audio_path ? s->final_audio_path : s->voices[0].path;
    if (s->final_audio_path)
        return;
    for (int i = 1; i < job->voice_count; i++)
        job->other_voices[i - 1] = s->voices[i].path;
    e->audio_also = job->other_voices;
    e->audio_also_count = job->voice_count - 1;
}

static void describe_output(rml_lipsync *job)
{
    const rml_clip_info *info = rml_clip_info_of(job->clip);
    rml_encode_settings *e = &job->encode;
    *e = rml_encode_settings_default();
    e->codec = job->settings.codec;
    e->crf = job->settings.crf;
    e->threads = job->settings.threads;
    e->like = rml_clip_first(job->clip);
    e->width = e->like->planes.width;
    e->height = e->like->planes.height;
    e->pix_fmt = job->settings.pix_fmt;
    e->preset = job->settings.preset;
    e->frame_rate = info->frame_rate;
    e->pixel_aspect = info->pixel_aspect;
    if (rml_orientation_swaps(e->like->planes.upright))
        e->pixel_aspect = (rml_rational){info->pixel_aspect.den, info->pixel_aspect.num};
    e->colour = info->colour;
    e->fields = info->fields;
    describe_sound(job);
}

// How many frames upstream makes of the sound.
static int64_t count_chunks(const rml_lipsync *job)
{
    const rml_speech_info *speech = rml_speech_info_of(job->speeches[0]);
    const double fps = rml_clip_info_of(job->clip)->fps;
    if (job->settings.hearing == RML_HEAR_MEL)
        return rml_mel_chunk_count(speech->columns, fps);
    const rml_voice_kind kind =
        job->settings.hearing == RML_HEAR_WHISPER ? RML_VOICE_WHISPER : RML_VOICE_WAV2VEC2;
    const rml_voice voice = {.kind = kind, .rows = rml_voice_row_count(kind, speech->samples)};
    return rml_voice_chunk_count(&voice, fps);
}

// All voices; the result is as long as the longest of them.
static rml_status open_voices(rml_lipsync *job, double *seconds, rml_error *err)
{
    const rml_lipsync_settings *s = &job->settings;
    *seconds = 0;
    for (int i = 0; i < job->voice_count; i++) {
        RML_TRY(
            rml_speech_open(&job->speeches[i], s->voices[i].path, s->compat, job->allocator, err));
        *seconds = fmax(*seconds, rml_speech_info_of(job->speeches[i])->seconds);
    }
    return RML_OK;
}

// Whose voices there are: `audio_path` alone is that of the face that is chosen.
static void name_voices(rml_lipsync *job)
{
    rml_lipsync_settings *s = &job->settings;
    job->voice_count = s->voice_count ? s->voice_count : 1;
    if (s->voice_count == 0)
        s->voices[0].path = s->audio_path;
    for (int i = 0; i < job->voice_count; i++)
        job->numbers[i] = s->voices[i].number;
}

// How much later than the picture the sound is heard that comes from the same file, beyond what
// lies in it as silence; *same is false when none does. What is heard counts, or else a voice.
static rml_status find_own_sound(const rml_lipsync *job, double *late, bool *same, rml_error *err)
{
    const rml_lipsync_settings *s = &job->settings;
    *same = s->final_audio_path && is_same_file(s->final_audio_path, s->clip.path);
    if (*same) {
        rml_audio_in *in;
        RML_TRY(rml_audio_in_open(&in, s->final_audio_path, false, job->allocator, err));
        *late = rml_audio_in_info(in)->late;
        rml_audio_in_close(&in);
    }
    for (int i = 0; i < job->voice_count && !*same; i++) {
        *same = is_same_file(s->voices[i].path, s->clip.path);
        *late = rml_speech_info_of(job->speeches[i])->late;
    }
    return RML_OK;
}

// How much the sound begins before the picture.
static rml_status find_lead(const rml_lipsync *job, double *lead, rml_error *err)
{
    const double start = rml_clip_info_of(job->clip)->start_seconds;
    double late;
    bool same;
    *lead = 0;
    if (job->settings.compat || rml_clip_still(job->clip))
        return RML_OK;
    RML_TRY(find_own_sound(job, &late, &same, err));
    if (same && fabs(start - late) >= LEAST_LEAD)
        *lead = fmax(start - late, -MOST_LEFT_OUT);
    return RML_OK;
}

static rml_status open_all(rml_lipsync *job, rml_error *err)
{
    rml_lipsync_settings *s = &job->settings;
    double seconds;
    name_voices(job);
    s->clip.threads = s->threads;
    s->clip.nominal_rate = s->compat;
    s->clip.bgr = s->compat;
    RML_TRY(check_not_input(s->out_path, s->clip.path, err));
    for (int i = 0; i < job->voice_count; i++)
        RML_TRY(check_not_input(s->out_path, s->voices[i].path, err));
    if (s->final_audio_path)
        RML_TRY(check_not_input(s->out_path, s->final_audio_path, err));
    const rml_container *container = rml_container_of(s->out_path, s->codec, err);
    if (!container)
        return RML_ERR_UNSUPPORTED;
    s->clip.turn_samples = !container->turns;
    if (s->sign.key)
        RML_TRY(rml_c2pa_open(&job->c2pa, &s->sign, s->out_path, job->allocator, err));
    RML_TRY(read_pipes(job, err));
    RML_TRY(rml_clip_open(&job->clip, &s->clip, job->allocator, err));
    RML_TRY(rml_face_places_open(&job->places, s->box, s->faces_path, &s->which, &s->clip,
                                 rml_clip_info_of(job->clip), job->allocator, err));
    job->places.as_upstream = s->compat;
    job->places.numbers = s->voice_count ? job->numbers : NULL;
    job->places.number_count = s->voice_count;
    describe_output(job);
    RML_TRY(rml_encoder_probe(s->out_path, &job->encode, job->allocator, err));
    RML_TRY(open_voices(job, &seconds, err));

    double lead;
    RML_TRY(find_lead(job, &lead, err));
    const rml_clip_info *info = rml_clip_info_of(job->clip);
    if (s->final_audio_path) // ends with the picture, which is as long as the voice
        job->encode.audio_seconds = seconds;
    rml_schedule_settings wanted = {
        .compat = s->compat,
        .constant_rate = container->constant_rate,
        .frame_rate = info->frame_rate,
        .time_base = info->time_base,
        .audio_seconds = seconds,
        .chunks = count_chunks(job),
        .offset_seconds = s->audio_offset_seconds,
        .lead_seconds = lead,
    };
    RML_TRY(rml_named(rml_schedule_init(&job->schedule, &wanted, err), err, s->voices[0].path));
    job->encode.time_base = job->schedule.time_base;
    return RML_OK;
}

rml_status rml_lipsync_open(rml_lipsync **out, const rml_lipsync_settings *settings,
                            const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    if (!allocator)
        allocator = rml_allocator_default();
    rml_lipsync *job;
    RML_TRY(rml_make(allocator, &job, 1, sizeof *job, "the job", err));
    job->allocator = allocator;
    job->settings = *settings;
    rml_status status = rml_lipsync_explain(job, open_all(job, err), err);
    if (status != RML_OK)
        rml_lipsync_close(&job);
    *out = job;
    return status;
}

const rml_clip_info *rml_lipsync_clip(const rml_lipsync *job)
{
    return rml_clip_info_of(job->clip);
}

const rml_speech_info *rml_lipsync_voice(const rml_lipsync *job, int voice)
{
    return rml_speech_info_of(job->speeches[voice]);
}

int64_t rml_lipsync_total(const rml_lipsync *job)
{
    return job->schedule.total;
}

int64_t rml_lipsync_known_faces(const rml_lipsync *job)
{
    return rml_face_places_known(&job->places);
}

void rml_lipsync_close(rml_lipsync **job)
{
    if (!*job)
        return;
    const rml_allocator *allocator = (*job)->allocator;
    rml_clip_close(&(*job)->clip);
    for (int i = 0; i < RML_LIP_VOICES; i++)
        rml_speech_close(&(*job)->speeches[i]);
    for (int i = RML_LIPSYNC_INPUTS; i-- > 0;)
        rml_spool_close(&(*job)->inputs[i]);
    rml_face_places_close(&(*job)->places, allocator);
    rml_c2pa_close(&(*job)->c2pa);
    rml_free(allocator, *job);
    *job = NULL;
}
