// From a picture in planes to what a network is given.
#ifndef RML_PIPELINES_LIPSYNC_FACE_CUT_H
#define RML_PIPELINES_LIPSYNC_FACE_CUT_H

#include "media/image/planes.h"
#include "pipelines/faces/face_track.h"

// Keeps its room for the next face. One is used by one thread at a time.
typedef struct rml_face_cutter rml_face_cutter;

rml_status rml_face_cutter_create(rml_face_cutter **out, const rml_allocator *allocator,
                                  rml_error *err);
void rml_face_cutter_destroy(rml_face_cutter **cutter);

// The face in `box` (as shown) as side x side pixels BGR, as networks know it. `angle`: the box is
// turned about its middle so far clockwise, in radians, and the face upright in the pixels; it may
// reach out of the picture then, where the picture goes on as its edge. With 0 it is inside.
rml_status rml_face_cut(rml_face_cutter *cutter, const rml_planes *picture, rml_box box,
                        float angle, int side, uint8_t *patch, rml_error *err);

#endif
