// The Wav2Lip network on pictures: face patches and mel chunks in, face patches out.
#ifndef RML_PIPELINES_LIPSYNC_WAV2LIP_NET_H
#define RML_PIPELINES_LIPSYNC_WAV2LIP_NET_H

#include "pipelines/lipsync/lip_net.h"

typedef struct rml_wav2lip_net {
    rml_lip_net net; // for the pipeline; points into this struct, which must not be moved
    rml_session *session;
    rml_lip_sound sound;
    int fixed;             // faces that the network's file fixes for each run; 0: any number
    float mean, deviation; // a level v of 0..255 is (v - mean) / deviation
    size_t frames;         // of the model's outputs
    bool whole;            // all of a face is computed, for tests: what is looked at is the same
    int margin; // pixels left, right and below that masked faces keep; above the half is whole
} rml_wav2lip_net;

// `session` runs `model`, the network "wav2lip", with the inputs `audio` (N,1,80,16) and `face`
// (N,6,S,S) and the output `frames` (N,3,S,S), and outlives `net`. S is what the network is for.
// Nothing is to be released.
rml_status rml_wav2lip_net_init(rml_wav2lip_net *net, const rml_model *model, rml_session *session,
                                rml_error *err);

#endif
