// Every allocation fails in turn on the way from a clip and a voice to a video, with Wav2Lip and
// with the latent networks, and in the networks that hear: RML_ERR_NOMEM with a sentence, nothing
// under the final name, nothing leaks. A cache that does without is no failure, and the video is
// then the same.
//
// RUN_MODEL_NOMEM_STEP: 1, every call fails once; otherwise every n-th of the many calls of the
// whole pipelines, from a start that differs between them.
#define _DEFAULT_SOURCE
#include "pipelines/lipsync/latent_net.h"
#include "pipelines/lipsync/lipsync.h"
#include "pipelines/lipsync/wav2lip_net.h"

#include "tests/support/locked_allocator.h"
#include "tests/support/media_files.h"
#include "tests/support/narrow.h"

#include <unistd.h>

enum { WIDTH = 64, HEIGHT = 48, FRAMES = 3, RATE = 16000, SAMPLES = 4800 };

#define MOST_CALLS 100000
#define UNET                                                                                       \
    "{\"in_channels\":8,\"block_out_channels\":[4,8],\"layers_per_block\":1,"                      \
    "\"down_block_types\":[\"CrossAttnDownBlock2D\",\"DownBlock2D\"],"                             \
    "\"up_block_types\":[\"UpBlock2D\",\"CrossAttnUpBlock2D\"],\"norm_num_groups\":2,"             \
    "\"cross_attention_dim\":64,\"attention_head_dim\":2}"
#define VAE "{\"block_out_channels\":[4,8],\"layers_per_block\":1,\"norm_num_groups\":2}"
// One head of 64, which is what is taken without a config.
#define WAV2VEC2                                                                                   \
    "{\"conv_dim\":[4,4,4,4,4,4,4],\"hidden_size\":64,\"num_hidden_layers\":1,"                    \
    "\"intermediate_size\":8,\"num_conv_pos_embeddings\":4,\"num_conv_pos_embedding_groups\":2}"
#define WHISPER                                                                                    \
    "{\"d_model\":64,\"encoder_layers\":1,\"encoder_ffn_dim\":8,\"num_mel_bins\":8,"               \
    "\"max_source_positions\":20}"

static char folder[] = "/tmp/test_lipsync_nomem_XXXXXX";
static char face[64], voice[64], result_path[64];
static rml_weights *wav2lip, *s3fd, *unet, *vae_encoder, *vae_decoder, *wav2vec2, *whisper;

// ---- subjects -----------------------------------------------------------------------------------

static rml_status build(rml_model **model, const char *name, const rml_weights *weights,
                        const char *config, const rml_allocator *allocator, rml_error *err)
{
    rml_model_settings settings = rml_model_settings_default();
    settings.allocator = allocator;
    settings.config = config;
    return rml_model_create(model, name, weights, &settings, err);
}

static rml_session_settings one_thread(void)
{
    rml_session_settings settings = rml_session_settings_default();
    settings.threads = 1;
    return settings;
}

static rml_status play(rml_lip_net *lips, rml_face_finder *finder, const rml_allocator *allocator,
                       rml_error *err)
{
    static rml_lipsync_result result;
    rml_lipsync_settings settings = rml_lipsync_settings_default();
    rml_lipsync *job = NULL;
    settings.clip.path = face;
    settings.audio_path = voice;
    settings.out_path = result_path;
    if (!finder) {
        settings.box[0] = settings.box[2] = 4;
        settings.box[1] = settings.box[3] = 40;
    }
    settings.codec = RML_CODEC_MJPEG;
    settings.threads = 1;
    rml_status status = rml_lipsync_open(&job, &settings, allocator, err);
    CHECK((status == RML_OK) == (job != NULL));
    if (status == RML_OK)
        status = rml_lipsync_run(job, lips, finder, &result, err);
    rml_lipsync_close(&job);
    return status;
}

