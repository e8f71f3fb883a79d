#include "pipelines/lipsync/voice.h"

#include "loaders/weights/weights.h"
#include "media/audio/log_mel.h"
#include "models/networks.h"
#include "tensor/alloc.h"

#include <math.h>
#include <string.h>

#define STRIP_ROWS 256 // convolved at a time: 51 MB of activations
#define LAYER_ROWS 512 // of the transformer at a time

// A network open for one input size at a time.
typedef struct runner {
    rml_model *model;
    rml_session *session;
} runner;

static void runner_close(runner *r)
{
    rml_session_destroy(&r->session);
    rml_model_destroy(&r->model);
}

typedef struct hearing {
    const rml_weights *weights;
    const char *config;
    const rml_session_settings *settings;
    const rml_allocator *allocator;
    rml_error *err;
} hearing;

static rml_model_settings built_for(const hearing *job)
{
    rml_model_settings built = rml_model_settings_default();
    built.config = job->config;
    built.allocator = job->allocator;
    return built;
}

static rml_status runner_open(const hearing *job, const char *name, runner *r)
{
    const rml_model_settings built = built_for(job);
    *r = (runner){0};
    RML_TRY(rml_model_create(&r->model, name, job->weights, &built, job->err));
    return rml_session_create(&r->session, r->model, job->settings, job->err);
}

static bool all_finite(const float *data, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(data[i]))
            return false;
    return true;
}

static rml_status too_short(size_t count, double least, rml_error *err)
{
    return rml_fail(err, RML_ERR_ARG, "the sound is too short: %.4f s, at least %.4f s are needed",
                    (double)count / 16000, least / 16000);
}

// ---- Wav2Vec2 -----------------------------------------------------------------------------------

// The norm of the first layer over the whole clip, [2][width] in *norm; NULL where the layout has
// none.
static rml_status hear_norm(const hearing *job, const float *samples, size_t count,
                            rml_shape *shape, float **norm, const rml_allocator *allocator)
{
    runner r;
    rml_status status = runner_open(job, "wav2vec2-norm", &r);
    if (status == RML_OK)
        status = rml_session_resize(r.session, "input_values", (rml_shape){2, {1, (int64_t)count}},
                                    job->err);
    if (status == RML_OK)
        status = rml_session_prepare(r.session, job->err);
    if (status == RML_OK) {
        memcpy(rml_session_input(r.session, "input_values", NULL), samples,
               count * sizeof *samples);
        status = rml_session_run(r.session, job->err);
    }
    if (status == RML_OK) {
        const float *from = rml_session_output(r.session, "norm", shape);
        const size_t bytes = (size_t)shape->dim[1] * (size_t)shape->dim[2] * sizeof *from;
        *norm = rml_alloc(allocator, bytes);
        if (*norm)
            memcpy(*norm, from, bytes);
        else
            status = rml_fail_nomem(job->err, bytes, "the norm of the sound");
    }
    runner_close(&r);
    return status;
}

// Rows [first, first + rows) of the features, to `features`, whose width is found on the way.
static rml_status hear_strip(const hearing *job, runner *r, const float *samples, int64_t first,
                             int64_t rows, int64_t all, rml_voice *features)
{
    const int64_t count = (rows - 1) * RML_VOICE_HOP + RML_VOICE_FIELD;
    RML_TRY(rml_session_resize(r->session, "input_values", (rml_shape){2, {1, count}}, job->err));
    RML_TRY(rml_session_prepare(r->session, job->err));
    rml_shape shape;
    if (!rml_session_output(r->session, "features", &shape) || shape.rank != 3 ||
        shape.dim[1] != rows)
        return rml_fail(job->err, RML_ERR_SHAPE,
                        "the network does not make a row of each %d samples as Wav2Vec2 does",
                        RML_VOICE_HOP);
    if (!features->data) {
        size_t bytes = 0;
        features->width = shape.dim[2];
        if (!rml_size_mul((size_t)all, (size_t)shape.dim[2] * sizeof(float), &bytes) ||
            !(features->data = rml_alloc(features->allocator, bytes)))
            return rml_fail_nomem(job->err, bytes, "the features of the sound");
    }
    memcpy(rml_session_input(r->session, "input_values", NULL), samples + first * RML_VOICE_HOP,
           (size_t)count * sizeof *samples);
    RML_TRY(rml_session_run(r->session, job->err));
    memcpy(features->data + first * features->width,
           rml_session_output(r->session, "features", NULL),
           (size_t)(rows * features->width) * sizeof *samples);
    return RML_OK;
}

