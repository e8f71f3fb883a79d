// Writing and reading of video files: lossless round trip, times, sound, files that are cut, a full
// disk, and what is refused before any work.
#define _POSIX_C_SOURCE 200809L
#include "tests/support/media_files.h"
#include "media/video/encode.h"
#include "media/audio/speech.h"
#include "tensor/alloc.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static const rml_allocator *allocator;
static char folder[] = "/tmp/rml_av_XXXXXX";

enum { WIDTH = 70, HEIGHT = 45, FRAMES = 24, RATE = 22050, SECONDS = 1 };

static const char *in_folder(const char *name)
{
    static char paths[4][256];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int files_in_folder(void)
{
    int count = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count;
}

static size_t read_bytes(const char *path, uint8_t *bytes, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    size_t count = file ? fread(bytes, 1, capacity, file) : 0;
    if (file)
        fclose(file);
    return count;
}

static void paint(rml_frame *frame, int index)
{
    CHECK(rml_frame_reserve(frame, WIDTH, HEIGHT, allocator, NULL) == RML_OK);
    uint32_t state = (uint32_t)index * 77777u + 5;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH * 3; x++) {
            state = state * 1664525u + 1013904223u;
            frame->data[(size_t)y * frame->pitch + (size_t)x] = (uint8_t)(state >> 24);
        }
    frame->pts = index;
    frame->time_base = (rml_rational){1, 24};
}

static rml_encode_settings settings_of(rml_codec codec)
{
    return clip_settings(codec, WIDTH, HEIGHT, 24);
}

static rml_status encode(const char *path, const rml_encode_settings *settings,
                         rml_encode_summary *summary, rml_error *err)
{
    return encode_clip(path, settings, FRAMES, paint, summary, err);
}

static bool same_picture(const rml_frame *a, const rml_frame *b)
{
    bool same = a->width == b->width && a->height == b->height;
    for (int y = 0; same && y < a->height; y++)
        same = memcmp(a->data + (size_t)y * a->pitch, b->data + (size_t)y * b->pitch,
                      (size_t)a->width * 3) == 0;
    return same;
}

static void test_lossless(void)
{
    rml_encode_settings settings = settings_of(RML_CODEC_FFV1);
    settings.audio_path = in_folder("a.wav");
    rml_encode_summary summary;
    rml_error err = {0};
    CHECK_MSG(encode(in_folder("l.mkv"), &settings, &summary, &err) == RML_OK, "%s", err.message);
    CHECK(summary.frames == FRAMES && summary.video_seconds == 1.0);
    CHECK(summary.audio_seconds == SECONDS && summary.bytes > WIDTH * HEIGHT);

    rml_video_in *in;
    rml_video_in_settings in_settings = rml_video_in_settings_default();
    in_settings.threads = 1;
    CHECK_MSG(rml_video_in_open(&in, in_folder("l.mkv"), &in_settings, allocator, &err) == RML_OK,
              "%s", err.message);
    const rml_video_info *info = rml_video_in_info(in);
    CHECK(info->width == WIDTH && info->height == HEIGHT);
    CHECK(info->frame_rate.num == 24 && info->frame_rate.den == 1);
    CHECK(info->orientation == RML_ORIENT_NORMAL && strcmp(info->codec, "ffv1") == 0);
    rml_frame frame = {0}, painted = {0};
    for (int round = 0; round < 2; round++) {
        bool end = false;
        int count = 0, different = 0;
        double late = 0.0;
        for (;;) {
            CHECK(rml_video_in_read(in, &frame, &end, NULL) == RML_OK);
            if (end || count >= FRAMES)
                break;
            paint(&painted, count);
            different += !same_picture(&frame, &painted);
            late = fmax(late, fabs(rml_frame_seconds(&frame) - count / 24.0));
            count++;
        }
        CHECK(count == FRAMES && different == 0);
        CHECK(late < 0.00051); // Matroska counts milliseconds
        CHECK(rml_video_in_decoded(in) == (round + 1) * FRAMES);
        rml_video_in_seek(in, 0);
    }
    rml_frame_release(&frame);
    rml_frame_release(&painted);
    rml_video_in_close(&in);

    // The sound came through without loss too.
    float *before, *after;
    size_t before_count, after_count;
    CHECK(rml_speech_load(&before, &before_count, in_folder("a.wav"), false, allocator, NULL) ==
          RML_OK);
    CHECK(rml_speech_load(&after, &after_count, in_folder("l.mkv"), false, allocator, NULL) ==
          RML_OK);
    CHECK(before_count == after_count && after_count > 0 &&
          memcmp(before, after, after_count * sizeof *after) == 0);
    rml_free(allocator, before);
    rml_free(allocator, after);
}

