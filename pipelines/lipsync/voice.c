#include "pipelines/lipsync/voice.h"

#include "loaders/weights/weights.h"
#include "media/audio/log_mel.h"
#include "tensor/alloc.h"

#include <math.h>
#include <string.h>

#define HOP 320         // samples from a row of Wav2Vec2 to the next
#define FIELD 400       // samples that a row of it reads
#define STRIP_ROWS 256  // convolved at a time: 51 MB of activations
#define BEFORE_CENTRE 4 // rows of a chunk of Whisper's
#define MAX_FRAMES 1e15

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

static rml_status runner_open(const hearing *job, const char *name, runner *r)
{
    rml_model_settings built = rml_model_settings_default();
    built.config = job->config;
    built.allocator = job->allocator;
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
    const int64_t count = (rows - 1) * HOP + FIELD;
    RML_TRY(rml_session_resize(r->session, "input_values", (rml_shape){2, {1, count}}, job->err));
    RML_TRY(rml_session_prepare(r->session, job->err));
    rml_shape shape;
    if (!rml_session_output(r->session, "features", &shape) || shape.rank != 3 ||
        shape.dim[1] != rows)
        return rml_fail(job->err, RML_ERR_SHAPE,
                        "the network does not make a row of each %d samples as Wav2Vec2 does", HOP);
    if (!features->data) {
        size_t bytes = 0;
        features->width = shape.dim[2];
        if (!rml_size_mul((size_t)all, (size_t)shape.dim[2] * sizeof(float), &bytes) ||
            !(features->data = rml_alloc(features->allocator, bytes)))
            return rml_fail_nomem(job->err, bytes, "the features of the sound");
    }
    memcpy(rml_session_input(r->session, "input_values", NULL), samples + first * HOP,
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
    const int64_t rows = ((int64_t)count - FIELD) / HOP + 1;
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

static rml_status encode(const hearing *job, const rml_voice *features, rml_voice *out)
{
    rml_shape shape = {3, {1, features->rows, features->width}};
    runner r;
    rml_status status = runner_open(job, "wav2vec2-encoder", &r);
    if (status == RML_OK)
        status = rml_session_resize(r.session, "features", shape, job->err);
    if (status == RML_OK)
        status =
            rml_session_bind(r.session, "features", features->data,
                             (size_t)(features->rows * features->width) * sizeof(float), job->err);
    if (status == RML_OK)
        status = rml_session_prepare(r.session, job->err);
    if (status == RML_OK) {
        rml_session_output(r.session, "last_hidden_state", &shape);
        const size_t bytes = (size_t)(shape.dim[1] * shape.dim[2]) * sizeof *out->data;
        out->rows = shape.dim[1];
        out->width = shape.dim[2];
        out->data = rml_alloc(out->allocator, bytes);
        status = out->data
                     ? rml_session_bind(r.session, "last_hidden_state", out->data, bytes, job->err)
                     : rml_fail_nomem(job->err, bytes, "the vectors of the sound");
    }
    if (status == RML_OK)
        status = rml_session_run(r.session, job->err);
    runner_close(&r);
    return status;
}

static rml_status hear_wav2vec2(const hearing *job, float *samples, size_t count, rml_voice *out)
{
    rml_voice features = {.allocator = out->allocator};
    const size_t least = FIELD + (RML_VOICE_CHUNK - 1) * HOP;
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

// ---- which rows belong to a frame ---------------------------------------------------------------

// The brackets matter: upstream multiplies by a quotient for one kind and divides a product for
// the other.
static int64_t place(const rml_voice *voice, double fps, int64_t index)
{
    const double at = voice->kind == RML_VOICE_WAV2VEC2
                          ? (double)index * ((double)RML_VOICE_ROWS_PER_SECOND / fps)
                          : (double)index * (double)RML_VOICE_ROWS_PER_SECOND / fps;
    return at < MAX_FRAMES ? (int64_t)at : (int64_t)MAX_FRAMES;
}

static bool is_last(const rml_voice *voice, double fps, int64_t index)
{
    const int64_t at = place(voice, fps, index);
    return voice->kind == RML_VOICE_WAV2VEC2 ? at + RML_VOICE_CHUNK > voice->rows
                                             : at > voice->rows;
}

int64_t rml_voice_row_count(rml_voice_kind kind, int64_t samples)
{
    // Windows are of even length, so only the last can lose half a row.
    if (kind == RML_VOICE_WHISPER)
        return samples / RML_LOG_MEL_HOP / 2;
    return samples < FIELD ? 0 : (samples - FIELD) / HOP + 1;
}

int64_t rml_voice_chunk_count(const rml_voice *voice, double fps)
{
    if (voice->rows < RML_VOICE_CHUNK || !(fps > 0.0) || !isfinite(fps))
        return 0;
    // Places never fall, so halve the interval.
    const double guess = ((double)voice->rows + 1.0) * fps / RML_VOICE_ROWS_PER_SECOND + 2.0;
    int64_t low = 0, high = guess < MAX_FRAMES ? (int64_t)guess : (int64_t)MAX_FRAMES;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (is_last(voice, fps, middle))
            high = middle;
        else
            low = middle + 1;
    }
    return low + 1;
}

void rml_voice_chunk(const rml_voice *voice, double fps, int64_t index, float *dst)
{
    rml_voice_chunk_at(voice, place(voice, fps, index), dst);
}

static int64_t clamped(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

void rml_voice_chunk_at(const rml_voice *voice, int64_t row, float *dst)
{
    const size_t count = (size_t)(voice->layers * voice->width);
    const int64_t last = voice->rows - 1;
    // Whole chunks of the clip in one case, repeated ends in the other.
    const int64_t first =
        voice->kind == RML_VOICE_WHISPER
            ? clamped(row, -RML_VOICE_CHUNK, voice->rows + RML_VOICE_CHUNK) - BEFORE_CENTRE
            : clamped(row, 0, voice->rows - RML_VOICE_CHUNK);
    for (int i = 0; i < RML_VOICE_CHUNK; i++)
        memcpy(dst + (size_t)i * count, voice->data + (size_t)clamped(first + i, 0, last) * count,
               count * sizeof *dst);
}
