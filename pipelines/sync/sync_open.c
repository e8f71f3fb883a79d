// What is opened, and found wrong, before the work.
#include "pipelines/sync/sync_job.h"

rml_sync_settings rml_sync_settings_default(void)
{
    return (rml_sync_settings){
        .clip = {.still_fps = RML_SYNC_RATE, .resize_factor = 1, .crop = {0, -1, 0, -1}},
        .temporary_folder = "/tmp",
        .box = {RML_NO_BOX, RML_NO_BOX, RML_NO_BOX, RML_NO_BOX},
    };
}

// Reads what comes out of pipes; from here on the settings name files that can be read again.
static rml_status read_pipes(rml_sync *job, rml_error *err)
{
    rml_sync_settings *s = &job->settings;
    const rml_spool_settings wanted = {s->temporary_folder, s->cancelled, s->user};
    rml_spool *const spools[] = {&job->video, &job->audio};
    RML_TRY(rml_spool_open(&job->video, s->clip.path, &wanted, err));
    if (s->audio_path)
        RML_TRY(rml_spool_open(&job->audio, s->audio_path, &wanted, err));
    RML_TRY(rml_spool_fill(spools, s->audio_path ? 2 : 1, &wanted, err));
    s->audio_path = rml_spool_path(s->audio_path ? &job->audio : &job->video);
    s->clip.path = rml_spool_path(&job->video);
    return RML_OK;
}

static rml_status open_all(rml_sync *job, rml_error *err)
{
    rml_sync_settings *s = &job->settings;
    s->clip.threads = s->threads;
    s->clip.bgr = true;
    RML_TRY(read_pipes(job, err));
    RML_TRY(rml_clip_open(&job->clip, &s->clip, job->allocator, err));
    if (rml_clip_still(job->clip))
        return rml_fail(err, RML_ERR_ARG, "%s: is one picture, in which no lips move",
                        s->clip.path);
    RML_TRY(rml_face_places_open(&job->places, s->box, s->faces_path, &s->which, &s->clip,
                                 rml_clip_info_of(job->clip), job->allocator, err));
    return rml_speech_open(&job->speech, s->audio_path, false, job->allocator, err);
}

rml_status rml_sync_open(rml_sync **out, const rml_sync_settings *settings,
                         const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    if (!allocator)
        allocator = rml_allocator_default();
    rml_sync *job;
    RML_TRY(rml_make(allocator, &job, 1, sizeof *job, "the job", err));
    job->allocator = allocator;
    job->settings = *settings;
    const rml_status status = open_all(job, err);
    if (status != RML_OK) {
        rml_spool_explain(&job->video, err);
        rml_spool_explain(&job->audio, err);
        rml_sync_close(&job);
    }
    *out = job;
    return status;
}

const rml_clip_info *rml_sync_clip(const rml_sync *job)
{
    return rml_clip_info_of(job->clip);
}

const rml_speech_info *rml_sync_voice(const rml_sync *job)
{
    return rml_speech_info_of(job->speech);
}

int64_t rml_sync_known_faces(const rml_sync *job)
{
    return rml_face_places_known(&job->places);
}

const rml_sync_meter *rml_sync_result(const rml_sync *job)
{
    return job->meter;
}

int64_t rml_sync_damaged_packets(const rml_sync *job)
{
    return rml_clip_damaged_packets(job->clip);
}

void rml_sync_close(rml_sync **job)
{
    if (!*job)
        return;
    const rml_allocator *allocator = (*job)->allocator;
    rml_sync_meter_destroy(&(*job)->meter);
    rml_clip_close(&(*job)->clip);
    rml_speech_close(&(*job)->speech);
    rml_spool_close(&(*job)->audio);
    rml_spool_close(&(*job)->video);
    rml_face_places_close(&(*job)->places, allocator);
    rml_free(allocator, *job);
    *job = NULL;
}