// What can be known before the work is told before it, in a sentence that names the file.
static void test_refusals(void)
{
    const struct {
        const char *name, *word;
        rml_codec codec;
        int crf;
        const char *audio;
    } cases[] = {
        {"x.webm", ".mkv", RML_CODEC_H264, -1, NULL},
        {"x.mp4", "ffv1", RML_CODEC_FFV1, -1, NULL},
        {"x.avi", "hevc", RML_CODEC_HEVC, -1, NULL},
        {"x", "end in", RML_CODEC_H264, -1, NULL},
        {"x.mp4", "crf 52", RML_CODEC_H264, 52, NULL},
        {"x.mkv", "no crf", RML_CODEC_FFV1, 10, NULL},
        {"none/x.mkv", "none", RML_CODEC_FFV1, -1, NULL},
        {"x.mkv", "missing.wav", RML_CODEC_FFV1, -1, "missing.wav"},
        {"x.mkv", "page.wav", RML_CODEC_FFV1, -1, "page.wav"},
    };
    write_bytes(in_folder("page.wav"), (const uint8_t *)"<html>not found</html>", 22);
    int files = files_in_folder();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rml_encode_settings settings = settings_of(cases[i].codec);
        rml_error err = {0};
        char audio[300];
        settings.crf = cases[i].crf;
        if (cases[i].audio) {
            snprintf(audio, sizeof audio, "%s", in_folder(cases[i].audio));
            settings.audio_path = audio;
        }
        const char *path = in_folder(cases[i].name);
        CHECK(rml_encoder_probe(path, &settings, allocator, &err) != RML_OK);
        CHECK_MSG(strstr(err.message, cases[i].word), "case %zu: %s", i, err.message);
        rml_encoder *encoder;
        CHECK(rml_encoder_open(&encoder, path, &settings, allocator, &err) != RML_OK);
        CHECK(encoder == NULL);
    }
    rml_encode_settings settings = settings_of(RML_CODEC_FFV1);
    settings.width = 0;
    CHECK(rml_encoder_probe(in_folder("x.mkv"), &settings, allocator, NULL) != RML_OK);
    settings = settings_of(RML_CODEC_FFV1);
    CHECK(rml_encoder_probe(folder, &settings, allocator, NULL) != RML_OK);
    rml_error err = {0};
    CHECK_MSG(rml_encoder_probe(in_folder("x.mkv"), &settings, allocator, &err) == RML_OK, "%s",
              err.message);
    CHECK(files_in_folder() == files); // a probe creates nothing

    rml_video_in *in;
    rml_video_in_settings in_settings = rml_video_in_settings_default();
    CHECK(rml_video_in_open(&in, in_folder("a.wav"), &in_settings, allocator, &err) ==
          RML_ERR_FORMAT);
    CHECK(in == NULL && strstr(err.message, "no video stream"));
    CHECK(rml_video_in_open(&in, folder, &in_settings, allocator, &err) == RML_ERR_IO);
    rml_audio_in *audio;
    CHECK(rml_audio_in_open(&audio, in_folder("page.wav"), false, allocator, &err) ==
          RML_ERR_FORMAT);
    rml_speech *speech;
    write_wav(in_folder("short.wav"), RATE, 3000); // 0.136 s at 22.05 kHz
    CHECK(rml_speech_open(&speech, in_folder("short.wav"), false, allocator, &err) == RML_ERR_ARG);
    CHECK(speech == NULL && strstr(err.message, "short.wav") && strstr(err.message, "too short"));
}

