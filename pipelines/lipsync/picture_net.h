// A network of the user's that takes a picture and gives one, or a mask of it: which of its inputs
// and outputs is what, and pictures in and out.
#ifndef RML_PIPELINES_LIPSYNC_PICTURE_NET_H
#define RML_PIPELINES_LIPSYNC_PICTURE_NET_H

#include "media/image/frame.h"

// What a picture of R'G'B' 0..1 is to a network: (v - mean) / deviation.
typedef struct rml_picture_levels {
    bool bgr;
    float mean, deviation;
} rml_picture_levels;

// "rgb" or "bgr", and with a comma behind it "unit" (0..1), "signed" (-1..1) or "raw" (0..255);
// either alone leaves the other as it is.
bool rml_picture_levels_parse(const char *text, rml_picture_levels *levels);

typedef struct rml_picture_net_settings {
    const char *what; // "the occluder", for messages
    rml_session_settings session;
    rml_picture_levels levels;
    int side;     // of inputs that leave it open
    int channels; // of the output: 3 (as the input), or 1, a mask
    double more;  // a number for a second input of one element, if there is one
} rml_picture_net_settings;

typedef struct rml_picture_net rml_picture_net;

// `model`, which must outlive it, has an f32 input (1,C,H,W) or (1,H,W,C) with C 1 or 3, and an
// output that is a picture of as many channels as are wanted; of several outputs the first that is
// one. RML_ERR_UNSUPPORTED otherwise, which says what would be needed.
rml_status rml_picture_net_create(rml_picture_net **out, rml_model *model,
                                  const rml_picture_net_settings *settings, rml_error *err);
void rml_picture_net_destroy(rml_picture_net **net);

int rml_picture_net_width(const rml_picture_net *net);
int rml_picture_net_height(const rml_picture_net *net);

// `planes`: R', G', B' of the network's size. `result`: as many planes of that size as are wanted,
// pictures brought back to R'G'B', masks as they are; 0..1, what lies outside is moved to the ends.
// RML_ERR_FORMAT where a number is not finite.
rml_status rml_picture_net_run(rml_picture_net *net, const float *planes, float *result,
                               rml_error *err);

#endif
