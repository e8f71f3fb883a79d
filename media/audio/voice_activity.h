// Where in a sound somebody speaks: the energy of a voice's band against the noise under it, with
// hysteresis. Fed with columns of mel (mel.h); keeps a byte of each, 288 kB for an hour.
#ifndef RML_MEDIA_AUDIO_VOICE_ACTIVITY_H
#define RML_MEDIA_AUDIO_VOICE_ACTIVITY_H

#include "runmodel.h"

// Zeroed but for the allocator, it has heard nothing.
typedef struct rml_voice_activity {
    const rml_allocator *allocator;
    uint8_t *columns; // levels, and once decided 1 where somebody speaks
    size_t count, capacity;
} rml_voice_activity;

// The next column, RML_MEL_BANDS values of -4..4.
rml_status rml_voice_activity_push(rml_voice_activity *activity, const float *column,
                                   rml_error *err);

// When all columns are there, once. A moment counts as speech when it stands out of the quietest of
// the three seconds around it and is not too far below the loudest of the whole. Pauses shorter
// than 0.3 s belong to speech, and so do 0.05 s before it and 0.1 s after.
rml_status rml_voice_activity_decide(rml_voice_activity *activity, rml_error *err);

// The share, 0..1, of the time between `from` and `to` (seconds, from < to) in which somebody
// speaks. Nobody does before the beginning or past the end.
double rml_voice_activity_share(const rml_voice_activity *activity, double from, double to);

void rml_voice_activity_release(rml_voice_activity *activity);

#endif
