// A network of the user's that takes a picture and gives a mask of it: what it takes, which of its
// outputs is the mask, and pictures in.
#ifndef RML_PIPELINES_LIPSYNC_MASK_NET_H
#define RML_PIPELINES_LIPSYNC_MASK_NET_H

#include "media/image/frame.h"

// What a picture of R'G'B' 0..1 is to a network: (v - mean) / deviation.
typedef struct rml_picture_levels {
    bool bgr;
    float mean, deviation;
} rml_picture_levels;

// "rgb" or "bgr", and with a comma behind it "unit" (0..1), "signed" (-1..1) or "raw" (0..255);
// either alone leaves the other as it is.
bool rml_picture_levels_parse(const char *text, rml_picture_levels *levels);

typedef struct rml_mask_net_settings {
    const char *what; // "the occluder", for messages
    rml_session_settings session;
    rml_picture_levels levels;
    int side; // of inputs that leave it open
} rml_mask_net_settings;

typedef struct rml_mask_net rml_mask_net;

// `model`, which must outlive it, has one input, f32 of (1,C,H,W) or (1,H,W,C) with C 1 or 3, and
// an output of one channel and the size of the input; of several the first that is so.
// RML_ERR_UNSUPPORTED otherwise, which says what would be needed.
rml_status rml_mask_net_create(rml_mask_net **out, rml_model *model,
                               const rml_mask_net_settings *settings, rml_error *err);
void rml_mask_net_destroy(rml_mask_net **net);

int rml_mask_net_width(const rml_mask_net *net);
int rml_mask_net_height(const rml_mask_net *net);

// `planes`: R', G', B' of the network's size. `mask`: one of that size, 0..1; what lies outside is
// moved to the ends. RML_ERR_FORMAT where a number is not finite.
rml_status rml_mask_net_run(rml_mask_net *net, const float *planes, float *mask, rml_error *err);

#endif
