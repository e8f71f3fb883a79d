// Fourier transform of real input of any even length; fast where the length has small factors.
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

#endif
