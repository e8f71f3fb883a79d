// Every allocation fails in turn on the way from a clip and a voice to a video, with Wav2Lip and
// with the latent networks, and in the networks that hear: RML_ERR_NOMEM with a sentence, nothing
// under the final name, nothing leaks. A cache that does without is no failure, and the video is
// then the same.
#define _DEFAULT_SOURCE
#include "pipelines/lipsync/latent_net.h"
#include "pipelines/lipsync/lipsync.h"
#include "pipelines/lipsync/wav2lip_net.h"

#include "tests/support/narrow.h"
#include "tests/support/pipeline_nomem.h"

enum { FRAMES = 3, SAMPLES = 4800 };

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

static char *first_result;
static size_t first_size;

// Nothing is there after a failure, and otherwise the same as where nothing failed.
static void look_at_result(const char *name, size_t call, rml_status status)
{
    size_t size;
    char *result = take_result(&size);
    CHECK_MSG((result != NULL) == (status == RML_OK), "%s: allocation %zu: a file", name, call);
    if (call == 0) {
        free(first_result);
        first_result = result;
        first_size = size;
        return;
    }
    if (result && first_result)
        CHECK_MSG(size == first_size && memcmp(result, first_result, size) == 0,
                  "%s: allocation %zu: another result", name, call);
    free(result);
}

int main(void)
{
    const size_t step = nomem_step();
    if (!mkdtemp(folder))
        return 1;
    rml_lipsync_quiet_libraries();
    wav2vec2 = random_weights("wav2vec2", WAV2VEC2, 1);
    whisper = random_weights("whisper-encoder", WHISPER, 1);
    fail_each("Wav2Vec2", hear_wav2vec2, RML_OK, NULL, 1);
    fail_each("Whisper", hear_whisper, RML_OK, NULL, 1);
    snprintf(result_path, sizeof result_path, "%s/result.avi", folder);
    if (nomem_media(folder, face, voice, FRAMES, SAMPLES)) {
        wav2lip = narrow_weights("wav2lip", 16, NULL);
        s3fd = narrow_weights("s3fd", 64, NULL);
        unet = random_weights("unet-step0", UNET, 1);
        vae_encoder = random_weights("vae-encoder", VAE, 1);
        vae_decoder = random_weights("vae-decoder", VAE, 1);
        fail_each("Wav2Lip", with_wav2lip, RML_OK, look_at_result, step);
        fail_each("Wav2Lip and S3FD", with_detector, RML_OK, look_at_result, step);
        fail_each("latents", with_latents, RML_OK, look_at_result, step);
    }
    rml_weights *const all[] = {wav2lip, s3fd, unet, vae_encoder, vae_decoder, wav2vec2, whisper};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        rml_weights *weights = all[i];
        rml_weights_close(&weights);
    }
    free(first_result);
    remove(face);
    remove(voice);
    CHECK(rmdir(folder) == 0);
    return check_result();
}
