// Faces that a mouth cannot be put into: frames that show them are left as they are.
#ifndef RML_PIPELINES_FACES_FACE_FIT_H
#define RML_PIPELINES_FACES_FACE_FIT_H

#include "pipelines/faces/face_box.h"

typedef enum rml_face_fit {
    RML_FACE_FITS = 0,
    RML_FACE_TURNED,  // away: the nose is beside the eyes, or these close together
    RML_FACE_CUT_OFF, // the mouth is beyond the edge of the picture
    RML_FACE_SMALL    // the mouth is of a few pixels
} rml_face_fit;

// Whether a face that is not by hand fits into a picture of width x height. `before`: how it was in
// the frame before; a face that did not fit has to fit better than one that did. Without marks none
// is turned away.
rml_face_fit rml_face_fit_of(const rml_face *face, int width, int height, rml_face_fit before);

#endif
