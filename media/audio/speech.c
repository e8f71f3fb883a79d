#include "media/audio/speech.h"

#include "media/audio/resample.h"
#include "tensor/alloc.h"

#include <string.h>

enum {
    RING = 256,   // columns kept, a power of two
    BLOCK = 4096, // native samples read at a time
};

struct rml_speech {
    const rml_allocator *allocator;
    rml_speech_info info;
    rml_audio_in *in;
    rml_resampler *resampler;
    rml_mel *mel;
    float block[BLOCK];
    float ring[RING][RML_MEL_BANDS]; // column i lies at i % RING
    int64_t made;                    // columns made since the beginning
    bool ended;
    char *path;
};

static rml_status keep_column(void *user, int64_t index, const float *column, rml_error *err)
{
    (void)err;
    rml_speech *s = user;
    memcpy(s->ring[index % RING], column, sizeof s->ring[0]);
    s->made = index + 1;
    return RML_OK;
}

static rml_status take_samples(void *user, const float *samples, size_t count, rml_error *err)
{
    rml_speech *s = user;
    if (s->info.columns == 0) // the first pass counts
        s->info.samples += (int64_t)count;
    return rml_mel_push(s->mel, samples, count, keep_column, s, err);
}

// Reads one more block of the file and what follows from it.
static rml_status read_block(rml_speech *s, rml_error *err)
{
    size_t count;
    RML_TRY(rml_audio_in_read(s->in, s->block, BLOCK, &count, err));
    rml_status status;
    if (count == 0) {
        s->ended = true;
        status = rml_resampler_finish(s->resampler, take_samples, s, err);
        if (status == RML_OK)
            status = rml_mel_finish(s->mel, keep_column, s, err);
    } else {
        if (s->info.columns == 0)
            s->info.native_samples += (int64_t)count;
        status = rml_resampler_push(s->resampler, s->block, count, take_samples, s, err);
    }
    return rml_named(status, err, s->path);
}

static rml_status rewind_speech(rml_speech *s, rml_error *err)
{
    RML_TRY(rml_audio_in_rewind(s->in, err));
    rml_resampler_reset(s->resampler);
    rml_mel_reset(s->mel);
    s->made = 0;
    s->ended = false;
    return RML_OK;
}

static rml_status first_pass(rml_speech *s, rml_error *err)
{
    while (!s->ended)
        RML_TRY(read_block(s, err));
    s->info.columns = s->made;
    s->info.seconds = (double)s->info.native_samples / s->info.rate;
    // A short clip is in the ring already.
    return s->made <= RING ? RML_OK : rewind_speech(s, err);
}

static rml_status open_all(rml_speech *s, const char *path, rml_error *err)
{
    s->path = rml_alloc_text(s->allocator, path);
    if (!s->path)
        return rml_fail_nomem(err, strlen(path) + 1, "a file name");
    RML_TRY(rml_audio_in_open(&s->in, path, s->allocator, err));
    const rml_audio_info *info = rml_audio_in_info(s->in);
    s->info.rate = info->rate;
    s->info.channels = info->channels;
    s->info.codec = info->codec;
    RML_TRY(rml_resampler_create(&s->resampler, info->rate, RML_MEL_RATE, s->allocator, err));
    RML_TRY(rml_mel_create(&s->mel, s->allocator, err));
    return first_pass(s, err);
}

rml_status rml_speech_open(rml_speech **out, const char *path, const rml_allocator *allocator,
                           rml_error *err)
{
    *out = NULL;
    rml_speech *speech;
    RML_TRY(rml_make(allocator, &speech, 1, sizeof *speech, "a speech reader", err));
    speech->allocator = allocator;
    rml_status status = open_all(speech, path, err);
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
    rml_audio_in_close(&old->in);
    rml_resampler_destroy(&old->resampler);
    rml_mel_destroy(&old->mel);
    rml_free(old->allocator, old->path);
    rml_free(old->allocator, old);
}

const rml_speech_info *rml_speech_info_of(const rml_speech *speech)
{
    return &speech->info;
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
    while (s->made < end && !s->ended)
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

static rml_status load_blocks(rml_audio_in *in, rml_resampler *resampler, waveform *w,
                              rml_error *err)
{
    float block[BLOCK];
    size_t count;
    do {
        RML_TRY(rml_audio_in_read(in, block, BLOCK, &count, err));
        RML_TRY(rml_resampler_push(resampler, block, count, append, w, err));
    } while (count > 0);
    return rml_resampler_finish(resampler, append, w, err);
}

rml_status rml_speech_load(float **samples, size_t *count, const char *path,
                           const rml_allocator *allocator, rml_error *err)
{
    *samples = NULL;
    *count = 0;
    waveform w = {allocator, path, NULL, 0, 0};
    rml_audio_in *in;
    rml_resampler *resampler = NULL;
    RML_TRY(rml_audio_in_open(&in, path, allocator, err));
    rml_status status =
        rml_resampler_create(&resampler, rml_audio_in_info(in)->rate, RML_MEL_RATE, allocator, err);
    if (status == RML_OK)
        status = load_blocks(in, resampler, &w, err);
    rml_resampler_destroy(&resampler);
    rml_audio_in_close(&in);
    if (status == RML_OK) {
        *samples = w.samples;
        *count = w.count;
    } else {
        rml_free(allocator, w.samples);
    }
    return status;
}
