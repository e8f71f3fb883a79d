// What a face looks like, as far as it takes to know it again.
#ifndef RML_PIPELINES_FACES_FACE_LOOKS_H
#define RML_PIPELINES_FACES_FACE_LOOKS_H

#include "media/image/planes.h"
#include "pipelines/faces/face_box.h"

#define RML_LOOKS_SIDE 8
#define RML_LOOKS_COUNT (3 * RML_LOOKS_SIDE * RML_LOOKS_SIDE)

// A thumbnail of a face: luma without its mean, and colour differences; of length 1.
typedef struct rml_face_looks {
    float value[RML_LOOKS_COUNT];
} rml_face_looks;

// `box` as shown; what of it lies outside the picture repeats the picture's edge.
void rml_face_looks_make(rml_face_looks *looks, const rml_planes *picture, rml_box box);

// -1..1; 1: the same.
float rml_face_likeness(const rml_face_looks *a, const rml_face_looks *b);

// What is known of a face becomes a little more like what was seen of it.
void rml_face_looks_mix(rml_face_looks *known, const rml_face_looks *seen, float share);

#endif
