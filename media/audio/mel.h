// The mel spectrogram of Wav2Lip (16 kHz, 80 bands, 80 columns a second), sample-exact:
// pre-emphasis, 800-point STFT with reflected ends, Slaney filter bank, decibels, scaled to -4..4.
#ifndef RML_MEDIA_AUDIO_MEL_H
#define RML_MEDIA_AUDIO_MEL_H

#include "runmodel.h"

#define RML_MEL_RATE 16000
#define RML_MEL_BANDS 80
#define RML_MEL_HOP 200
#define RML_MEL_WINDOW 800
#define RML_MEL_COLUMNS_PER_SECOND 80
#define RML_MEL_CHUNK 16         // columns that the network sees at once
#define RML_MEL_SILENCE (-4.0f)  // what every band is in silence
#define RML_MEL_MIN_SAMPLES 3000 // fewer give less than one chunk: "audio too short"

typedef struct rml_mel rml_mel;

rml_status rml_mel_create(rml_mel **out, const rml_allocator *allocator, rml_error *err);
void rml_mel_destroy(rml_mel **mel);

// Receives column `index` = 0, 1, 2, ...: RML_MEL_BANDS values, lowest band first.
typedef rml_status (*rml_mel_sink)(void *user, int64_t index, const float *column, rml_error *err);

// Takes any number of samples at 16 kHz and hands on every column that is complete. Memory does not
// grow. A sample that is NaN or infinite is RML_ERR_FORMAT and named with its time.
rml_status rml_mel_push(rml_mel *mel, const float *samples, size_t count, rml_mel_sink sink,
                        void *user, rml_error *err);

// End of input: the last columns, with the end reflected. RML_ERR_ARG for fewer than
// RML_MEL_MIN_SAMPLES samples in all. Ready for a new clip after it.
rml_status rml_mel_finish(rml_mel *mel, rml_mel_sink sink, void *user, rml_error *err);

// Forgets what was pushed.
void rml_mel_reset(rml_mel *mel);

// Upstream's rule (--compat): chunk i starts at column int(i * (80.0 / fps)); the first that would
// reach past the end is replaced by the last 16 columns and is the last one. The number of chunks
// is the number of output frames. 0 when columns < 16 or fps is not a positive finite number.
int64_t rml_mel_chunk_count(int64_t columns, double fps);

// Start of chunk `index` < rml_mel_chunk_count(columns, fps).
int64_t rml_mel_chunk_start(int64_t columns, double fps, int64_t index);

#endif
