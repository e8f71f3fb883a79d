#include "pipelines/lipsync/latent_voice.h"

#include "loaders/weights/weights.h"
#include "media/audio/log_mel.h"
#include "media/audio/mel.h"
#include "models/networks.h"
#include "pipelines/batches.h"
#include "tensor/alloc.h"

#include <math.h>
#include <string.h>

#define STRIP_ROWS 256 // convolved at a time: 51 MB of activations
#define LAYER_ROWS 512 // of the transformer at a time

// What is worked with; all of it is released at the end, whatever failed.
typedef struct hearing {
    const rml_weights *weights;
    const char *config;
    const rml_session_settings *settings;
    const rml_allocator *allocator;
    const float *samples;
    size_t count;
    rml_error *err;
    // the network at hand
    rml_model *model;
    rml_session *session;
    // of Wav2Vec2: norm of the first layer, features of the clip, keys and values of a layer
    float *norm, *features, *keys[2];
    rml_log_mel mel; // of Whisper
} hearing;

static void close_network(hearing *job)
{
    rml_session_destroy(&job->session);
    rml_model_destroy(&job->model);
}

// A network, or with `build` part `*part` of one, in place of the one before.
static rml_status open_network(hearing *job, const char *name, void (*build)(rml_params *params),
                               int64_t *part)
{
    rml_model_settings built = rml_model_settings_default();
    built.config = job->config;
    built.allocator = job->allocator;
    close_network(job);
    RML_TRY(build ? rml_model_create_part(&job->model, build, part, job->weights, &built, job->err)
                  : rml_model_create(&job->model, name, job->weights, &built, job->err));
    return rml_session_create(&job->session, job->model, job->settings, job->err);
}

static rml_status resize(hearing *job, const char *name, int64_t rows, int64_t width)
{
    const rml_shape shape = {width ? 3 : 2, {1, rows, width}};
    return rml_session_resize(job->session, name, shape, job->err);
}

// An input or output of [1,rows,width] that lies in memory of ours.
static rml_status bind(hearing *job, const char *name, float *data, int64_t rows, int64_t width)
{
    return rml_session_bind(job->session, name, data, (size_t)(rows * width) * sizeof *data,
                            job->err);
}

// Runs the network on `bytes` of one input.
static rml_status run_on(hearing *job, const char *name, const float *data, size_t bytes)
{
    memcpy(rml_session_input(job->session, name, NULL), data, bytes);
    return rml_session_run(job->session, job->err);
}

static rml_status check_length(const hearing *job, size_t least)
{
    if (job->count >= least)
        return RML_OK;
    return rml_fail(job->err, RML_ERR_ARG,
                    "the sound is too short: %.4f s, at least %.4f s are needed",
                    (double)job->count / 16000, (double)least / 16000);
}

// ---- Wav2Vec2 -----------------------------------------------------------------------------------

// The norm of the first layer over the whole clip, [2][width].
static rml_status hear_norm(hearing *job, int64_t *width)
{
    rml_shape shape;
    RML_TRY(open_network(job, "wav2vec2-norm", NULL, NULL));
    RML_TRY(resize(job, "input_values", (int64_t)job->count, 0));
    RML_TRY(rml_session_prepare(job->session, job->err));
    RML_TRY(run_on(job, "input_values", job->samples, job->count * sizeof *job->samples));
    const float *from = rml_session_output(job->session, "norm", &shape);
    *width = shape.dim[2];
    RML_TRY(rml_make(job->allocator, &job->norm, 2 * (size_t)*width, sizeof *job->norm,
                     "the norm of the sound", job->err));
    memcpy(job->norm, from, 2 * (size_t)*width * sizeof *job->norm);
    return RML_OK;
}

// The features of the clip, strip by strip; their width is found on the way.
static rml_status hear_features(hearing *job, int64_t rows, int64_t *width)
{
    int64_t norm_width;
    RML_TRY(open_network(job, "wav2vec2-features", NULL, NULL));
    if (rml_model_find_input(job->model, "norm") != RML_NO_PORT) {
        RML_TRY(hear_norm(job, &norm_width));
        RML_TRY(open_network(job, "wav2vec2-features", NULL, NULL));
        RML_TRY(resize(job, "norm", 2, norm_width));
        RML_TRY(bind(job, "norm", job->norm, 2, norm_width));
    }
    for (int64_t first = 0; first < rows; first += STRIP_ROWS) {
        const int64_t here = rows - first < STRIP_ROWS ? rows - first : STRIP_ROWS;
        const int64_t count = (here - 1) * RML_VOICE_HOP + RML_VOICE_FIELD;
        rml_shape shape;
        RML_TRY(resize(job, "input_values", count, 0));
        RML_TRY(rml_session_prepare(job->session, job->err));
        if (!rml_session_output(job->session, "features", &shape) || shape.rank != 3 ||
            shape.dim[1] != here)
            return rml_fail(job->err, RML_ERR_SHAPE,
                            "the network does not make a row of each %d samples as Wav2Vec2 does",
                            RML_VOICE_HOP);
        *width = shape.dim[2];
        if (!job->features)
            RML_TRY(rml_make(job->allocator, &job->features, (size_t)rows,
                             (size_t)*width * sizeof *job->features, "the features of the sound",
                             job->err));
        RML_TRY(run_on(job, "input_values", job->samples + first * RML_VOICE_HOP,
                       (size_t)count * sizeof *job->samples));
        memcpy(job->features + first * *width, rml_session_output(job->session, "features", NULL),
               (size_t)(here * *width) * sizeof *job->features);
    }
    return RML_OK;
}

