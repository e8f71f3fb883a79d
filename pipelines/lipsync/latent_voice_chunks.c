// Which rows of what was heard belong to a frame.
#include "pipelines/lipsync/latent_voice.h"

#include "media/audio/log_mel.h"

#include <math.h>
#include <string.h>

#define BEFORE_CENTRE 4 // rows of a chunk of Whisper's
#define MAX_FRAMES 1e15

// The brackets matter: upstream multiplies by a quotient for one kind and divides a product for
// the other.
static int64_t place(const rml_voice *voice, double fps, int64_t index)
{
    const double at = voice->kind == RML_VOICE_WAV2VEC2
                          ? (double)index * ((double)RML_VOICE_ROWS_PER_SECOND / fps)
                          : (double)index * (double)RML_VOICE_ROWS_PER_SECOND / fps;
    return at < MAX_FRAMES ? (int64_t)at : (int64_t)MAX_FRAMES;
}

static bool is_last(const rml_voice *voice, double fps, int64_t index)
{
    const int64_t at = place(voice, fps, index);
    return voice->kind == RML_VOICE_WAV2VEC2 ? at + RML_VOICE_CHUNK > voice->rows
                                             : at > voice->rows;
}

int64_t rml_voice_row_count(rml_voice_kind kind, int64_t samples)
{
    // Windows are of even length, so only the last can lose half a row.
    if (kind == RML_VOICE_WHISPER)
        return samples / RML_LOG_MEL_HOP / 2;
    return samples < RML_VOICE_FIELD ? 0 : (samples - RML_VOICE_FIELD) / RML_VOICE_HOP + 1;
}

int64_t rml_voice_chunk_count(const rml_voice *voice, double fps)
{
    if (voice->rows < RML_VOICE_CHUNK || !(fps > 0.0) || !isfinite(fps))
        return 0;
    // Places never fall, so halve the interval.
    const double guess = ((double)voice->rows + 1.0) * fps / RML_VOICE_ROWS_PER_SECOND + 2.0;
    int64_t low = 0, high = guess < MAX_FRAMES ? (int64_t)guess : (int64_t)MAX_FRAMES;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (is_last(voice, fps, middle))
            high = middle;
        else
            low = middle + 1;
    }
    return low + 1;
}

void rml_voice_chunk(const rml_voice *voice, double fps, int64_t index, float *dst)
{
    rml_voice_chunk_at(voice, place(voice, fps, index), dst);
}

static int64_t clamped(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

void rml_voice_chunk_at(const rml_voice *voice, int64_t row, float *dst)
{
    const size_t count = (size_t)(voice->layers * voice->width);
    const int64_t last = voice->rows - 1;
    // Whole chunks of the clip in one case, repeated ends in the other.
    const int64_t first =
        voice->kind == RML_VOICE_WHISPER
            ? clamped(row, -RML_VOICE_CHUNK, voice->rows + RML_VOICE_CHUNK) - BEFORE_CENTRE
            : clamped(row, 0, voice->rows - RML_VOICE_CHUNK);
    for (int i = 0; i < RML_VOICE_CHUNK; i++)
        memcpy(dst + (size_t)i * count, voice->data + (size_t)clamped(first + i, 0, last) * count,
               count * sizeof *dst);
}
