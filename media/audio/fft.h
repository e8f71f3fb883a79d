// Fourier transform of real input of any even length, fast where the length has small factors; and
// the filter bank over its spectrum.
#ifndef RML_MEDIA_AUDIO_FFT_H
#define RML_MEDIA_AUDIO_FFT_H

#include "tensor/alloc.h"

#define RML_FFT_MAX_LENGTH 65536

typedef struct rml_fft rml_fft;

// `length` is even, 2..RML_FFT_MAX_LENGTH.
rml_status rml_fft_create(rml_fft **out, int length, const rml_allocator *allocator,
                          rml_error *err);
void rml_fft_destroy(rml_fft **fft);

// X[k] = sum x[n] exp(-2 pi i k n / length) for k = 0..length/2, as pairs re, im: `spectrum` holds
// length + 2 numbers. `x` is not changed and must not overlap it. Uses the plan's scratch: one
// thread at a time.
void rml_fft_real(rml_fft *fft, const double *x, double *spectrum);

// Slaney's filter bank: triangles on a scale that is linear below 1 kHz and logarithmic above.

#define RML_SLANEY_MAX_BINS 401 // of a spectrum, and so of a band

typedef struct rml_slaney_band {
    int first, count; // bins; a band between two bins has none
    float weight[RML_SLANEY_MAX_BINS];
} rml_slaney_band;

// Fills `count` bands whose edges lie equally apart in mel from `low` to `high` Hz, for a spectrum
// of `bins` bins that are `bin_hz` apart. Each band has area 1 over frequency. `bins` is at most
// RML_SLANEY_MAX_BINS: few bands are as wide as the spectrum.
void rml_slaney_fill(rml_slaney_band *bands, int count, double low, double high, int bins,
                     double bin_hz);

#endif
