// Every allocation fails in turn on the way from a clip and a sound to how far they are apart:
// RML_ERR_NOMEM with a sentence, and nothing leaks.
//
// RUN_MODEL_NOMEM_STEP: as in test_lipsync_nomem.c.
#define _DEFAULT_SOURCE
#include "pipelines/lipsync/lipsync.h"
#include "pipelines/sync/sync.h"

#include "tests/support/locked_allocator.h"
#include "tests/support/media_files.h"
#include "tests/support/narrow.h"

#include <unistd.h>

enum { WIDTH = 64, HEIGHT = 48, FRAMES = 9, RATE = 16000, SAMPLES = 6400, WINDOWS = 4 };

#define MOST_CALLS 100000

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

// `usual`: how it ends where nothing fails. The detector's weights are random, and where they find
// no face that is said.
static void fail_each(const char *name, bool detects, rml_status usual, size_t step)
{
    locked_counting at = {.busy = ATOMIC_FLAG_INIT};
    const rml_allocator allocator = {locked_alloc, locked_release, &at};
    rml_error err = {0};
    CHECK_MSG(use(detects, &allocator, &err) == usual, "%s: %s", name, err.message);
    const size_t calls = at.counter.calls;
    size_t reached = 0;
    CHECK_MSG(calls > 40 && calls < MOST_CALLS, "%s: %zu allocations", name, calls);
    for (size_t call = 1 + (size_t)getpid() % step; call <= calls; call += step) {
        at.counter.calls = 0;
        at.counter.fail_at = call;
        err = (rml_error){0};
        const rml_status status = use(detects, &allocator, &err);
        remove(faces);
        CHECK_MSG(status == usual || (status == RML_ERR_NOMEM && err.status == status &&
                                      strstr(err.message, "out of memory")),
                  "%s: allocation %zu: %s: %s", name, call, rml_status_name(status), err.message);
        CHECK_MSG(at.counter.live_bytes == 0, "%s: allocation %zu: %zu bytes leak", name, call,
                  at.counter.live_bytes);
        reached += status == RML_ERR_NOMEM;
    }
    CHECK_MSG(reached + 8 >= calls / step - calls / step / 50, "%s: %zu of %zu failed", name,
              reached, calls);
    printf("%s: %zu allocations, of which %zu failed\n", name, calls, reached);
}

static bool make_files(void)
{
    rml_error err = {0};
    snprintf(video, sizeof video, "%s/face.avi", folder);
    snprintf(sound, sizeof sound, "%s/voice.wav", folder);
    snprintf(faces, sizeof faces, "%s/faces.json", folder);
    const rml_status status = write_clip(video, RML_CODEC_MJPEG, WIDTH, HEIGHT, FRAMES, &err);
    if (status == RML_ERR_UNSUPPORTED) {
        printf("skipped: %s\n", err.message);
        return false;
    }
    CHECK_MSG(status == RML_OK, "%s", err.message);
    write_wav(sound, RATE, SAMPLES);
    return true;
}

int main(void)
{
    const char *given = getenv("RUN_MODEL_NOMEM_STEP");
    const size_t step = given && atoi(given) > 0 ? (size_t)atoi(given) : 1;
    if (!mkdtemp(folder))
        return 1;
    rml_lipsync_quiet_libraries();
    if (make_files()) {
        rml_error err = {0};
        syncnet = narrow_weights("syncnet", 16, NULL);
        s3fd = narrow_weights("s3fd", 64, NULL);
        fail_each("SyncNet", false, RML_OK, step);
        const rml_status usual = use(true, rml_allocator_default(), &err);
        CHECK_MSG(usual == RML_OK || usual == RML_ERR_ARG, "%s", err.message);
        remove(faces);
        fail_each("SyncNet and S3FD", true, usual, step);
        rml_weights_close(&syncnet);
        rml_weights_close(&s3fd);
    }
    remove(video);
    remove(sound);
    CHECK(rmdir(folder) == 0);
    return check_result();
}
