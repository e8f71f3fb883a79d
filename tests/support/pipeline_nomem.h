// Every allocation of a whole pipeline fails in turn, on small media.
//
// RUN_MODEL_NOMEM_STEP: 1, every call fails once; otherwise every n-th of the many calls, from a
// start that differs between runs.
#ifndef RML_TESTS_SUPPORT_PIPELINE_NOMEM_H
#define RML_TESTS_SUPPORT_PIPELINE_NOMEM_H

#include "tests/support/locked_allocator.h"
#include "tests/support/media_files.h"

#include <unistd.h>

enum { NOMEM_WIDTH = 64, NOMEM_HEIGHT = 48, NOMEM_RATE = 16000, NOMEM_MOST_CALLS = 100000 };

static inline size_t nomem_step(void)
{
    const char *given = getenv("RUN_MODEL_NOMEM_STEP");
    return given && atoi(given) > 0 ? (size_t)atoi(given) : 1;
}

// "face.avi" and "voice.wav" in `folder`. False where this build cannot write them, which has been
// said.
static inline bool nomem_media(const char *folder, char face[64], char voice[64], int frames,
                               int samples)
{
    rml_error err = {0};
    snprintf(face, 64, "%s/face.avi", folder);
    snprintf(voice, 64, "%s/voice.wav", folder);
    const rml_status status =
        write_clip(face, RML_CODEC_MJPEG, NOMEM_WIDTH, NOMEM_HEIGHT, frames, &err);
    if (status == RML_ERR_UNSUPPORTED) {
        printf("skipped: %s\n", err.message);
        return false;
    }
    CHECK_MSG(status == RML_OK, "%s", err.message);
    write_wav(voice, NOMEM_RATE, samples);
    return true;
}

// `usual`: how `use` ends where nothing fails. `look` (or NULL) sees what it leaves behind, the
// first time with call 0.
static inline void
fail_each(const char *name, rml_status (*use)(const rml_allocator *, rml_error *), rml_status usual,
          void (*look)(const char *name, size_t call, rml_status status), size_t step)
{
    locked_counting at = {.busy = ATOMIC_FLAG_INIT};
    const rml_allocator allocator = {locked_alloc, locked_release, &at};
    rml_error err = {0};
    size_t reached = 0;
    CHECK_MSG(use(&allocator, &err) == usual, "%s: %s", name, err.message);
    const size_t calls = at.counter.calls;
    CHECK_MSG(calls > 40 && calls < NOMEM_MOST_CALLS, "%s: %zu allocations", name, calls);
    if (look)
        look(name, 0, usual);
    for (size_t call = 1 + (size_t)getpid() % step; call < NOMEM_MOST_CALLS; call += step) {
        at.counter.calls = 0;
        at.counter.fail_at = call;
        err = (rml_error){0};
        const rml_status status = use(&allocator, &err);
        const bool failed = at.counter.calls >= call;
        CHECK_MSG(status == usual || (status == RML_ERR_NOMEM && err.status == status &&
                                      strstr(err.message, "out of memory")),
                  "%s: allocation %zu: %s: %s", name, call, rml_status_name(status), err.message);
        CHECK_MSG(at.counter.live_bytes == 0, "%s: allocation %zu: %zu bytes leak", name, call,
                  at.counter.live_bytes);
        if (look)
            look(name, call, status);
        reached += status == RML_ERR_NOMEM;
        if (!failed || at.counter.live_bytes)
            break;
    }
    CHECK_MSG(reached + 8 >= calls / step - calls / step / 50, "%s: %zu of %zu failed", name,
              reached, calls);
    printf("%s: %zu allocations, of which %zu failed\n", name, calls, reached);
}

#endif