// An encoder that is given up, or given nonsense, leaves no file, and an older result stays.
static void test_abort(void)
{
    rml_encode_settings settings = settings_of(RML_CODEC_FFV1);
    rml_encoder *encoder;
    rml_error err = {0};
    rml_frame frame = {0};
    write_bytes(in_folder("old.mkv"), (const uint8_t *)"old", 3);
    int files = files_in_folder();
    CHECK(rml_encoder_open(&encoder, in_folder("old.mkv"), &settings, allocator, NULL) == RML_OK);
    CHECK(files_in_folder() == files + 1);
    paint(&frame, 3);
    CHECK(rml_encoder_write(encoder, &frame, &err) == RML_OK);
    CHECK(rml_encoder_write(encoder, &frame, &err) == RML_ERR_ARG); // the same time again
    CHECK(strstr(err.message, "not later"));
    rml_encoder_abort(&encoder);
    CHECK(encoder == NULL && files_in_folder() == files);

    CHECK(rml_encoder_open(&encoder, in_folder("old.mkv"), &settings, allocator, NULL) == RML_OK);
    frame.pts = -1;
    CHECK(rml_encoder_write(encoder, &frame, &err) == RML_ERR_ARG);
    rml_encoder_abort(&encoder);
    CHECK(rml_encoder_open(&encoder, in_folder("old.mkv"), &settings, allocator, NULL) == RML_OK);
    frame.width--;
    CHECK(rml_encoder_write(encoder, &frame, &err) == RML_ERR_ARG);
    CHECK(strstr(err.message, "69x45") && strstr(err.message, "70x45"));
    CHECK(rml_encoder_finish(&encoder, NULL, &err) == RML_ERR_ARG && encoder == NULL);
    uint8_t bytes[8];
    CHECK(read_bytes(in_folder("old.mkv"), bytes, sizeof bytes) == 3);
    CHECK(files_in_folder() == files);
    rml_frame_release(&frame);
}

// The limit on file size of the process stands in for a full disk.
static void test_full_disk(void)
{
    struct rlimit old, small;
    CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
    static const rlim_t limits[] = {0, 100, 20000, 60000};
    static const char *const names[] = {"full.mkv", "full.avi", "full.mp4"};
    int files = files_in_folder();
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < 3 * sizeof limits / sizeof *limits; i++) {
        rml_encode_settings settings = settings_of(i % 3 == 2 ? RML_CODEC_MJPEG : RML_CODEC_FFV1);
        settings.audio_path = in_folder("a.wav");
        small = old;
        small.rlim_cur = limits[i / 3];
        rml_error err = {0};
        CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
        rml_status status = encode(in_folder(names[i % 3]), &settings, NULL, &err);
        CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
        CHECK_MSG(status != RML_OK && strstr(err.message, names[i % 3]), "limit %d: %s",
                  (int)limits[i / 3], err.message);
    }
    CHECK(files_in_folder() == files);
}

static uint32_t sum_of(const rml_frame *frame)
{
    uint32_t sum = 1;
    for (int y = 0; y < frame->height; y++)
        for (int x = 0; x < frame->width * 3; x++)
            sum = sum * 31 + frame->data[(size_t)y * frame->pitch + (size_t)x];
    return sum;
}

static void read_all(const char *path, int *frames, size_t *samples)
{
    uint32_t sums[10 * FRAMES];
    rml_video_in *in;
    rml_video_in_settings settings = rml_video_in_settings_default();
    settings.threads = 1;
    rml_error err = {0};
    *frames = 0;
    *samples = 0;
    if (rml_video_in_open(&in, path, &settings, allocator, &err) == RML_OK) {
        rml_frame frame = {0};
        bool end = false;
        while (*frames < 10 * FRAMES && rml_video_in_read(in, &frame, &end, &err) == RML_OK && !end)
            sums[(*frames)++] = sum_of(&frame);
        // A frame that is gone back to is what it was, whatever is wrong with the file.
        for (int i = 1, at; end && i < 8 && *frames > 0; i++) {
            at = i * 17 % *frames;
            rml_video_in_seek(in, at);
            CHECK(rml_video_in_read(in, &frame, &end, NULL) == RML_OK && !end);
            CHECK(sum_of(&frame) == sums[at]);
            end = true;
        }
        rml_frame_release(&frame);
        rml_video_in_close(&in);
    } else {
        CHECK(strstr(err.message, path));
    }
    float *wave;
    if (rml_speech_load(&wave, samples, path, false, allocator, &err) == RML_OK)
        rml_free(allocator, wave);
    else
        CHECK(strstr(err.message, path));
}

