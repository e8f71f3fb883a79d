#include "media/audio/speech.h"

#include "media/audio/resample.h"
#include "media/audio/voice_activity.h"
#include "tensor/alloc.h"

#include <string.h>

enum {
    RING = 256,   // columns kept, a power of two
    BLOCK = 4096, // native samples read at a time
};

// A file at 16 kHz, whatever its rate is and becomes.
typedef struct voice_in {
    const rml_allocator *allocator;
    rml_audio_in *in;
    rml_resampler *resampler; // from `rate`
    int rate;
    int64_t count;  // of the samples read at this rate, and
    double seconds; // how long those before lasted
    int64_t total;
    bool ended;
    float block[BLOCK];
} voice_in;

struct rml_speech {
    const rml_allocator *allocator;
    rml_speech_info info;
    voice_in voice;
    rml_mel *mel;
    rml_voice_activity activity;
    float ring[RING][RML_MEL_BANDS]; // column i lies at i % RING
    int64_t made;                    // columns made since the beginning
    bool counted;                    // the first pass is over
    char *path;
};

// ---- samples ----------------------------------------------------------------------------------

static rml_status open_voice(voice_in *v, const char *path, bool as_upstream,
                             const rml_allocator *allocator, rml_error *err)
{
    v->allocator = allocator;
    RML_TRY(rml_audio_in_open(&v->in, path, as_upstream, allocator, err));
    v->rate = rml_audio_in_info(v->in)->rate;
    return rml_resampler_create(&v->resampler, v->rate, RML_MEL_RATE, allocator, err);
}

static void close_voice(voice_in *v)
{
    rml_audio_in_close(&v->in);
    rml_resampler_destroy(&v->resampler);
}

static double voice_seconds(const voice_in *v)
{
    return v->seconds + (double)v->count / v->rate;
}

// What follows has another rate: the end of what came before is handed on.
static rml_status change_rate(voice_in *v, int rate, rml_samples_sink sink, void *user,
                              rml_error *err)
{
    rml_resampler *next;
    RML_TRY(rml_resampler_finish(v->resampler, sink, user, err));
    RML_TRY(rml_resampler_create(&next, rate, RML_MEL_RATE, v->allocator, err));
    rml_resampler_destroy(&v->resampler);
    v->resampler = next;
    v->seconds = voice_seconds(v);
    v->count = 0;
    v->rate = rate;
    return RML_OK;
}

// Reads one more block of the file and hands on what follows from it.
static rml_status read_voice(voice_in *v, rml_samples_sink sink, void *user, rml_error *err)
{
    size_t count;
    int rate;
    RML_TRY(rml_audio_in_read(v->in, v->block, BLOCK, &count, &rate, err));
    if (count == 0) {
        v->ended = true;
        return rml_resampler_finish(v->resampler, sink, user, err);
    }
    if (rate != v->rate)
        RML_TRY(change_rate(v, rate, sink, user, err));
    v->count += (int64_t)count;
    v->total += (int64_t)count;
    return rml_resampler_push(v->resampler, v->block, count, sink, user, err);
}

static rml_status rewind_voice(voice_in *v, rml_error *err)
{
    RML_TRY(rml_audio_in_rewind(v->in, err));
    rml_resampler_reset(v->resampler);
    v->count = v->total = 0;
    v->seconds = 0.0;
    v->ended = false;
    return RML_OK;
}

// ---- columns of mel ---------------------------------------------------------------------------

static rml_status keep_column(void *user, int64_t index, const float *column, rml_error *err)
{
    rml_speech *s = user;
    memcpy(s->ring[index % RING], column, sizeof s->ring[0]);
    s->made = index + 1;
    return s->counted ? RML_OK : rml_voice_activity_push(&s->activity, column, err);
}

static rml_status take_samples(void *user, const float *samples, size_t count, rml_error *err)
{
    rml_speech *s = user;
    if (!s->counted)
        s->info.samples += (int64_t)count;
    return rml_mel_push(s->mel, samples, count, keep_column, s, err);
}

static rml_status read_block(rml_speech *s, rml_error *err)
{
    rml_status status = read_voice(&s->voice, take_samples, s, err);
    if (status == RML_OK && s->voice.ended)
        status = rml_mel_finish(s->mel, keep_column, s, err);
    return rml_named(status, err, s->path);
}

static rml_status rewind_speech(rml_speech *s, rml_error *err)
{
    RML_TRY(rewind_voice(&s->voice, err));
    rml_mel_reset(s->mel);
    s->made = 0;
    return RML_OK;
}

// Reads all from the beginning, where it stands.
static rml_status hear_all(rml_speech *s, rml_error *err)
{
    s->info.samples = 0;
    s->activity.count = 0;
    while (!s->voice.ended)
        RML_TRY(read_block(s, err));
    return RML_OK;
}

static rml_status first_pass(rml_speech *s, rml_error *err)
{
    rml_audio_in *in = s->voice.in;
    RML_TRY(hear_all(s, err));
    s->info.native_samples = s->voice.total;
    s->info.seconds = voice_seconds(&s->voice);
    s->info.columns = s->made;
    s->info.silence = rml_audio_in_info(in)->silence;
    const bool again = rml_audio_in_choose_mix(in);
    s->info.channel = rml_audio_in_info(in)->channel;
    if (again) {
        RML_TRY(rewind_speech(s, err));
        RML_TRY(hear_all(s, err));
    }
    s->counted = true;
    RML_TRY(rml_voice_activity_decide(&s->activity, err));
    // A short clip is in the ring already.
    return s->made <= RING ? RML_OK : rewind_speech(s, err);
}

