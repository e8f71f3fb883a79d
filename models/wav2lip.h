// The generators that go by the name of Wav2Lip: layers as data, one builder for all of them.
#ifndef RML_MODELS_WAV2LIP_H
#define RML_MODELS_WAV2LIP_H

#include "models/lip_blocks.h"

// What the weights leave open, and a config may tell.
enum {
    RML_WAV2LIP_TELL_SIDE = 1,
    RML_WAV2LIP_TELL_REFINE = 2,
    RML_WAV2LIP_TELL_LAST = 4,
    RML_WAV2LIP_TELL_LEAKY_AUDIO = 8,
    RML_WAV2LIP_TELL_ATTENTION = 16,
    RML_WAV2LIP_TELL_PICTURES = 32
};

#define RML_WAV2LIP_MAX_STAGES 10

typedef struct rml_wav2lip_kind {
    const char *name;
    int side;
    const rml_lip_stage *audio, *encoder, *decoder, *head;
    unsigned open;     // RML_WAV2LIP_TELL_...
    bool prelu;        // published with a slope for each block
    bool attention;    // of the decoder's tensor, from the skip
    bool has_refine;   // there are two more blocks behind the audio encoder
    bool refine;       // and they are run
    bool norm;         // the voice is a vector of length 1
    bool leaky;        // LeakyReLU 0.2 in place of ReLU, but for the audio encoder
    bool leaky_audio;  // the same in the audio encoder, but for its last stage
    bool tanh;         // ends in tanh, not sigmoid
    bool signed_faces; // pictures are [-1,1], not [0,1]
} rml_wav2lip_kind;

// NULL past the end; the first is the original network.
const rml_wav2lip_kind *rml_wav2lip_kind_at(size_t index);

// Tells which network the weights are of by their keys and shapes, and what these leave open by the
// config. False, with the graph's error set, where they are of none.
bool rml_wav2lip_tell(rml_params *params, rml_wav2lip_kind *kind);

#endif
