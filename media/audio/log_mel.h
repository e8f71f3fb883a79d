// The log-mel spectrogram of Whisper (16 kHz, 100 columns a second), and the waveform as Wav2Vec2
// wants it. Both are scaled by something of the whole clip, so they take it whole.
#ifndef RML_MEDIA_AUDIO_LOG_MEL_H
#define RML_MEDIA_AUDIO_LOG_MEL_H

#include "tensor/alloc.h"

#define RML_LOG_MEL_HOP 160
#define RML_LOG_MEL_WINDOW 400
#define RML_LOG_MEL_MIN_SAMPLES 201 // fewer cannot be mirrored at the ends
#define RML_LOG_MEL_MAX_BANDS 128

typedef struct rml_log_mel {
    const rml_allocator *allocator;
    int bands;
    int64_t columns; // samples / RML_LOG_MEL_HOP
    float *data;     // [columns][bands], lowest band first
} rml_log_mel;

// 400-point STFT with a periodic Hann window and mirrored ends, the last column left out; power;
// Slaney's bank from 0 to 8000 Hz; log10, at least that of 1e-10 and the clip's largest less 8;
// (x + 4) / 4. Takes 4 bytes a band and column. A sample that is NaN or infinite is RML_ERR_FORMAT
// and named with its time, fewer than RML_LOG_MEL_MIN_SAMPLES samples are RML_ERR_ARG.
// Source: openai/whisper, whisper/audio.py.
rml_status rml_log_mel_create(rml_log_mel *out, const float *samples, size_t count, int bands,
                              const rml_allocator *allocator, rml_error *err);
void rml_log_mel_release(rml_log_mel *mel);

// `count` columns from `first` on as the network takes them, dst[band * count + column]; zeros
// where the clip has no column.
void rml_log_mel_window(const rml_log_mel *mel, int64_t first, int64_t count, float *dst);

// Takes the mean of the clip out and divides by sqrt(variance + 1e-7), in place. Silence becomes
// zeros. Both sums run in double. A sample that is NaN or infinite is RML_ERR_FORMAT.
// Source: transformers, Wav2Vec2FeatureExtractor.
rml_status rml_wave_standardise(float *samples, size_t count, rml_error *err);

#endif