// What the layers begin with, and how many they are. The features are gone after it.
static rml_status run_front(hearing *job, int64_t rows, int64_t width, int64_t *layers,
                            rml_voice *out)
{
    rml_shape shape;
    RML_TRY(open_network(job, NULL, rml_build_wav2vec2_front, layers));
    RML_TRY(resize(job, "features", rows, width));
    RML_TRY(bind(job, "features", job->features, rows, width));
    RML_TRY(rml_session_prepare(job->session, job->err));
    rml_session_output(job->session, "hidden", &shape);
    out->rows = shape.dim[1];
    out->width = shape.dim[2];
    RML_TRY(rml_make(out->allocator, &out->data, (size_t)out->rows,
                     (size_t)out->width * sizeof *out->data, "the vectors of the sound", job->err));
    RML_TRY(bind(job, "hidden", out->data, out->rows, out->width));
    RML_TRY(rml_session_run(job->session, job->err));
    close_network(job);
    rml_free(job->allocator, job->features);
    job->features = NULL;
    return RML_OK;
}

// Strip by strip: key and value of a layer from x, or with them what the layer makes of x, in its
// place. A row's numbers do not depend on the others of its strip.
static rml_status run_layer(hearing *job, int64_t layer, bool attend, rml_voice *x)
{
    static const char *const names[2] = {"key", "value"};
    RML_TRY(open_network(job, NULL, attend ? rml_build_wav2vec2_layer : rml_build_wav2vec2_keys,
                         &layer));
    for (int i = 0; i < 2 && attend; i++) {
        RML_TRY(resize(job, names[i], x->rows, x->width));
        RML_TRY(bind(job, names[i], job->keys[i], x->rows, x->width));
    }
    for (int64_t first = 0; first < x->rows; first += LAYER_ROWS) {
        const int64_t here = x->rows - first < LAYER_ROWS ? x->rows - first : LAYER_ROWS;
        const size_t at = (size_t)(first * x->width),
                     bytes = (size_t)(here * x->width) * sizeof *x->data;
        RML_TRY(resize(job, "hidden", here, x->width));
        RML_TRY(rml_session_prepare(job->session, job->err));
        RML_TRY(run_on(job, "hidden", x->data + at, bytes));
        if (attend)
            memcpy(x->data + at, rml_session_output(job->session, "made", NULL), bytes);
        for (int i = 0; i < 2 && !attend; i++)
            memcpy(job->keys[i] + at, rml_session_output(job->session, names[i], NULL), bytes);
    }
    return RML_OK;
}

// Layer by layer, of which only one has its weights in memory: beside the rows there are their keys
// and values, and the activations of a strip.
static rml_status hear_wav2vec2(hearing *job, float *samples, rml_voice *out)
{
    const int64_t rows = rml_voice_row_count(RML_VOICE_WAV2VEC2, (int64_t)job->count);
    int64_t width = 0, layers = 0;
    RML_TRY(check_length(job, RML_VOICE_FIELD + (RML_VOICE_CHUNK - 1) * RML_VOICE_HOP));
    RML_TRY(rml_wave_standardise(samples, job->count, job->err));
    RML_TRY(hear_features(job, rows, &width));
    RML_TRY(run_front(job, rows, width, &layers, out));
    for (int i = 0; i < 2; i++)
        RML_TRY(rml_make(job->allocator, &job->keys[i], (size_t)(out->rows * out->width),
                         sizeof *out->data, "the keys of the sound", job->err));
    for (int64_t layer = 0; layer < layers; layer++) {
        RML_TRY(run_layer(job, layer, false, out));
        RML_TRY(run_layer(job, layer, true, out));
    }
    return RML_OK;
}

// ---- Whisper ------------------------------------------------------------------------------------

