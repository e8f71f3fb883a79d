// The sound that drives the lips: from any file to mel chunks, in memory that does not grow with
// it.
#ifndef RML_MEDIA_AUDIO_SPEECH_H
#define RML_MEDIA_AUDIO_SPEECH_H

#include "media/audio/audio_in.h"
#include "media/audio/mel.h"

// 16 kHz samples that rml_speech_load keeps at most: ten hours, 2.3 GB.
#define RML_SPEECH_MAX_SAMPLES (INT64_C(36000) * RML_MEL_RATE)

typedef struct rml_speech rml_speech;

typedef struct rml_speech_info {
    int rate, channels;     // of the file, at its beginning
    int64_t native_samples; // per channel, exact
    double seconds;         // native_samples / rate, exact
    int64_t samples;        // at 16 kHz
    int64_t columns;        // of the mel spectrogram
    const char *codec;
    int channel;    // that is heard alone, from 1 on, since the channels cancel each other; or 0
    double silence; // seconds of it, put where the file begins late or has holes
    double late;    // as in rml_audio_info
} rml_speech_info;

// Decodes the whole file once without keeping it, so that its length is exact and unreadable, too
// short or NaN audio is known before any work; then starts from the beginning. as_upstream: see
// rml_audio_in_open.
rml_status rml_speech_open(rml_speech **out, const char *path, bool as_upstream,
                           const rml_allocator *allocator, rml_error *err);

const rml_speech_info *rml_speech_info_of(const rml_speech *speech);

// Columns start .. start+15 as the network takes them: chunk[band * 16 + column]. Columns before
// the beginning or past the end are silence. Cheap when `start` grows from call to call; going back
// further than about three seconds decodes again from the beginning.
rml_status rml_speech_chunk(rml_speech *speech, int64_t start,
                            float chunk[RML_MEL_BANDS * RML_MEL_CHUNK], rml_error *err);

// The share, 0..1, of the time between `from` and `to` (seconds) in which somebody speaks.
double rml_speech_activity(const rml_speech *speech, double from, double to);

void rml_speech_close(rml_speech **speech);

// The whole file at 16 kHz mono, for models that take the waveform. *samples belongs to the caller
// (rml_free with the same allocator).
rml_status rml_speech_load(float **samples, size_t *count, const char *path, bool as_upstream,
                           const rml_allocator *allocator, rml_error *err);

#endif
