// The vectors of a clip: in strips the same bits as in one run, windows, and chunks of frames by
// upstream's formulas.
#include "media/audio/log_mel.h"
#include "pipelines/lipsync/latent_voice.h"

#include "tests/support/counting_allocator.h"
#include "tests/support/narrow.h"

#define SECONDS 11 // two strips and a part
#define NARROW                                                                                     \
    "\"num_hidden_layers\": 1, \"hidden_size\": 64, \"intermediate_size\": 64, \"conv_dim\": "     \
    "[16, 16, 16, 16, 16, 16, 16]"
#define COUNT (SECONDS * 16000 + 77)

static const rml_allocator *allocator;

static float *sound(size_t count)
{
    float *samples = malloc(count * sizeof *samples);
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        samples[i] = (float)(state >> 8) / (1 << 24) * sinf((float)i / 900.0f) + 0.1f;
    }
    return samples;
}

// One run of a network over one input of shape `shape`; the output belongs to the caller.
static float *run_once(const char *name, const rml_weights *weights, const char *config,
                       const char *input, rml_shape shape, const float *data, const char *output,
                       rml_shape *out)
{
    rml_model_settings built = rml_model_settings_default();
    const rml_session_settings settings = rml_session_settings_default();
    rml_model *model;
    rml_session *session;
    size_t count = 1;
    built.config = config;
    CHECK(rml_model_create(&model, name, weights, &built, NULL) == RML_OK);
    CHECK(rml_session_create(&session, model, &settings, NULL) == RML_OK);
    CHECK(rml_session_resize(session, input, shape, NULL) == RML_OK);
    CHECK(rml_session_prepare(session, NULL) == RML_OK);
    for (int i = 0; i < shape.rank; i++)
        count *= (size_t)shape.dim[i];
    memcpy(rml_session_input(session, input, NULL), data, count * sizeof *data);
    CHECK(rml_session_run(session, NULL) == RML_OK);
    const float *from = rml_session_output(session, output, out);
    count = 1;
    for (int i = 0; i < out->rank; i++)
        count *= (size_t)out->dim[i];
    float *copy = malloc(count * sizeof *copy);
    memcpy(copy, from, count * sizeof *copy);
    rml_session_destroy(&session);
    rml_model_destroy(&model);
    return copy;
}

static void test_wav2vec2(const char *config)
{
    rml_weights *weights = random_weights("wav2vec2", config, 3);
    const rml_session_settings settings = rml_session_settings_default();
    float *samples = sound(COUNT), *heard = sound(COUNT);
    rml_voice voice;
    rml_shape shape;
    CHECK(rml_voice_hear(&voice, RML_VOICE_WAV2VEC2, weights, config, &settings, heard, COUNT,
                         allocator, NULL) == RML_OK);
    CHECK(rml_wave_standardise(samples, COUNT, NULL) == RML_OK);
    float *whole = run_once("wav2vec2", weights, config, "input_values", (rml_shape){2, {1, COUNT}},
                            samples, "last_hidden_state", &shape);
    CHECK(voice.rows == (COUNT - 400) / 320 + 1 && voice.rows == shape.dim[1]);
    CHECK(voice.layers == 1 && voice.width == shape.dim[2]);
    CHECK(memcmp(voice.data, whole, (size_t)(voice.rows * voice.width) * sizeof *whole) == 0);
    rml_voice_release(&voice);
    free(whole);
    free(samples);
    free(heard);
    rml_weights_close(&weights);
}

static void test_whisper(void)
{
    static const char *config = "{\"encoder_layers\": 1, \"d_model\": 64, \"encoder_ffn_dim\": 64}";
    enum { WINDOW = 3000, WHOLE = 31 * 16000, LEFT = WHOLE / RML_LOG_MEL_HOP - WINDOW };
    rml_weights *weights = random_weights("whisper-encoder", config, 3);
    const rml_session_settings settings = rml_session_settings_default();
    float *samples = sound(WHOLE), *window = malloc(80 * WINDOW * sizeof *window);
    rml_log_mel mel;
    rml_voice voice;
    rml_shape shape;
    CHECK(rml_log_mel_create(&mel, samples, WHOLE, 80, allocator, NULL) == RML_OK);
    CHECK(rml_voice_hear(&voice, RML_VOICE_WHISPER, weights, config, &settings, samples, WHOLE,
                         allocator, NULL) == RML_OK);
    CHECK(voice.rows == (WINDOW + LEFT) / 2 && voice.layers == 2 && voice.width == 64);
    for (int i = 0; i < 2; i++) {
        rml_log_mel_window(&mel, (int64_t)i * WINDOW, WINDOW, window);
        float *rows = run_once("whisper-encoder", weights, config, "input_features",
                               (rml_shape){3, {1, 80, WINDOW}}, window, "features", &shape);
        CHECK(memcmp(voice.data + (size_t)i * WINDOW / 2 * 2 * 64, rows,
                     (size_t)(i ? LEFT : WINDOW) / 2 * 2 * 64 * sizeof *rows) == 0);
        free(rows);
    }
    rml_voice_release(&voice);
    rml_log_mel_release(&mel);
    free(window);
    free(samples);
    rml_weights_close(&weights);
}

// ---- chunks -------------------------------------------------------------------------------------

static int64_t clamped(int64_t at, int64_t rows)
{
    return at < 0 ? 0 : at >= rows ? rows - 1 : at;
}

// The formulas as upstream's loops have them, one frame after the other.
static int64_t expected_first(const rml_voice *voice, double fps, int64_t index, bool *last)
{
    if (voice->kind == RML_VOICE_WHISPER) {
        const int64_t centre = (int64_t)((double)index * 50.0 / fps);
        *last = centre > voice->rows;
        return centre - 4;
    }
    const int64_t start = (int64_t)((double)index * (50.0 / fps));
    *last = start + 10 > voice->rows;
    return *last ? voice->rows - 10 : start;
}