// Runs all windows over the clip. `columns` of mel make half as many rows, rounded down in each.
static rml_status hear_whisper(hearing *job, rml_voice *out)
{
    rml_shape shape, rows;
    RML_TRY(check_length(job, 2 * RML_VOICE_CHUNK * RML_LOG_MEL_HOP));
    RML_TRY(open_network(job, "whisper-encoder", NULL, NULL));
    shape = rml_model_input(job->model, 0).shape;
    shape.dim[0] = 1;
    RML_TRY(rml_session_resize(job->session, "input_features", shape, job->err));
    RML_TRY(rml_session_prepare(job->session, job->err));
    RML_TRY(rml_log_mel_create(&job->mel, job->samples, job->count, (int)shape.dim[1],
                               job->allocator, job->err));
    rml_session_output(job->session, "features", &rows);
    out->layers = rows.dim[2];
    out->width = rows.dim[3];
    const size_t row = (size_t)(out->layers * out->width);
    RML_TRY(rml_make(out->allocator, &out->data, (size_t)(job->mel.columns / 2),
                     row * sizeof *out->data, "the vectors of the sound", job->err));
    const int64_t window = shape.dim[2];
    for (int64_t first = 0; first < job->mel.columns; first += window) {
        const int64_t left = job->mel.columns - first, here = left < window ? left : window;
        rml_log_mel_window(&job->mel, first, window,
                           rml_session_input(job->session, "input_features", NULL));
        RML_TRY(rml_session_run(job->session, job->err));
        memcpy(out->data + (size_t)out->rows * row,
               rml_session_output(job->session, "features", NULL),
               (size_t)(here / 2) * row * sizeof *out->data);
        out->rows += here / 2;
    }
    return RML_OK;
}

static const struct {
    const char *name, *network;
} kinds[] = {
    [RML_VOICE_WAV2VEC2] = {"Wav2Vec2", "wav2vec2"},
    [RML_VOICE_WHISPER] = {"Whisper", "whisper-encoder"},
};

rml_status rml_voice_check(rml_voice_kind kind, const rml_weights *weights, const char *path,
                           int64_t context, const rml_allocator *allocator, rml_error *err)
{
    rml_model *model;
    rml_model_settings built = rml_model_settings_default();
    built.allocator = allocator;
    const rml_voice_kind other = kind == RML_VOICE_WHISPER ? RML_VOICE_WAV2VEC2 : RML_VOICE_WHISPER;
    const rml_status status = rml_model_create(&model, kinds[kind].network, weights, &built, err);
    if (status != RML_OK) {
        if (rml_model_create(&model, kinds[other].network, weights, &built, NULL) != RML_OK)
            return status;
        rml_model_destroy(&model);
        return rml_fail(err, RML_ERR_ARG, "%s: is %s, and was given for %s", path,
                        kinds[other].name, kinds[kind].name);
    }
    const rml_shape shape =
        rml_model_output(model, rml_model_find_output(model, "last_hidden_state")).shape;
    const int64_t width = shape.rank > 0 ? shape.dim[shape.rank - 1] : -1;
    rml_model_destroy(&model);
    if (context > 0 && width > 0 && width != context)
        return rml_fail(err, RML_ERR_SHAPE,
                        "%s: %s makes vectors of %lld numbers, and the UNet takes those of %lld "
                        "(Wav2Vec2 base makes 768, Wav2Vec2 large 1024, Whisper tiny 384)",
                        path, kinds[kind].name, (long long)width, (long long)context);
    return RML_OK;
}

rml_status rml_voice_hear(rml_voice *out, rml_voice_kind kind, const rml_weights *weights,
                          const char *config, const rml_session_settings *settings, float *samples,
                          size_t count, const rml_allocator *allocator, rml_error *err)
{
    hearing job = {.weights = weights,
                   .config = config,
                   .settings = settings,
                   .allocator = allocator,
                   .samples = samples,
                   .count = count,
                   .err = err};
    *out = (rml_voice){.allocator = allocator, .kind = kind, .layers = 1};
    if (rml_weights_is_graph(weights, NULL, NULL))
        return rml_fail(
            err, RML_ERR_UNSUPPORTED,
            "%s: a graph file, and what hears is computed in parts, which takes weights",
            rml_weights_path(weights));
    rml_status status =
        kind == RML_VOICE_WAV2VEC2 ? hear_wav2vec2(&job, samples, out) : hear_whisper(&job, out);
    close_network(&job);
    rml_free(allocator, job.norm);
    rml_free(allocator, job.features);
    rml_free(allocator, job.keys[0]);
    rml_free(allocator, job.keys[1]);
    rml_log_mel_release(&job.mel);
    if (status == RML_OK)
        status = rml_check_finite(out->data, (size_t)(out->rows * out->layers * out->width), err);
    if (status != RML_OK)
        rml_voice_release(out);
    return status;
}

void rml_voice_release(rml_voice *voice)
{
    if (voice->data)
        rml_free(voice->allocator, voice->data);
    voice->data = NULL;
    voice->rows = 0;
}

rml_status rml_voice_hear_silence(float *dst, rml_voice_kind kind, const rml_weights *weights,
                                  const char *config, const rml_session_settings *settings,
                                  const rml_allocator *allocator, rml_error *err)
{
    rml_voice quiet;
    float *samples;
    RML_TRY(rml_make(allocator, &samples, RML_MEL_RATE, sizeof *samples, "silence", err));
    const rml_status status = rml_voice_hear(&quiet, kind, weights, config, settings, samples,
                                             RML_MEL_RATE, allocator, err);
    rml_free(allocator, samples);
    if (status != RML_OK)
        return status;
    // Of Whisper a chunk begins before its row.
    rml_voice_chunk_at(&quiet, quiet.rows / 2, dst);
    rml_voice_release(&quiet);
    return RML_OK;
}