static rml_status use_wav2lip(bool detects, const rml_allocator *allocator, rml_error *err)
{
    const rml_session_settings settings = one_thread();
    const rml_face_finder_settings found = {.session = settings, .every = 1};
    rml_model *model = NULL, *detector = NULL;
    rml_session *session = NULL;
    rml_face_finder *finder = NULL;
    rml_wav2lip_net net;
    rml_status status = build(&model, "wav2lip", wav2lip, NULL, allocator, err);
    if (status == RML_OK && detects)
        status = build(&detector, "s3fd", s3fd, NULL, allocator, err);
    if (status == RML_OK)
        status = rml_session_create(&session, model, &settings, err);
    if (status == RML_OK && detects)
        status = rml_face_finder_create(&finder, detector, &found, err);
    if (status == RML_OK)
        status = rml_wav2lip_net_init(&net, model, session, err);
    if (status == RML_OK)
        status = play(&net.net, finder, allocator, err);
    rml_face_finder_destroy(&finder);
    rml_session_destroy(&session);
    rml_model_destroy(&detector);
    rml_model_destroy(&model);
    return status;
}

static rml_status with_wav2lip(const rml_allocator *allocator, rml_error *err)
{
    return use_wav2lip(false, allocator, err);
}

// The detector's weights are random, and it finds what it finds.
static rml_status with_detector(const rml_allocator *allocator, rml_error *err)
{
    return use_wav2lip(true, allocator, err);
}

static rml_status with_latents(const rml_allocator *allocator, rml_error *err)
{
    rml_latent_settings settings = rml_latent_settings_default();
    rml_latent_net *net = NULL;
    settings.session = one_thread();
    settings.side = 16;
    settings.voice = wav2vec2;
    settings.voice_name = "the voice";
    rml_status status = build(&settings.unet, "unet-step0", unet, UNET, allocator, err);
    if (status == RML_OK)
        status = build(&settings.encoder, "vae-encoder", vae_encoder, VAE, allocator, err);
    if (status == RML_OK)
        status = build(&settings.decoder, "vae-decoder", vae_decoder, VAE, allocator, err);
    if (status == RML_OK)
        status = rml_latent_net_create(&net, &settings, allocator, err);
    if (status == RML_OK)
        status = play(rml_latent_net_lips(net), NULL, allocator, err);
    rml_latent_net_destroy(&net);
    rml_model_destroy(&settings.decoder);
    rml_model_destroy(&settings.encoder);
    rml_model_destroy(&settings.unet);
    return status;
}

static rml_status hear(rml_voice_kind kind, const rml_weights *weights,
                       const rml_allocator *allocator, rml_error *err)
{
    static float samples[SAMPLES];
    const rml_session_settings settings = one_thread();
    rml_voice out;
    for (int i = 0; i < SAMPLES; i++)
        samples[i] = 0.3f * uniform_f32(5, (size_t)i);
    const rml_status status =
        rml_voice_hear(&out, kind, weights, NULL, &settings, samples, SAMPLES, allocator, err);
    CHECK((status == RML_OK) == (out.data != NULL));
    rml_voice_release(&out);
    return status;
}

static rml_status hear_wav2vec2(const rml_allocator *allocator, rml_error *err)
{
    return hear(RML_VOICE_WAV2VEC2, wav2vec2, allocator, err);
}

static rml_status hear_whisper(const rml_allocator *allocator, rml_error *err)
{
    return hear(RML_VOICE_WHISPER, whisper, allocator, err);
}

// ---- failures -----------------------------------------------------------------------------------

// What lies under the final name; NULL where nothing does.
static char *take_result(size_t *size)
{
    FILE *file = fopen(result_path, "rb");
    char *data = file ? malloc((size_t)1 << 20) : NULL;
    *size = data ? fread(data, 1, (size_t)1 << 20, file) : 0;
    if (file)
        fclose(file);
    remove(result_path);
    return data;
}

