// How far a mouth follows the voice: what it does where nobody speaks, and how strongly it moves.
#ifndef RML_PIPELINES_LIPSYNC_MOUTH_H
#define RML_PIPELINES_LIPSYNC_MOUTH_H

#include "pipelines/lipsync/lip_net.h"

typedef enum rml_silence {
    RML_SILENCE_NET = 0, // what the network makes of the noise
    RML_SILENCE_KEEP,    // the film's own mouth: its frames stay as they are
    RML_SILENCE_CLOSE    // what the network makes of digital silence
} rml_silence;

bool rml_silence_parse(const char *name, rml_silence *silence); // false for an unknown name

#define RML_MOUTH_STRENGTH_MAX 2.0

typedef struct rml_mouth_settings {
    rml_silence silence;
    double strength; // 0..RML_MOUTH_STRENGTH_MAX: times the way from the mouth of silence to that
                     // of the voice; at 1 nothing more is computed
} rml_mouth_settings;

typedef struct rml_mouth rml_mouth;

// For batches of at most `batch` faces of so many voices and of `net`, which has begun and outlives
// it. `frame_seconds`: what a frame lasts.
rml_status rml_mouth_create(rml_mouth **out, const rml_mouth_settings *settings, rml_lip_net *net,
                            int voices, int batch, double frame_seconds,
                            const rml_allocator *allocator, rml_error *err);
void rml_mouth_destroy(rml_mouth **mouth);

// How much somebody speaks in an output frame, 0..1: the share of the three frames around it, so
// that the mouth takes three to begin and to end. 1 with RML_SILENCE_NET.
float rml_mouth_voiced(const rml_mouth *mouth, const rml_speech *speech, const rml_slot_plan *plan);

// Whether a frame of this share needs the network.
bool rml_mouth_moves(const rml_mouth *mouth, float voiced);

// Brings what an item heard to its share.
void rml_mouth_fade_sound(const rml_mouth *mouth, float voiced, float *sound);

// Brings a face back to the one that was given, but for this share.
void rml_mouth_fade_face(const rml_mouth *mouth, uint8_t *patch, const uint8_t *given, float share);

// Runs the network on the items. given[i]: the face of items[i] once more; voiced[i]: its share.
// A voice's face that is closed, and was before, is not computed again. After a failure not to be
// called.
rml_status rml_mouth_run(rml_mouth *mouth, rml_lip_item *const *items, uint8_t *const *given,
                         const float *voiced, int count, bool round, rml_error *err);

#endif
