// The Wav2Lip network on pictures: face patches and mel chunks in, face patches out.
#ifndef RML_PIPELINES_LIP_NET_H
#define RML_PIPELINES_LIP_NET_H

#include "media/mel.h"
#include "tensor/status.h"

#define RML_LIP_SIDE 96
#define RML_LIP_PATCH_BYTES (RML_LIP_SIDE * RML_LIP_SIDE * 3)

// One item of a batch.
typedef struct rml_lip_item {
    uint8_t patch[RML_LIP_PATCH_BYTES];         // BGR; the face, then the face as generated
    float chunk[RML_MEL_BANDS * RML_MEL_CHUNK]; // chunk[band * 16 + column]
} rml_lip_item;

// RML_OK when `session` has the inputs `audio` (N,1,80,16) and `face` (N,6,96,96) and the output
// `frames` (N,3,96,96).
rml_status rml_lip_net_check(rml_session *session, rml_error *err);

// Replaces the patches of `count` items by what the network makes of them. `round`: to the nearest
// whole number; otherwise cut, as upstream does. RML_ERR_FORMAT when the network gives a number
// that is not finite.
rml_status rml_lip_net_run(rml_session *session, rml_lip_item *const *items, int count, bool round,
                           rml_error *err);

#endif
