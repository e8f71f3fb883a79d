#include "media/audio/mel.h"

#include "media/audio/fft.h"
#include "tensor/alloc.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;
static const double pre_emphasis = 0.97;
static const double lowest_hz = 55.0, highest_hz = 7600.0;

enum {
    WINDOW = RML_MEL_WINDOW,
    HALF = WINDOW / 2,
    BINS = HALF + 1,
    HOP = RML_MEL_HOP,
    BANDS = RML_MEL_BANDS,
    BIN_HZ = RML_MEL_RATE / WINDOW,
};

struct rml_mel {
    const rml_allocator *allocator;
    rml_fft *fft;
    double window[WINDOW];
    rml_slaney_band bands[BANDS];
    // The signal after pre-emphasis: kept[i] is sample kept_from + i of it, counted with the HALF
    // reflected samples in front (so -HALF is the first). A second half window of room is for the
    // end.
    double kept[2 * WINDOW];
    int kept_count;
    int64_t samples; // pushed so far
    int64_t columns; // handed on so far
    float previous;  // last sample, for the pre-emphasis
    double frame[WINDOW];
    double spectrum[WINDOW + 2];
    float magnitude[BINS];
};

rml_status rml_mel_create(rml_mel **out, const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_mel *mel;
    RML_TRY(rml_make(allocator, &mel, 1, sizeof *mel, "a mel spectrogram", err));
    mel->allocator = allocator;
    rml_status status = rml_fft_create(&mel->fft, WINDOW, allocator, err);
    if (status != RML_OK) {
        rml_mel_destroy(&mel);
        return status;
    }
    for (int i = 0; i < WINDOW; i++) // periodic Hann
        mel->window[i] = 0.5 - 0.5 * cos(2.0 * pi * i / WINDOW);
    rml_slaney_fill(mel->bands, BANDS, lowest_hz, highest_hz, BINS, BIN_HZ);
    *out = mel;
    return RML_OK;
}

void rml_mel_destroy(rml_mel **mel)
{
    rml_mel *old = *mel;
    *mel = NULL;
    if (!old)
        return;
    rml_fft_destroy(&old->fft);
    rml_free(old->allocator, old);
}

void rml_mel_reset(rml_mel *mel)
{
    mel->kept_count = 0;
    mel->samples = mel->columns = 0;
    mel->previous = 0.0f;
}

// ---- columns ----------------------------------------------------------------------------------

// One column from the WINDOW values at `signal`. Cut to float at the places where the original
// does.
static void compute_column(rml_mel *mel, const double *signal, float *column)
{
    for (int i = 0; i < WINDOW; i++)
        mel->frame[i] = signal[i] * mel->window[i];
    rml_fft_real(mel->fft, mel->frame, mel->spectrum);
    for (int k = 0; k < BINS; k++) {
        double re = (float)mel->spectrum[2 * k], im = (float)mel->spectrum[2 * k + 1];
        mel->magnitude[k] = (float)sqrt(re * re + im * im);
    }
    for (int i = 0; i < BANDS; i++) {
        const rml_slaney_band *b = &mel->bands[i];
        double sum = 0.0;
        for (int k = 0; k < b->count; k++)
            sum += (double)b->weight[k] * mel->magnitude[b->first + k];
        double decibels = 20.0 * log10(sum > 1e-5 ? sum : 1e-5) - 20.0;
        double scaled = 8.0 * ((decibels + 100.0) / 100.0) - 4.0;
        column[i] = (float)(scaled < -4.0 ? -4.0 : scaled > 4.0 ? 4.0 : scaled);
    }
}

static rml_status emit_columns(rml_mel *mel, rml_mel_sink sink, void *user, rml_error *err)
{
    float column[BANDS];
    int at = 0;
    rml_status status = RML_OK;
    for (; status == RML_OK && mel->kept_count - at >= WINDOW; at += HOP) {
        compute_column(mel, mel->kept + at, column);
        status = sink(user, mel->columns++, column, err);
    }
    mel->kept_count -= at;
    memmove(mel->kept, mel->kept + at, (size_t)mel->kept_count * sizeof *mel->kept);
    return status;
}

