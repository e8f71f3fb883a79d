// Every allocation fails in turn on the way from a clip and a sound to how far they are apart:
// RML_ERR_NOMEM with a sentence, and nothing leaks.
#define _DEFAULT_SOURCE
#include "pipelines/lipsync/lipsync.h"
#include "pipelines/sync/sync.h"

#include "tests/support/narrow.h"
#include "tests/support/pipeline_nomem.h"

enum { FRAMES = 9, SAMPLES = 6400, WINDOWS = 4 };

static char folder[] = "/tmp/test_sync_nomem_XXXXXX";
static char video[64], sound[64], faces[64];
static rml_weights *syncnet, *s3fd;

static rml_status build(rml_model **model, const char *name, const rml_weights *weights,
                        const rml_allocator *allocator, rml_error *err)
{
    rml_model_settings settings = rml_model_settings_default();
    settings.allocator = allocator;
    return rml_model_create(model, name, weights, &settings, err);
}

static rml_status measure(const rml_model *model, rml_session *session, rml_face_finder *finder,
                          const rml_allocator *allocator, rml_error *err)
{
    rml_sync_settings settings = rml_sync_settings_default();
    rml_sync *job = NULL;
    settings.clip.path = video;
    settings.audio_path = sound;
    settings.threads = 1;
    if (finder)
        settings.faces_path = faces;
    for (int i = 0; i < 4 && !finder; i++)
        settings.box[i] = i % 2 ? 40 : 4;
    rml_status status = rml_sync_open(&job, &settings, allocator, err);
    CHECK((status == RML_OK) == (job != NULL));
    if (status == RML_OK)
        status = rml_sync_run(job, model, session, finder, err);
    if (status == RML_OK)
        CHECK(rml_sync_meter_count(rml_sync_result(job)) == WINDOWS);
    rml_sync_close(&job);
    remove(faces); // they would be known the next time
    return status;
}

static rml_status use(bool detects, const rml_allocator *allocator, rml_error *err)
{
    rml_session_settings settings = rml_session_settings_default();
    rml_model *model = NULL, *detector = NULL;
    rml_session *session = NULL;
    rml_face_finder *finder = NULL;
    settings.threads = 1;
    const rml_face_finder_settings found = {.session = settings, .every = 1};
    rml_status status = build(&model, "syncnet", syncnet, allocator, err);
    if (status == RML_OK && detects)
        status = build(&detector, "s3fd", s3fd, allocator, err);
    if (status == RML_OK)
        status = rml_session_create(&session, model, &settings, err);
    if (status == RML_OK && detects)
        status = rml_face_finder_create(&finder, detector, &found, err);
    if (status == RML_OK)
        status = measure(model, session, finder, allocator, err);
    rml_face_finder_destroy(&finder);
    rml_session_destroy(&session);
    rml_model_destroy(&detector);
    rml_model_destroy(&model);
    return status;
}

static rml_status with_box(const rml_allocator *allocator, rml_error *err)
{
    return use(false, allocator, err);
}

static rml_status with_detector(const rml_allocator *allocator, rml_error *err)
{
    return use(true, allocator, err);
}

int main(void)
{
    const size_t step = nomem_step();
    if (!mkdtemp(folder))
        return 1;
    rml_lipsync_quiet_libraries();
    snprintf(faces, sizeof faces, "%s/faces.json", folder);
    if (nomem_media(folder, video, sound, FRAMES, SAMPLES)) {
        rml_error err = {0};
        syncnet = narrow_weights("syncnet", 16, NULL);
        s3fd = narrow_weights("s3fd", 64, NULL);
        fail_each("SyncNet", with_box, RML_OK, NULL, step);
        // The detector's weights are random, and where they find no face that is said.
        const rml_status usual = with_detector(rml_allocator_default(), &err);
        CHECK_MSG(usual == RML_OK || usual == RML_ERR_ARG, "%s", err.message);
        fail_each("SyncNet and S3FD", with_detector, usual, NULL, step);
        rml_weights_close(&syncnet);
        rml_weights_close(&s3fd);
    }
    remove(video);
    remove(sound);
    CHECK(rmdir(folder) == 0);
    return check_result();
}