static rml_status hear_features(const hearing *job, const float *samples, size_t count,
                                rml_voice *features)
{
    const int64_t rows = ((int64_t)count - RML_VOICE_FIELD) / RML_VOICE_HOP + 1;
    rml_shape shape;
    runner r;
    float *norm = NULL;
    rml_status status = runner_open(job, "wav2vec2-features", &r);
    if (status == RML_OK && rml_model_find_input(r.model, "norm") != RML_NO_PORT) {
        status = hear_norm(job, samples, count, &shape, &norm, features->allocator);
        if (status == RML_OK)
            status = rml_session_resize(r.session, "norm", shape, job->err);
        if (status == RML_OK)
            status =
                rml_session_bind(r.session, "norm", norm,
                                 (size_t)(shape.dim[1] * shape.dim[2]) * sizeof *norm, job->err);
    }
    for (int64_t first = 0; first < rows && status == RML_OK; first += STRIP_ROWS) {
        const int64_t here = rows - first < STRIP_ROWS ? rows - first : STRIP_ROWS;
        status = hear_strip(job, &r, samples, first, here, rows, features);
    }
    runner_close(&r);
    rml_free(features->allocator, norm);
    features->rows = rows;
    return status;
}

static rml_status part_open(const hearing *job, void (*build)(rml_params *params), int64_t *part,
                            runner *r)
{
    const rml_model_settings built = built_for(job);
    *r = (runner){0};
    RML_TRY(rml_model_create_part(&r->model, build, part, job->weights, &built, job->err));
    return rml_session_create(&r->session, r->model, job->settings, job->err);
}

// What the layers begin with, and how many they are.
static rml_status run_front(const hearing *job, const rml_voice *features, int64_t *layers,
                            rml_voice *out)
{
    rml_shape shape = {3, {1, features->rows, features->width}};
    const size_t bytes = (size_t)(features->rows * features->width) * sizeof(float);
    runner r;
    rml_status status = part_open(job, rml_build_wav2vec2_front, layers, &r);
    if (status == RML_OK)
        status = rml_session_resize(r.session, "features", shape, job->err);
    if (status == RML_OK)
        status = rml_session_bind(r.session, "features", features->data, bytes, job->err);
    if (status == RML_OK)
        status = rml_session_prepare(r.session, job->err);
    if (status == RML_OK) {
        rml_session_output(r.session, "hidden", &shape);
        out->rows = shape.dim[1];
        out->width = shape.dim[2];
        status = rml_make(out->allocator, &out->data, (size_t)(out->rows * out->width),
                          sizeof *out->data, "the vectors of the sound", job->err);
    }
    if (status == RML_OK)
        status = rml_session_bind(r.session, "hidden", out->data,
                                  (size_t)(out->rows * out->width) * sizeof *out->data, job->err);
    if (status == RML_OK)
        status = rml_session_run(r.session, job->err);
    runner_close(&r);
    return status;
}

// Strip by strip: key and value of a layer from x, or with them what the layer makes of x, in its
// place. A row's numbers do not depend on the others of its strip.
static rml_status run_layer(const hearing *job, int64_t layer, bool attend, rml_voice *x,
                            float *const keys[2])
{
    static const char *const names[2] = {"key", "value"};
    const size_t row = (size_t)x->width;
    runner r;
    rml_status status =
        part_open(job, attend ? rml_build_wav2vec2_layer : rml_build_wav2vec2_keys, &layer, &r);
    for (int i = 0; i < 2 && attend && status == RML_OK; i++) {
        status = rml_session_resize(r.session, names[i], (rml_shape){3, {1, x->rows, x->width}},
                                    job->err);
        if (status == RML_OK)
            status = rml_session_bind(r.session, names[i], keys[i],
                                      (size_t)x->rows * row * sizeof(float), job->err);
    }
    for (int64_t first = 0; first < x->rows && status == RML_OK; first += LAYER_ROWS) {
        const int64_t here = x->rows - first < LAYER_ROWS ? x->rows - first : LAYER_ROWS;
        const size_t at = (size_t)first * row, bytes = (size_t)here * row * sizeof(float);
        status =
            rml_session_resize(r.session, "hidden", (rml_shape){3, {1, here, x->width}}, job->err);
        if (status == RML_OK)
            status = rml_session_prepare(r.session, job->err);
        if (status != RML_OK)
            break;
        memcpy(rml_session_input(r.session, "hidden", NULL), x->data + at, bytes);
        status = rml_session_run(r.session, job->err);
        if (status == RML_OK && attend)
            memcpy(x->data + at, rml_session_output(r.session, "made", NULL), bytes);
        for (int i = 0; i < 2 && !attend && status == RML_OK; i++)
            memcpy(keys[i] + at, rml_session_output(r.session, names[i], NULL), bytes);
    }
    runner_close(&r);
    return status;
}

