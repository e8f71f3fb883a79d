// Playing order against what is in the pictures: every frame carries its number as its colour.
// Pieces of a few frames make playing backwards decode the clip again and again.
#define _POSIX_C_SOURCE 200809L
#include "media/video/encode.h"
#include "pipelines/lipsync/clip.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"

#include <unistd.h>

#define WIDTH 32
#define HEIGHT 24
#define FRAME_BYTES (WIDTH * HEIGHT * 3)

static char folder[] = "/tmp/test_clip_XXXXXX";
static char path[64];
static rml_error err;

static void write_clip(int count)
{
    rml_encode_settings settings = rml_encode_settings_default();
    settings.codec = RML_CODEC_FFV1;
    settings.width = WIDTH;
    settings.height = HEIGHT;
    settings.frame_rate = (rml_rational){25, 1};
    rml_encoder *encoder;
    rml_frame frame = {0};
    CHECK(rml_frame_reserve(&frame, WIDTH, HEIGHT, rml_allocator_default(), &err) == RML_OK);
    rml_status status = rml_encoder_open(&encoder, path, &settings, rml_allocator_default(), &err);
    for (int i = 0; i < count && status == RML_OK; i++) {
        memset(frame.data, i, frame.pitch * HEIGHT);
        frame.pts = i;
        frame.time_base = (rml_rational){1, 25};
        status = rml_encoder_write(encoder, &frame, &err);
    }
    if (status == RML_OK)
        status = rml_encoder_finish(&encoder, NULL, &err);
    CHECK_MSG(status == RML_OK, "%s", err.message);
    rml_frame_release(&frame);
}

static rml_clip_settings plain(rml_repeat repeat, int64_t piece_bytes)
{
    return (rml_clip_settings){.path = path,
                               .resize_factor = 1,
                               .crop = {0, -1, 0, -1},
                               .repeat = repeat,
                               .threads = 1,
                               .piece_bytes = piece_bytes};
}

static int last_byte(const rml_frame *frame)
{
    return frame->data[(HEIGHT - 1) * frame->pitch + WIDTH * 3 - 1];
}

static void play(int count, rml_repeat repeat, int piece_frames, int outputs)
{
    write_clip(count);
    counting counter;
    rml_allocator allocator = counting_allocator(&counter);
    rml_clip_settings settings = plain(repeat, piece_frames * (int64_t)FRAME_BYTES);
    rml_clip *clip;
    CHECK_MSG(rml_clip_open(&clip, &settings, &allocator, &err) == RML_OK, "%s", err.message);
    if (!clip)
        return;
    rml_frame frame = {0};
    size_t live_once = 0;
    for (int i = 0; i < outputs; i++) {
        int64_t source = -1, expected = rml_repeat_source(repeat, count, i);
        rml_status status = rml_clip_read(clip, &frame, &source, &err);
        CHECK_MSG(status == RML_OK && source == expected && frame.data[0] == expected &&
                      last_byte(&frame) == expected,
                  "%d frames, pieces of %d, output %d: source %lld shows %d, expected %lld; %s",
                  count, piece_frames, i, (long long)source, frame.data ? frame.data[0] : -1,
                  (long long)expected, status == RML_OK ? "" : err.message);
        CHECK(fabs(rml_frame_seconds(&frame) - 0.04 * (double)expected) < 1e-6);
        if (i == 2 * count)
            live_once = counter.live_bytes;
    }
    CHECK(rml_clip_count(clip) == (outputs > count ? count : 0));
    // Nothing is added the longer it plays.
    CHECK(outputs <= 2 * count || counter.live_bytes <= live_once);
    rml_frame_release(&frame);
    rml_clip_close(&clip);
    CHECK(counter.live_bytes == 0);
}

static void test_settings(void)
{
    write_clip(3);
    rml_clip *clip;
    rml_clip_settings settings = plain(RML_REPEAT_CYCLIC, 0);
    settings.resize_factor = 2;
    settings.rotate = true;
    settings.crop[0] = 1;
    settings.crop[3] = -2; // Python counts it from the end
    CHECK(rml_clip_open(&clip, &settings, rml_allocator_default(), &err) == RML_OK);
    const rml_clip_info *info = clip ? rml_clip_info_of(clip) : NULL;
    CHECK(info && info->width == HEIGHT / 2 - 2 && info->height == WIDTH / 2 - 1);
    CHECK(info && info->fps == 25 && !info->still);
    rml_clip_close(&clip);
    settings.crop[1] = 1;
    CHECK(rml_clip_open(&clip, &settings, rml_allocator_default(), &err) == RML_ERR_ARG);
    CHECK(clip == NULL && strstr(err.message, "--crop 1 1 0 -2"));
    settings.resize_factor = 100;
    CHECK(rml_clip_open(&clip, &settings, rml_allocator_default(), &err) == RML_ERR_ARG);
    settings = plain(RML_REPEAT_CYCLIC, 0);
    settings.path = "/nonexistent.mp4";
    CHECK(rml_clip_open(&clip, &settings, rml_allocator_default(), &err) == RML_ERR_IO);
    CHECK(strstr(err.message, "/nonexistent.mp4"));
}

int main(void)
{
    if (!rml_codec_name(RML_CODEC_FFV1) || !mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/clip.mkv", folder);
    rml_encode_settings probe = rml_encode_settings_default();
    probe.codec = RML_CODEC_FFV1;
    probe.width = WIDTH;
    probe.height = HEIGHT;
    probe.frame_rate = (rml_rational){25, 1};
    if (rml_encoder_probe(path, &probe, rml_allocator_default(), &err) == RML_ERR_UNSUPPORTED) {
        printf("skipped: this build reads and writes no video\n");
        rmdir(folder);
        return 77;
    }
    play(10, RML_REPEAT_PING_PONG, 3, 60);
    play(10, RML_REPEAT_PING_PONG, 2, 41);
    play(10, RML_REPEAT_PING_PONG, 9, 41);
    play(10, RML_REPEAT_PING_PONG, 10, 41);
    play(10, RML_REPEAT_PING_PONG, 100, 41);
    play(1, RML_REPEAT_PING_PONG, 2, 9);
    play(2, RML_REPEAT_PING_PONG, 2, 9);
    play(3, RML_REPEAT_PING_PONG, 2, 17);
    play(7, RML_REPEAT_CYCLIC, 3, 30);
    play(7, RML_REPEAT_CYCLIC, 3, 5);
    play(7, RML_REPEAT_STILL, 3, 0);
    test_settings();
    remove(path);
    rmdir(folder);
    return check_result();
}