static rml_status open_all(rml_speech *s, const char *path, bool as_upstream, rml_error *err)
{
    s->path = rml_alloc_text(s->allocator, path);
    if (!s->path)
        return rml_fail_nomem(err, strlen(path) + 1, "a file name");
    RML_TRY(open_voice(&s->voice, path, as_upstream, s->allocator, err));
    const rml_audio_info *info = rml_audio_in_info(s->voice.in);
    s->info.rate = info->rate;
    s->info.channels = info->channels;
    s->info.codec = info->codec;
    s->info.late = info->late;
    RML_TRY(rml_mel_create(&s->mel, s->allocator, err));
    return first_pass(s, err);
}

rml_status rml_speech_open(rml_speech **out, const char *path, bool as_upstream,
                           const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_speech *speech;
    RML_TRY(rml_make(allocator, &speech, 1, sizeof *speech, "a speech reader", err));
    speech->allocator = speech->activity.allocator = allocator;
    rml_status status = open_all(speech, path, as_upstream, err);
    if (status != RML_OK)
        rml_speech_close(&speech);
    *out = speech;
    return status;
}

void rml_speech_close(rml_speech **speech)
{
    rml_speech *old = *speech;
    *speech = NULL;
    if (!old)
        return;
    close_voice(&old->voice);
    rml_mel_destroy(&old->mel);
    rml_voice_activity_release(&old->activity);
    rml_free(old->allocator, old->path);
    rml_free(old->allocator, old);
}

const rml_speech_info *rml_speech_info_of(const rml_speech *speech)
{
    return &speech->info;
}

double rml_speech_activity(const rml_speech *speech, double from, double to)
{
    return rml_voice_activity_share(&speech->activity, from, to);
}

rml_status rml_speech_chunk(rml_speech *speech, int64_t start,
                            float chunk[RML_MEL_BANDS * RML_MEL_CHUNK], rml_error *err)
{
    rml_speech *s = speech;
    int64_t columns = s->info.columns;
    int64_t first = start < 0 ? 0 : start < columns ? start : columns;
    int64_t end = start > columns - RML_MEL_CHUNK ? columns : start + RML_MEL_CHUNK;
    if (first < s->made - RING)
        RML_TRY(rewind_speech(s, err));
    while (s->made < end && !s->voice.ended)
        RML_TRY(read_block(s, err));
    if (s->made < end)
        return rml_fail(err, RML_ERR_IO, "%s: the file changed while it was read", s->path);
    for (int i = 0; i < RML_MEL_CHUNK; i++) {
        int64_t column = start > INT64_MAX - i ? columns : start + i;
        const float *from = column >= 0 && column < columns ? s->ring[column % RING] : NULL;
        for (int band = 0; band < RML_MEL_BANDS; band++)
            chunk[band * RML_MEL_CHUNK + i] = from ? from[band] : RML_MEL_SILENCE;
    }
    return RML_OK;
}

// ---- whole waveform ---------------------------------------------------------------------------

typedef struct waveform {
    const rml_allocator *allocator;
    const char *path;
    float *samples;
    size_t count, capacity;
} waveform;

static rml_status append(void *user, const float *samples, size_t count, rml_error *err)
{
    waveform *w = user;
    if (w->count + count > (size_t)RML_SPEECH_MAX_SAMPLES)
        return rml_fail(err, RML_ERR_LIMIT, "%s: longer than the limit of %d hours", w->path,
                        (int)(RML_SPEECH_MAX_SAMPLES / RML_MEL_RATE / 3600));
    RML_TRY(rml_reserve(w->allocator, &w->samples, &w->capacity, w->count + count, sizeof *samples,
                        "sound", err));
    memcpy(w->samples + w->count, samples, count * sizeof *samples);
    w->count += count;
    return RML_OK;
}

static rml_status load_all(voice_in *v, waveform *w, rml_error *err)
{
    while (!v->ended)
        RML_TRY(read_voice(v, append, w, err));
    return RML_OK;
}

rml_status rml_speech_load(float **samples, size_t *count, const char *path, bool as_upstream,
                           const rml_allocator *allocator, rml_error *err)
{
    *samples = NULL;
    *count = 0;
    waveform w = {allocator, path, NULL, 0, 0};
    voice_in voice = {0};
    rml_status status = open_voice(&voice, path, as_upstream, allocator, err);
    if (status == RML_OK)
        status = load_all(&voice, &w, err);
    if (status == RML_OK && rml_audio_in_choose_mix(voice.in)) {
        w.count = 0;
        status = rewind_voice(&voice, err);
        if (status == RML_OK)
            status = load_all(&voice, &w, err);
    }
    close_voice(&voice);
    if (status == RML_OK) {
        *samples = w.samples;
        *count = w.count;
    } else {
        rml_free(allocator, w.samples);
    }
    return status;
}
