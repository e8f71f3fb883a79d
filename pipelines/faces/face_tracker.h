// Which face of a picture is which of the pictures before: told by where it moves to and by its
// looks, for all faces of a picture together, so that two who cross do not change places.
#ifndef RML_PIPELINES_FACES_FACE_TRACKER_H
#define RML_PIPELINES_FACES_FACE_TRACKER_H

#include "pipelines/faces/face_track.h"

#define RML_TRACKER_MOST 64 // faces in a picture, and faces that are remembered

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

typedef struct rml_face_tracker rml_face_tracker;

rml_status rml_face_tracker_create(rml_face_tracker **out, const rml_allocator *allocator,
                                   rml_error *err);
void rml_face_tracker_destroy(rml_face_tracker **tracker);

// Numbers the `count` <= RML_TRACKER_MOST faces of the next picture. Those that nobody knows get
// new numbers, from 1 on, from left to right. A face that was away is known again by its looks.
// `cut`: this picture has nothing to do with the one before, so that looks alone count.
void rml_face_tracker_next(rml_face_tracker *tracker, const rml_box *boxes,
                           const rml_face_looks *looks, int count, bool cut, int *numbers);

// The same for faces whose numbers are known.
void rml_face_tracker_learn(rml_face_tracker *tracker, const rml_box *boxes,
                            const rml_face_looks *looks, int count, bool cut, const int *numbers);

#endif
