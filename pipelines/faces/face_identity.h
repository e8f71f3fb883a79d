// Which face of a picture is which of the pictures before: told by where it moves to and by its
// looks, for all faces of a picture together, so that two who cross do not change places.
#ifndef RML_PIPELINES_FACES_FACE_IDENTITY_H
#define RML_PIPELINES_FACES_FACE_IDENTITY_H

#include "pipelines/faces/face_looks.h"

#define RML_IDENTITIES_MOST 64 // faces in a picture, and faces that are remembered

typedef struct rml_face_identities rml_face_identities;

rml_status rml_face_identities_create(rml_face_identities **out, const rml_allocator *allocator,
                                      rml_error *err);
void rml_face_identities_destroy(rml_face_identities **identities);

// Numbers the `count` <= RML_IDENTITIES_MOST faces of the next picture. Those that nobody knows get
// new numbers, from 1 on, from left to right. A face that was away is known again by its looks.
// `cut`: this picture has nothing to do with the one before, so that looks alone count.
void rml_face_identities_next(rml_face_identities *identities, const rml_box *boxes,
                              const rml_face_looks *looks, int count, bool cut, int *numbers);

// The same for faces whose numbers are known.
void rml_face_identities_learn(rml_face_identities *identities, const rml_box *boxes,
                               const rml_face_looks *looks, int count, bool cut,
                               const int *numbers);

#endif