// Both ends are mirrored around the first and the last sample, which are not repeated. In front
// that needs HALF + 1 samples: they gather in place, HALF behind the beginning of `kept`.
static void reflect_beginning(rml_mel *mel)
{
    for (int i = 0; i < HALF; i++)
        mel->kept[i] = mel->kept[2 * HALF - i];
}

rml_status rml_mel_push(rml_mel *mel, const float *samples, size_t count, rml_mel_sink sink,
                        void *user, rml_error *err)
{
    for (size_t i = 0; i < count; i++) {
        float sample = samples[i];
        if (!isfinite(sample))
            return rml_fail(err, RML_ERR_FORMAT, "the sound is not a number at %.3f s",
                            (double)mel->samples / RML_MEL_RATE);
        if (mel->samples == 0)
            mel->kept_count = HALF;
        // The product of 0.97 in double, as scipy's filter computes it.
        double y = (double)sample - pre_emphasis * (double)mel->previous;
        mel->previous = sample;
        mel->kept[mel->kept_count++] = y;
        mel->samples++;
        if (mel->samples == HALF + 1)
            reflect_beginning(mel);
        if (mel->samples > HALF && mel->kept_count == 2 * WINDOW - HALF)
            RML_TRY(emit_columns(mel, sink, user, err));
    }
    return mel->samples > HALF ? emit_columns(mel, sink, user, err) : RML_OK;
}

rml_status rml_mel_finish(rml_mel *mel, rml_mel_sink sink, void *user, rml_error *err)
{
    int64_t samples = mel->samples;
    rml_status status = RML_OK;
    if (samples < RML_MEL_MIN_SAMPLES) {
        status =
            rml_fail(err, RML_ERR_ARG, "the sound is too short: %.4f s, at least %.4f s are needed",
                     (double)samples / RML_MEL_RATE, (double)RML_MEL_MIN_SAMPLES / RML_MEL_RATE);
    } else {
        // After emit_columns between WINDOW - HOP and WINDOW - 1 values are left, more than HALF
        // + 1.
        int last = mel->kept_count - 1;
        for (int i = 1; i <= HALF; i++)
            mel->kept[last + i] = mel->kept[last - i];
        mel->kept_count += HALF;
        status = emit_columns(mel, sink, user, err);
    }
    rml_mel_reset(mel);
    return status;
}

// ---- which columns belong to a frame ----------------------------------------------------------

// int(i * (80.0 / fps)): the bracket matters, see i = 3900 at 24000/1001.
static int64_t raw_start(double fps, int64_t index)
{
    double start = (double)index * ((double)RML_MEL_COLUMNS_PER_SECOND / fps);
    return start < 9e18 ? (int64_t)start : INT64_MAX - RML_MEL_CHUNK;
}

int64_t rml_mel_chunk_count(int64_t columns, double fps)
{
    if (columns < RML_MEL_CHUNK || !(fps > 0.0) || !isfinite(fps))
        return 0;
    // The first index whose chunk reaches past the end; starts never fall, so halve the interval.
    double guess = ((double)columns + 1.0) * fps / RML_MEL_COLUMNS_PER_SECOND + 2.0;
    int64_t low = 0, high = guess < 9e15 ? (int64_t)guess : INT64_C(9000000000000000);
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (raw_start(fps, middle) + RML_MEL_CHUNK > columns)
            high = middle;
        else
            low = middle + 1;
    }
    return low + 1;
}

int64_t rml_mel_chunk_start(int64_t columns, double fps, int64_t index)
{
    int64_t start = raw_start(fps, index);
    return start + RML_MEL_CHUNK > columns ? columns - RML_MEL_CHUNK : start;
}
