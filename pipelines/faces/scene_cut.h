// A scene cut is told from motion by comparing small grey versions of neighbouring pictures.
#ifndef RML_PIPELINES_FACES_SCENE_CUT_H
#define RML_PIPELINES_FACES_SCENE_CUT_H

#include "media/image/planes.h"

#define RML_SIGNATURE_SIDE 16

// Mean brightness of each field of a grid over the picture as coded, 0..255.
typedef struct rml_signature {
    uint8_t field[RML_SIGNATURE_SIDE * RML_SIGNATURE_SIDE];
} rml_signature;

void rml_signature_make(rml_signature *signature, const rml_planes *picture);

// True when the pictures differ by more than motion does.
bool rml_signature_is_cut(const rml_signature *before, const rml_signature *after);

#endif
