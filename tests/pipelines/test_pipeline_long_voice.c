// A short clip under voices of 1, 10 and 50 times its length: memory stays, and so does the number
// of frames decoded for each that is shown. The clip has one key frame only, the worst there is.
#define _DEFAULT_SOURCE
#include "pipelines/lipsync/lipsync.h"

#include "tests/support/locked_allocator.h"
#include "tests/support/media_files.h"

#include "tensor/sanitizer.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WATCHED = RML_WITH_SANITIZER }; // sanitizers keep what was freed
enum { WIDTH = 192, HEIGHT = 160, FRAMES = 80, RATE = 16000 };

static char folder[] = "/tmp/test_long_voice_XXXXXX";
static char face[64], voice[64], result_path[64];
static rml_error err;

// What one run took.
typedef struct figures {
    int64_t frames, decoded;
    size_t peak_bytes;
    long resident_kb;
} figures;

// ---- a network that does nothing --------------------------------------------------------------

static rml_status begin(rml_lip_net *net, const rml_lip_sound *sound, rml_error *at)
{
    (void)sound;
    (void)at;
    net->sound_count = 1;
    return RML_OK;
}

static rml_status listen(rml_lip_net *net, int which, const rml_slot_plan *plan, float *sound,
                         rml_error *at)
{
    (void)net;
    (void)which;
    (void)plan;
    (void)at;
    *sound = 0;
    return RML_OK;
}

static rml_status hear_silence(rml_lip_net *net, float *sound, rml_error *at)
{
    (void)net;
    (void)at;
    *sound = 0;
    return RML_OK;
}

static rml_status run(rml_lip_net *net, rml_lip_item *const *items, int count, bool round,
                      rml_error *at)
{
    (void)net;
    (void)items;
    (void)round;
    (void)at;
    return count > 0 ? RML_OK : RML_ERR_ARG;
}

// ---- runs -------------------------------------------------------------------------------------

static figures play(int times, rml_repeat repeat)
{
    locked_counting at = {.busy = ATOMIC_FLAG_INIT};
    const rml_allocator allocator = {locked_alloc, locked_release, &at};
    rml_lip_net net = {
        .side = 16, .begin = begin, .listen = listen, .hear_silence = hear_silence, .run = run};
    rml_lipsync_settings settings = rml_lipsync_settings_default();
    settings.clip.path = face;
    settings.clip.repeat = repeat;
    settings.audio_path = voice;
    settings.out_path = result_path;
    settings.box[0] = settings.box[2] = 10;
    settings.box[1] = settings.box[3] = 60;
    settings.codec = RML_CODEC_MJPEG;
    settings.threads = 1;
    static rml_lipsync_result result;
    rml_lipsync *job;
    figures out = {0};
    write_wav(voice, RATE, times * FRAMES * RATE / 25);
    CHECK_MSG(rml_lipsync_open(&job, &settings, &allocator, &err) == RML_OK, "%s", err.message);
    if (!job)
        return out;
    CHECK_MSG(rml_lipsync_run(job, &net, NULL, &result, &err) == RML_OK, "%s", err.message);
    out = (figures){result.frames, result.decoded, at.counter.peak_bytes, 0};
    CHECK(out.frames == times * FRAMES && result.source_frames == FRAMES);
    rml_lipsync_close(&job);
    CHECK(at.counter.live_bytes == 0);
    return out;
}

// In a process of its own, whose largest size the system tells.
static figures measure(int times, rml_repeat repeat)
{
    figures out = {0};
    int ends[2];
    CHECK(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
        out = play(times, repeat);
        const bool told = write(ends[1], &out, sizeof out) == (ssize_t)sizeof out;
        _exit(check_result() != 0 || !told);
    }
    int status = 1;
    struct rusage usage = {0};
    CHECK(child > 0 && wait4(child, &status, 0, &usage) == child && status == 0);
    CHECK(read(ends[0], &out, sizeof out) == (ssize_t)sizeof out);
    out.resident_kb = usage.ru_maxrss;
    close(ends[0]);
    close(ends[1]);
    return out;
}

static void compare(rml_repeat repeat, int longest, double most_decoded)
{
    static const int times[] = {1, 10, 50};
    figures first = {0}, before = {0};
    for (size_t i = 0; i < sizeof times / sizeof *times && times[i] <= longest; i++) {
        const figures f = measure(times[i], repeat);
        if (i == 0)
            first = f;
        CHECK_MSG((double)f.decoded <= most_decoded * (double)f.frames,
                  "%d times: %lld frames decoded for %lld", times[i], (long long)f.decoded,
                  (long long)f.frames);
        // A few bytes are kept for each frame of the clip, and none for those of the voice.
        CHECK_MSG(f.peak_bytes <= first.peak_bytes + first.peak_bytes / 50,
                  "%d times: %zu bytes, once %zu", times[i], f.peak_bytes, first.peak_bytes);
        // Pictures are libav's, of which there are more at a time once the clip is played
        // backwards; from then on what grows is the index of the file, where each picture is a key:
        // 130 to 250 bytes for each (its lists double), where one kept picture is 46 kB.
        const long room = i < 2 ? first.resident_kb / 10 : 384 * (f.frames - before.frames) / 1024;
        CHECK_MSG(WATCHED || i == 0 || f.resident_kb <= before.resident_kb + room,
                  "%d times: %ld kB resident, before %ld", times[i], f.resident_kb,
                  before.resident_kb);
        before = f;
    }
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    rml_lipsync_quiet_libraries();
    snprintf(face, sizeof face, "%s/face.mp4", folder);
    snprintf(voice, sizeof voice, "%s/voice.wav", folder);
    snprintf(result_path, sizeof result_path, "%s/result.mkv", folder);
    const rml_status status = write_clip(face, RML_CODEC_H264, WIDTH, HEIGHT, FRAMES, &err);
    if (status == RML_ERR_UNSUPPORTED) {
        printf("skipped: %s\n", err.message);
        rmdir(folder);
        return 77;
    }
    CHECK_MSG(status == RML_OK, "%s", err.message);
    // Backwards in runs of n frames costs FRAMES / (2 n) + 1/2 decodings a frame, forwards one.
    compare(RML_REPEAT_PING_PONG, 50, 0.5 * (1 + 0.5 + FRAMES / (2 * 64.0)) + 0.2);
    compare(RML_REPEAT_DOUBLED, 10, 0.5 * (1 + 0.5 + FRAMES / (2 * 64.0)) + 0.2);
    compare(RML_REPEAT_CYCLIC, 10, 1.05);
    remove(face);
    remove(voice);
    remove(result_path);
    CHECK(rmdir(folder) == 0);
    return check_result();
}
