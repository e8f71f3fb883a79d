#include "media/audio/log_mel.h"

#include "media/audio/fft.h"
#include "tensor/alloc.h"

#include <math.h>

enum {
    RATE = 16000,
    WINDOW = RML_LOG_MEL_WINDOW,
    HALF = WINDOW / 2,
    BINS = HALF + 1,
};

static const double pi = 3.14159265358979323846;
static const double least_power = 1e-10;
static const float below_largest = 8.0f;

typedef struct workspace {
    rml_fft *fft;
    double window[WINDOW], frame[WINDOW], spectrum[WINDOW + 2], power[BINS];
    rml_slaney_band bands[RML_LOG_MEL_MAX_BANDS];
} workspace;

static rml_status check_samples(const float *samples, size_t count, rml_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(samples[i]))
            return rml_fail(err, RML_ERR_FORMAT, "the sound is not a number at %.3f s",
                            (double)i / RATE);
    return RML_OK;
}

// Sample `at` of the clip mirrored around its first and last one, which are not repeated.
static double mirrored(const float *samples, int64_t count, int64_t at)
{
    at = at < 0 ? -at : at;
    return (double)samples[at < count ? at : 2 * (count - 1) - at];
}

// log10 of the power in each band of the window whose middle is sample `middle`.
static void compute_column(workspace *w, int band_count, const float *samples, int64_t count,
                           int64_t middle, float *column)
{
    for (int i = 0; i < WINDOW; i++)
        w->frame[i] = mirrored(samples, count, middle - HALF + i) * w->window[i];
    rml_fft_real(w->fft, w->frame, w->spectrum);
    for (int k = 0; k < BINS; k++)
        w->power[k] = w->spectrum[2 * k] * w->spectrum[2 * k] +
                      w->spectrum[2 * k + 1] * w->spectrum[2 * k + 1];
    for (int b = 0; b < band_count; b++) {
        const rml_slaney_band *band = &w->bands[b];
        double sum = 0.0;
        for (int k = 0; k < band->count; k++)
            sum += (double)band->weight[k] * w->power[band->first + k];
        column[b] = (float)log10(sum > least_power ? sum : least_power);
    }
}

static void scale(rml_log_mel *mel)
{
    const size_t count = (size_t)mel->columns * (size_t)mel->bands;
    float largest = mel->data[0];
    for (size_t i = 1; i < count; i++)
        largest = mel->data[i] > largest ? mel->data[i] : largest;
    const float floor_value = largest - below_largest;
    for (size_t i = 0; i < count; i++)
        mel->data[i] = ((mel->data[i] > floor_value ? mel->data[i] : floor_value) + 4.0f) / 4.0f;
}

rml_status rml_log_mel_create(rml_log_mel *out, const float *samples, size_t count, int bands,
                              const rml_allocator *allocator, rml_error *err)
{
    *out = (rml_log_mel){
        .allocator = allocator, .bands = bands, .columns = (int64_t)(count / RML_LOG_MEL_HOP)};
    if (bands < 1 || bands > RML_LOG_MEL_MAX_BANDS)
        return rml_fail(err, RML_ERR_ARG, "%d mel bands, at most %d are possible", bands,
                        RML_LOG_MEL_MAX_BANDS);
    if (count < RML_LOG_MEL_MIN_SAMPLES)
        return rml_fail(err, RML_ERR_ARG,
                        "the sound is too short: %.4f s, at least %.4f s are needed",
                        (double)count / RATE, (double)RML_LOG_MEL_MIN_SAMPLES / RATE);
    RML_TRY(check_samples(samples, count, err));
    workspace *w = rml_alloc_zero(allocator, 1, sizeof *w);
    const size_t bytes = count / RML_LOG_MEL_HOP * (size_t)bands * sizeof *out->data;
    out->data = rml_alloc(allocator, bytes);
    rml_status status = w && out->data ? rml_fft_create(&w->fft, WINDOW, allocator, err)
                                       : rml_fail_nomem(err, bytes, "a log-mel spectrogram");
    if (status == RML_OK) {
        for (int i = 0; i < WINDOW; i++) // periodic Hann
            w->window[i] = 0.5 - 0.5 * cos(2.0 * pi * i / WINDOW);
        rml_slaney_fill(w->bands, bands, 0.0, RATE / 2.0, BINS, (double)RATE / WINDOW);
        for (int64_t c = 0; c < out->columns; c++)
            compute_column(w, bands, samples, (int64_t)count, c * RML_LOG_MEL_HOP,
                           out->data + c * bands);
        scale(out);
        rml_fft_destroy(&w->fft);
    } else {
        rml_log_mel_release(out);
    }
    rml_free(allocator, w);
    return status;
}

void rml_log_mel_release(rml_log_mel *mel)
{
    if (mel->data)
        rml_free(mel->allocator, mel->data);
    mel->data = NULL;
}

void rml_log_mel_window(const rml_log_mel *mel, int64_t first, int64_t count, float *dst)
{
    for (int b = 0; b < mel->bands; b++)
        for (int64_t c = 0; c < count; c++) {
            const bool there = first + c >= 0 && first + c < mel->columns;
            dst[b * count + c] = there ? mel->data[(first + c) * mel->bands + b] : 0.0f;
        }
}

rml_status rml_wave_standardise(float *samples, size_t count, rml_error *err)
{
    double sum = 0.0, squares = 0.0;
    RML_TRY(check_samples(samples, count, err));
    for (size_t i = 0; i < count; i++)
        sum += (double)samples[i];
    const double mean = count ? sum / (double)count : 0.0;
    for (size_t i = 0; i < count; i++)
        squares += ((double)samples[i] - mean) * ((double)samples[i] - mean);
    const double deviation = sqrt((count ? squares / (double)count : 0.0) + 1e-7);
    for (size_t i = 0; i < count; i++)
        samples[i] = (float)(((double)samples[i] - mean) / deviation);
    return RML_OK;
}
