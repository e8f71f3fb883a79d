// A network that moves lips, as the lip-sync pipeline sees it: which piece of the sound a frame
// needs, and faces with their pieces of sound in, faces out. The ways to make one are in
// wav2lip_net.h and latent_net.h.
#ifndef RML_PIPELINES_LIPSYNC_LIP_NET_H
#define RML_PIPELINES_LIPSYNC_LIP_NET_H

#include "media/image/frame.h"
#include "media/audio/speech.h"
#include "pipelines/faces/face_track.h"
#include "pipelines/lipsync/schedule.h"

// One face of a batch.
typedef struct rml_lip_item {
    uint8_t *patch; // side x side pixels BGR; the face, then the face as generated
    float *sound;   // what `listen` wrote, `sound_count` numbers
    rml_part seen;  // of the patch: the rest may be left as it is, for nobody looks at it
    int voice;      // of rml_lip_sound, whose face it is
    int64_t source; // items in which this frame of the clip and the box in it agree
    rml_box box;    // show the same face
} rml_lip_item;

#define RML_LIP_VOICES 8 // most faces that speak in one video

typedef struct rml_lip_voice {
    rml_speech *speech;
    const char *path; // the same file
} rml_lip_voice;

// What is listened to. Each `speech` is used by the network alone until the run ends.
typedef struct rml_lip_sound {
    rml_lip_voice voices[RML_LIP_VOICES];
    int count;
    double fps;  // of the video
    bool compat; // pieces by upstream's count of frames, not by time
} rml_lip_sound;

typedef struct rml_lip_net rml_lip_net;

// The calls come from one thread. `side` is set from the beginning, `sound_count` by `begin`.
struct rml_lip_net {
    void *self; // of the implementation
    int side;
    size_t sound_count;
    // Once, before all others: checks that the network is one, and hears what must be heard whole.
    rml_status (*begin)(rml_lip_net *net, const rml_lip_sound *sound, rml_error *err);
    // The piece of a voice's sound for an output frame.
    rml_status (*listen)(rml_lip_net *net, int voice, const rml_slot_plan *plan, float *sound,
                         rml_error *err);
    // The same of digital silence, which shuts a mouth.
    rml_status (*hear_silence)(rml_lip_net *net, float *sound, rml_error *err);
    // Replaces the patches of `count` items by what the network makes of them. `round`: to the
    // nearest whole number; otherwise cut, as upstream does. RML_ERR_FORMAT when the network gives
    // a number that is not finite.
    rml_status (*run)(rml_lip_net *net, rml_lip_item *const *items, int count, bool round,
                      rml_error *err);
};

// The byte of a level of 0..255; levels outside are moved to its ends. `level` is finite.
static inline uint8_t rml_lip_byte(float level, bool round)
{
    level += round ? 0.5f : 0.0f;
    return (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
}

#endif
