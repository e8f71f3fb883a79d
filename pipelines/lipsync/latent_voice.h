// What the latent lip-sync networks hear: a vector for each 20 ms of a whole clip, and which of
// them belong to a frame of video.
#ifndef RML_PIPELINES_LIPSYNC_LATENT_VOICE_H
#define RML_PIPELINES_LIPSYNC_LATENT_VOICE_H

#include "runmodel.h"

#define RML_VOICE_ROWS_PER_SECOND 50
#define RML_VOICE_CHUNK 10  // rows that a frame is made from
#define RML_VOICE_HOP 320   // samples at 16 kHz from a row of Wav2Vec2 to the next
#define RML_VOICE_FIELD 400 // samples that a row of it reads

typedef enum rml_voice_kind { RML_VOICE_WAV2VEC2, RML_VOICE_WHISPER } rml_voice_kind;

typedef struct rml_voice {
    const rml_allocator *allocator;
    rml_voice_kind kind;
    int64_t rows;
    int64_t layers; // vectors a row: 1, or with Whisper those of all layers
    int64_t width;  // of a vector: what the other network calls its context
    float *data;    // [rows][layers][width]
} rml_voice;

// That `weights`, of the file `path`, are of this kind and make vectors as wide as `context`, the
// width that the other network takes (-1: any).
rml_status rml_voice_check(rml_voice_kind kind, const rml_weights *weights, const char *path,
                           int64_t context, const rml_allocator *allocator, rml_error *err);

// Hears `count` samples at 16 kHz, which are overwritten. `weights` are those of Wav2Vec2 or of
// Whisper's encoder; `config` as in rml_model_settings; `settings` for the sessions, of which none
// is left open.
//
// Wav2Vec2: standardises the clip, convolves it in strips of a few seconds with the norm of the
// whole, and runs the transformer layer by layer, each in strips against the keys and values of the
// whole. The numbers are those of one run over the clip. One layer has its weights in memory;
// beside them there are at most five vectors of a row (base: 0.6 MB for each second). Whisper:
// log-mel of the clip, in windows of 30 s which do not hear each other, as upstream.
//
// RML_ERR_ARG for a clip of fewer than RML_VOICE_CHUNK rows, RML_ERR_FORMAT for samples or results
// that are no numbers.
rml_status rml_voice_hear(rml_voice *out, rml_voice_kind kind, const rml_weights *weights,
                          const char *config, const rml_session_settings *settings, float *samples,
                          size_t count, const rml_allocator *allocator, rml_error *err);
void rml_voice_release(rml_voice *voice);

// A chunk from the middle of a second of digital silence: dst[RML_VOICE_CHUNK][layers][width]. The
// rest as above.
rml_status rml_voice_hear_silence(float *dst, rml_voice_kind kind, const rml_weights *weights,
                                  const char *config, const rml_session_settings *settings,
                                  const rml_allocator *allocator, rml_error *err);

// The rows that rml_voice_hear makes of so many samples.
int64_t rml_voice_row_count(rml_voice_kind kind, int64_t samples);

// How many frames of video the clip makes, by kind and rows alone; 0 when fps is not a positive
// finite number or there are fewer than RML_VOICE_CHUNK rows. Upstream's rules:
//   Wav2Vec2: chunk i starts at row int(i * (50.0 / fps)); the first that would reach past the end
//   is replaced by the last RML_VOICE_CHUNK rows and is the last one.
//   Whisper: chunk i is rows c - 4 .. c + 5 with c = int(i * 50 / fps), each moved into the clip;
//   the first with c > rows is the last one.
int64_t rml_voice_chunk_count(const rml_voice *voice, double fps);

// Chunk `index` < rml_voice_chunk_count(voice, fps): dst[RML_VOICE_CHUNK][layers][width].
void rml_voice_chunk(const rml_voice *voice, double fps, int64_t index, float *dst);

// The chunk by upstream's rules for a frame that is shown when row `row` is heard, which may lie
// outside the clip.
void rml_voice_chunk_at(const rml_voice *voice, int64_t row, float *dst);

#endif