static void check_chunks(rml_voice *voice, double fps)
{
    bool last = false;
    int64_t index = 0;
    for (; !last; index++) {
        float chunk[2 * RML_VOICE_CHUNK];
        const int64_t first = expected_first(voice, fps, index, &last);
        rml_voice_chunk(voice, fps, index, chunk);
        for (int i = 0; i < RML_VOICE_CHUNK; i++)
            for (int k = 0; k < 2; k++)
                if (chunk[2 * i + k] != voice->data[2 * clamped(first + i, voice->rows) + k])
                    CHECK_MSG(false, "%lld rows at %g, frame %lld, row %d", (long long)voice->rows,
                              fps, (long long)index, i);
    }
    CHECK_MSG(rml_voice_chunk_count(voice, fps) == index, "%lld rows at %g: %lld chunks, not %lld",
              (long long)voice->rows, fps, (long long)rml_voice_chunk_count(voice, fps),
              (long long)index);
}

static void test_chunks(void)
{
    static const double rates[] = {12.5, 23.976023976, 24, 25, 29.97, 30, 50, 60, 100};
    float data[2 * 2000];
    for (int i = 0; i < 2 * 2000; i++)
        data[i] = (float)i;
    for (int kind = 0; kind < 2; kind++)
        for (size_t r = 0; r < sizeof rates / sizeof *rates; r++)
            for (int64_t rows = 10; rows <= 2000; rows += rows < 60 ? 1 : 313) {
                rml_voice voice = {.kind = (rml_voice_kind)kind,
                                   .rows = rows,
                                   .layers = 2,
                                   .width = 1,
                                   .data = data};
                check_chunks(&voice, rates[r]);
            }
    rml_voice voice = {.rows = 9, .layers = 1, .width = 1, .data = data};
    CHECK(rml_voice_chunk_count(&voice, 25) == 0);
    voice.rows = 499; // 10 s, which upstream makes 246 frames of
    CHECK(rml_voice_chunk_count(&voice, 25) == 246);
    CHECK(rml_voice_chunk_count(&voice, 0) == 0 && rml_voice_chunk_count(&voice, NAN) == 0);
    CHECK(rml_voice_chunk_count(&voice, INFINITY) == 0);
}

static void test_refusals(void)
{
    static const char *config = "{" NARROW "}";
    rml_weights *weights = random_weights("wav2vec2", config, 3);
    const rml_session_settings settings = rml_session_settings_default();
    float *samples = sound(COUNT);
    rml_voice voice;
    rml_error err = {0};
    CHECK(rml_voice_hear(&voice, RML_VOICE_WAV2VEC2, weights, config, &settings, samples, 3279,
                         allocator, &err) == RML_ERR_ARG);
    CHECK(strstr(err.message, "too short") != NULL && voice.data == NULL);
    CHECK(rml_voice_hear(&voice, RML_VOICE_WAV2VEC2, weights, config, &settings, samples, 3280,
                         allocator, &err) == RML_OK);
    CHECK(voice.rows == RML_VOICE_CHUNK && rml_voice_chunk_count(&voice, 25) == 2);
    rml_voice_release(&voice);
    samples[5000] = NAN;
    CHECK(rml_voice_hear(&voice, RML_VOICE_WAV2VEC2, weights, config, &settings, samples, COUNT,
                         allocator, &err) == RML_ERR_FORMAT);
    CHECK(strstr(err.message, "not a number at") != NULL);
    CHECK(rml_voice_hear(&voice, RML_VOICE_WHISPER, weights, NULL, &settings, samples, 4000,
                         allocator, &err) != RML_OK);
    CHECK(strstr(err.message, "whisper-encoder") != NULL);
    free(samples);
    rml_weights_close(&weights);
}

#define WIDE                                                                                       \
    "{\"num_hidden_layers\": 2, \"hidden_size\": 64, \"intermediate_size\": 1024, \"conv_dim\": "  \
    "[16, 16, 16, 16, 16, 16, 16]}"

static size_t peak_of(const rml_weights *weights, size_t count)
{
    counting counter;
    const rml_allocator counted = counting_allocator(&counter);
    rml_session_settings settings = rml_session_settings_default();
    settings.allocator = &counted;
    settings.threads = 1;
    float *samples = sound(count);
    rml_voice voice;
    CHECK(rml_voice_hear(&voice, RML_VOICE_WAV2VEC2, weights, WIDE, &settings, samples, count,
                         &counted, NULL) == RML_OK);
    rml_voice_release(&voice);
    free(samples);
    return counter.peak_bytes;
}

// Each row costs a few vectors as wide as the network, and none as wide as its inner layer: 256 and
// 4096 bytes here.
static void test_memory(void)
{
    rml_weights *weights = random_weights("wav2vec2", WIDE, 3);
    const size_t rows = 1500, one = peak_of(weights, rows * 320 + 80);
    const size_t two = peak_of(weights, 2 * rows * 320 + 80);
    CHECK_MSG(two < one + rows * 2048, "%zu bytes for %zu rows, %zu for twice as many", one, rows,
              two);
    rml_weights_close(&weights);
}

int main(void)
{
    allocator = rml_allocator_default();
    test_chunks();
    test_refusals();
    test_wav2vec2("{" NARROW "}");
    test_wav2vec2("{" NARROW ", \"feat_extract_norm\": \"layer\"}");
    test_wav2vec2("{" NARROW ", \"num_hidden_layers\": 3, \"do_stable_layer_norm\": true}");
    test_memory();
    test_whisper();
    return check_result();
}
