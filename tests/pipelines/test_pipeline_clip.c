// Playing order against what is in the pictures: every frame carries its number as its colour.
// Runs of a few frames make playing backwards go to key frames again and again.
#define _POSIX_C_SOURCE 200809L
#include "pipelines/lipsync/clip.h"

#include "tests/support/counting_allocator.h"
#include "tests/support/media_files.h"

#include <unistd.h>

#define WIDTH 32
#define HEIGHT 24
#define MOST 100 // frames of a run

static char folder[] = "/tmp/test_clip_XXXXXX";
static char path[64];
static rml_error err;

static rml_clip_settings plain(rml_repeat repeat)
{
    return (rml_clip_settings){.path = path,
                               .still_fps = 25,
                               .resize_factor = 1,
                               .crop = {0, -1, 0, -1},
                               .repeat = repeat,
                               .threads = 1};
}

// The blue of a corner, of frames of BGR and of what was decoded (bgr0).
static int blue(const rml_shot *shot, int x, int y)
{
    const rml_planes *p = &shot->planes;
    const rml_component *c = &p->layout.component[2];
    return p->data[c->plane] ? p->data[c->plane][y * p->stride[c->plane] + x * c->step + c->offset]
                             : -1;
}

// Plays `outputs` frames in runs of at most `most`, which are read from their end as a chain does.
static void play_as(bool bgr, int count, rml_repeat repeat, int most, int outputs)
{
    CHECK(write_clip(path, RML_CODEC_FFV1, WIDTH, HEIGHT, count, &err) == RML_OK);
    counting counter;
    rml_allocator allocator = counting_allocator(&counter);
    rml_clip_settings settings = plain(repeat);
    settings.bgr = bgr;
    rml_clip *clip;
    CHECK_MSG(rml_clip_open(&clip, &settings, &allocator, &err) == RML_OK, "%s", err.message);
    if (!clip)
        return;
    rml_shot shot = {0};
    size_t live_once = 0;
    rml_clip_step run[MOST];
    int runs = 0;
    for (int i = 0, length; i < outputs; i += length) {
        length = 0;
        do
            CHECK(rml_clip_plan(clip, &run[length], &err) == RML_OK);
        while (run[length++].back && length < most);
        runs++;
        for (int k = length; k-- > 0;) {
            const int64_t expected = rml_repeat_source(repeat, count, i + k);
            const int64_t source = run[k].source;
            const rml_status status = rml_clip_read(clip, source, &shot, &err);
            CHECK(run[k].place == i + k);
            CHECK_MSG(status == RML_OK && source == expected && blue(&shot, 0, 0) == expected &&
                          blue(&shot, WIDTH - 1, HEIGHT - 1) == expected,
                      "%d frames, runs of %d, output %d: source %lld shows %d, expected %lld; %s",
                      count, most, i + k, (long long)source, blue(&shot, 0, 0), (long long)expected,
                      status == RML_OK ? "" : err.message);
            CHECK(fabs((double)shot.pts * rml_rational_value(shot.time_base) -
                       0.04 * (double)expected) < 1e-6);
            CHECK(run[k].pts == shot.pts);
            CHECK(fabs((double)(run[k].end_pts - run[k].pts) * rml_rational_value(shot.time_base) -
                       0.04) < 1e-6);
        }
        if (i <= 2 * count && i + length > 2 * count)
            live_once = counter.live_bytes;
    }
    CHECK(rml_clip_count(clip) == (outputs > count ? count : 0));
    // Nothing is added the longer it plays, and each frame is a key frame here, so that nothing is
    // decoded but what is shown (and the frame after the first, with which a clip begins again).
    CHECK(outputs <= 2 * count || counter.live_bytes <= live_once);
    CHECK_MSG(rml_clip_decoded(clip) <= outputs + most + outputs / count + 1,
              "%d frames, runs of %d: %lld decoded for %d", count, most,
              (long long)rml_clip_decoded(clip), outputs);
    rml_shot_release(&shot);
    rml_clip_close(&clip);
    CHECK(counter.live_bytes == 0);
}

static void play(int count, rml_repeat repeat, int most, int outputs)
{
    play_as(true, count, repeat, most, outputs);
    play_as(false, count, repeat, most, outputs);
}

static void test_settings(void)
{
    CHECK(write_clip(path, RML_CODEC_FFV1, WIDTH, HEIGHT, 3, &err) == RML_OK);
    rml_clip *clip;
    rml_clip_settings settings = plain(RML_REPEAT_CYCLIC);
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
    settings = plain(RML_REPEAT_CYCLIC);
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