static void fail_each(const char *name, rml_status (*use)(const rml_allocator *, rml_error *),
                      bool files, size_t step)
{
    locked_counting at = {.busy = ATOMIC_FLAG_INIT};
    const rml_allocator allocator = {locked_alloc, locked_release, &at};
    rml_error err = {0};
    size_t size, reached = 0;
    CHECK_MSG(use(&allocator, &err) == RML_OK, "%s: %s", name, err.message);
    const size_t calls = at.counter.calls;
    char *usual = take_result(&size);
    CHECK_MSG((usual != NULL) == files, "%s: a file", name);
    CHECK_MSG(calls > 40 && calls < MOST_CALLS, "%s: %zu allocations", name, calls);
    for (size_t call = 1 + (size_t)getpid() % step; call < MOST_CALLS; call += step) {
        at.counter.calls = 0;
        at.counter.fail_at = call;
        err = (rml_error){0};
        const rml_status status = use(&allocator, &err);
        const bool failed = at.counter.calls >= call;
        size_t now;
        char *result = take_result(&now);
        CHECK_MSG(status == RML_OK || (status == RML_ERR_NOMEM && err.status == status &&
                                       strstr(err.message, "out of memory")),
                  "%s: allocation %zu: %s: %s", name, call, rml_status_name(status), err.message);
        CHECK_MSG(status == RML_OK || !result, "%s: allocation %zu: a file", name, call);
        if (status == RML_OK && files)
            CHECK_MSG(result && now == size && memcmp(result, usual, size) == 0,
                      "%s: allocation %zu: another result", name, call);
        CHECK_MSG(at.counter.live_bytes == 0, "%s: allocation %zu: %zu bytes leak", name, call,
                  at.counter.live_bytes);
        free(result);
        reached += status != RML_OK;
        if (!failed || at.counter.live_bytes)
            break;
    }
    free(usual);
    CHECK_MSG(reached + 8 >= calls / step - calls / step / 50, "%s: %zu of %zu failed", name,
              reached, calls);
    printf("%s: %zu allocations, of which %zu failed\n", name, calls, reached);
}

static bool make_files(void)
{
    rml_error err = {0};
    snprintf(face, sizeof face, "%s/face.avi", folder);
    snprintf(voice, sizeof voice, "%s/voice.wav", folder);
    snprintf(result_path, sizeof result_path, "%s/result.avi", folder);
    const rml_status status = write_clip(face, RML_CODEC_MJPEG, WIDTH, HEIGHT, FRAMES, &err);
    if (status == RML_ERR_UNSUPPORTED) {
        printf("skipped: %s\n", err.message);
        return false;
    }
    CHECK_MSG(status == RML_OK, "%s", err.message);
    write_wav(voice, RATE, SAMPLES);
    return true;
}

int main(void)
{
    const char *given = getenv("RUN_MODEL_NOMEM_STEP");
    const size_t step = given && atoi(given) > 0 ? (size_t)atoi(given) : 1;
    if (!mkdtemp(folder))
        return 1;
    rml_lipsync_quiet_libraries();
    wav2vec2 = random_weights("wav2vec2", WAV2VEC2, 1);
    whisper = random_weights("whisper-encoder", WHISPER, 1);
    fail_each("Wav2Vec2", hear_wav2vec2, false, 1);
    fail_each("Whisper", hear_whisper, false, 1);
    const bool media = make_files();
    if (media) {
        wav2lip = narrow_weights("wav2lip", 16, NULL);
        s3fd = narrow_weights("s3fd", 64, NULL);
        unet = random_weights("unet-step0", UNET, 1);
        vae_encoder = random_weights("vae-encoder", VAE, 1);
        vae_decoder = random_weights("vae-decoder", VAE, 1);
        fail_each("Wav2Lip", with_wav2lip, true, step);
        fail_each("Wav2Lip and S3FD", with_detector, true, step);
        fail_each("latents", with_latents, true, step);
    }
    rml_weights *const all[] = {wav2lip, s3fd, unet, vae_encoder, vae_decoder, wav2vec2, whisper};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        rml_weights *weights = all[i];
        rml_weights_close(&weights);
    }
    remove(face);
    remove(voice);
    CHECK(rmdir(folder) == 0);
    return check_result();
}
