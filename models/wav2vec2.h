// What the files of Wav2Vec2 share: its sizes, as weights and config tell them.
#ifndef RML_MODELS_WAV2VEC2_H
#define RML_MODELS_WAV2VEC2_H

#include "models/params.h"

#define RML_WAV2VEC2_MAX_CONVS 32

typedef struct rml_wav2vec2 {
    rml_params *params;
    rml_graph *graph;
    int convs;
    int64_t stride[RML_WAV2VEC2_MAX_CONVS];
    int64_t width[RML_WAV2VEC2_MAX_CONVS], taps[RML_WAV2VEC2_MAX_CONVS], hidden, inner, near,
        groups; // where none are stored
    bool layer_layout, stable;
    int64_t layers, heads; // heads 0: of 64 numbers
    float eps;
    rml_activation conv_act, act;
} rml_wav2vec2;

rml_wav2vec2 rml_wav2vec2_find(rml_params *params);

// The transformer: features (N,T,C) -> (N,T,hidden).
rml_value_id rml_wav2vec2_encode(rml_wav2vec2 *at, rml_value_id x);

#endif