// Layer by layer, of which only one has its weights in memory: beside the rows there are their keys
// and values, and the activations of a strip.
static rml_status encode(const hearing *job, rml_voice *features, rml_voice *out)
{
    int64_t layers = 0;
    float *keys[2] = {NULL, NULL};
    RML_TRY(run_front(job, features, &layers, out));
    rml_voice_release(features);
    rml_status status = RML_OK;
    for (int i = 0; i < 2 && status == RML_OK; i++)
        status = rml_make(out->allocator, &keys[i], (size_t)(out->rows * out->width),
                          sizeof *keys[i], "the keys of the sound", job->err);
    for (int64_t layer = 0; layer < layers && status == RML_OK; layer++) {
        status = run_layer(job, layer, false, out, keys);
        if (status == RML_OK)
            status = run_layer(job, layer, true, out, keys);
    }
    rml_free(out->allocator, keys[0]);
    rml_free(out->allocator, keys[1]);
    return status;
}

static rml_status hear_wav2vec2(const hearing *job, float *samples, size_t count, rml_voice *out)
{
    rml_voice features = {.allocator = out->allocator};
    const size_t least = RML_VOICE_FIELD + (RML_VOICE_CHUNK - 1) * RML_VOICE_HOP;
    if (count < least)
        return too_short(count, (double)least, job->err);
    RML_TRY(rml_wave_standardise(samples, count, job->err));
    rml_status status = hear_features(job, samples, count, &features);
    if (status == RML_OK)
        status = encode(job, &features, out);
    rml_voice_release(&features);
    return status;
}

// ---- Whisper ------------------------------------------------------------------------------------

// Runs all windows over the clip. `columns` of mel make half as many rows, rounded down in each.
static rml_status run_windows(const hearing *job, runner *r, const rml_log_mel *mel, int64_t window,
                              rml_voice *out)
{
    for (int64_t first = 0; first < mel->columns; first += window) {
        const int64_t here = mel->columns - first < window ? mel->columns - first : window;
        rml_log_mel_window(mel, first, window,
                           rml_session_input(r->session, "input_features", NULL));
        RML_TRY(rml_session_run(r->session, job->err));
        const size_t row = (size_t)(out->layers * out->width);
        memcpy(out->data + (size_t)out->rows * row,
               rml_session_output(r->session, "features", NULL),
               (size_t)(here / 2) * row * sizeof *out->data);
        out->rows += here / 2;
    }
    return RML_OK;
}

static rml_status hear_whisper(const hearing *job, const float *samples, size_t count,
                               rml_voice *out)
{
    rml_log_mel mel = {0};
    rml_shape shape;
    runner r;
    const size_t least = 2 * RML_VOICE_CHUNK * RML_LOG_MEL_HOP;
    if (count < least)
        return too_short(count, (double)least, job->err);
    rml_status status = runner_open(job, "whisper-encoder", &r);
    if (status == RML_OK) {
        shape = rml_model_input(r.model, 0).shape;
        shape.dim[0] = 1;
        status = rml_session_resize(r.session, "input_features", shape, job->err);
    }
    if (status == RML_OK)
        status = rml_session_prepare(r.session, job->err);
    if (status == RML_OK)
        status =
            rml_log_mel_create(&mel, samples, count, (int)shape.dim[1], out->allocator, job->err);
    if (status == RML_OK) {
        rml_shape rows;
        size_t bytes = 0;
        rml_session_output(r.session, "features", &rows);
        out->layers = rows.dim[2];
        out->width = rows.dim[3];
        const bool fits = rml_size_mul((size_t)(mel.columns / 2),
                                       (size_t)(rows.dim[2] * rows.dim[3]) * sizeof(float), &bytes);
        out->data = fits ? rml_alloc(out->allocator, bytes) : NULL;
        status = out->data ? run_windows(job, &r, &mel, shape.dim[2], out)
                           : rml_fail_nomem(job->err, bytes, "the vectors of the sound");
    }
    rml_log_mel_release(&mel);
    runner_close(&r);
    return status;
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
    const hearing job = {weights, config, settings, allocator, err};
    *out = (rml_voice){.allocator = allocator, .kind = kind, .layers = 1};
    if (rml_weights_is_graph(weights, NULL, NULL))
        return rml_fail(
            err, RML_ERR_UNSUPPORTED,
            "%s: a graph file, and what hears is computed in parts, which takes weights",
            rml_weights_path(weights));
    rml_status status = kind == RML_VOICE_WAV2VEC2 ? hear_wav2vec2(&job, samples, count, out)
                                                   : hear_whisper(&job, samples, count, out);
    if (status == RML_OK && !all_finite(out->data, (size_t)(out->rows * out->layers * out->width)))
        status = rml_fail(err, RML_ERR_FORMAT,
                          "the network gives numbers that are not finite: its weights are damaged");
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