// Files that are cut or changed: an error, or fewer frames; the whole file gives them all.
static void test_damage(void)
{
    enum { CAPACITY = 1 << 20 };
    static uint8_t bytes[CAPACITY];
    static const struct {
        const char *name;
        rml_codec codec;
    } files[] = {{"d.mkv", RML_CODEC_FFV1},
                 {"d.mp4", RML_CODEC_MJPEG},
                 {"d.avi", RML_CODEC_MJPEG},
                 {"e.mp4", RML_CODEC_H264},
                 {"d.wav", RML_CODEC_H264}};
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        const char *path = in_folder(files[f].name);
        bool wav = strstr(path, ".wav") != NULL;
        rml_encode_settings settings = settings_of(files[f].codec);
        settings.audio_path = in_folder("a.wav");
        rml_error err = {0};
        if (wav)
            write_wav(path, RATE, RATE / 2);
        else if (encode(path, &settings, NULL, &err) != RML_OK) {
            printf("skipped %s: %s\n", files[f].name, err.message); // no such encoder here
            continue;
        }
        int whole, frames;
        size_t all_samples, samples;
        read_all(path, &whole, &all_samples);
        CHECK_MSG(whole == (wav ? 0 : FRAMES) && all_samples > 7000, "%s: %d frames, %zu samples",
                  files[f].name, whole, all_samples);
        size_t size = read_bytes(path, bytes, CAPACITY);
        CHECK(size > 0 && size < CAPACITY);
        for (int i = 0; i < 40; i++) {
            size_t cut = i < 20 ? (size_t)i * 7 : size * (size_t)(i - 19) / 21;
            write_bytes(in_folder("cut"), bytes, cut);
            read_all(in_folder("cut"), &frames, &samples);
            CHECK_MSG(frames <= whole && samples <= all_samples, "%s cut at %zu", files[f].name,
                      cut);
        }
        uint32_t state = 99;
        for (int i = 0; i < 120; i++) {
            uint8_t saved[8];
            size_t at[8];
            for (int k = 0; k < 8; k++) {
                state = state * 1664525u + 1013904223u;
                at[k] = (state >> 4) % (i % 2 ? size : (size < 600 ? size : 600));
                saved[k] = bytes[at[k]];
                state = state * 1664525u + 1013904223u;
                bytes[at[k]] = (uint8_t)(state >> 24);
            }
            write_bytes(in_folder("cut"), bytes, size);
            read_all(in_folder("cut"), &frames, &samples);
            for (int k = 7; k >= 0; k--)
                bytes[at[k]] = saved[k];
        }
    }
}

static void test_speech(void)
{
    rml_speech *speech;
    CHECK(rml_speech_open(&speech, in_folder("a.wav"), false, allocator, NULL) == RML_OK);
    const rml_speech_info *info = rml_speech_info_of(speech);
    CHECK(info->rate == RATE && info->native_samples == RATE * SECONDS && info->seconds == SECONDS);
    CHECK(info->samples == 16000 && info->columns == 81);
    static float all[81][RML_MEL_BANDS], chunk[RML_MEL_BANDS * RML_MEL_CHUNK];
    for (int64_t start = 0; start <= 65; start++) {
        CHECK(rml_speech_chunk(speech, start, chunk, NULL) == RML_OK);
        for (int band = 0; band < RML_MEL_BANDS; band++)
            for (int i = 0; i < RML_MEL_CHUNK; i++) {
                float value = chunk[band * RML_MEL_CHUNK + i];
                if (i == RML_MEL_CHUNK - 1 || start == 0)
                    all[start + i][band] = value;
                CHECK(all[start + i][band] == value);
            }
    }
    static const int64_t outside[] = {-5, 70, 81, 1000, INT64_MAX, INT64_MIN};
    for (size_t k = 0; k < sizeof outside / sizeof *outside; k++) {
        CHECK(rml_speech_chunk(speech, outside[k], chunk, NULL) == RML_OK);
        for (int i = 0; i < RML_MEL_CHUNK; i++) {
            bool known =
                outside[k] > -100 && outside[k] < 100 && outside[k] + i >= 0 && outside[k] + i < 81;
            float want = known ? all[outside[k] + i][40] : RML_MEL_SILENCE;
            CHECK(chunk[40 * RML_MEL_CHUNK + i] == want);
        }
    }
    rml_speech_close(&speech);
    CHECK(speech == NULL);
}

int main(void)
{
    allocator = rml_allocator_default();
    rml_libav_quiet();
    CHECK(mkdtemp(folder) != NULL);
    write_wav(in_folder("a.wav"), RATE, RATE * SECONDS);
    test_lossless();
    test_speech();
    test_refusals();
    test_abort();
    test_full_disk();
    test_damage();
    static const char *const names[] = {"a.wav",   "l.mkv", "page.wav", "short.wav",
                                        "old.mkv", "d.mkv", "d.mp4",    "d.avi",
                                        "e.mp4",   "d.wav", "cut"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        remove(in_folder(names[i]));
    CHECK(rmdir(folder) == 0); // nothing else was left behind, temporary files among it
    return check_result();
}
