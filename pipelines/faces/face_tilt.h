// How far a head is tilted, by its marks, and the box of a tilted face.
#ifndef RML_PIPELINES_FACES_FACE_TILT_H
#define RML_PIPELINES_FACES_FACE_TILT_H

#include "pipelines/faces/face_track.h"

// Up to this angle (3 degrees) a face counts as upright; up to twice as much the angle catches up,
// so that it does not jump when a head begins to tilt.
#define RML_FACE_TILT_LEAST 0.0523599f

// Radians by which the face lies clockwise in the picture, -pi..pi; 0 for one that counts as
// upright, and for marks that no face has.
float rml_face_tilt(const float (*marks)[2]);

// The box that the face would have with its head upright, about the same middle; it is turned by
// `angle` about its own middle, and may reach out of the picture. `found` is the one that a
// detector draws around the tilted face, parallel to the picture's sides; `padded` the same with
// what is added on each side, which goes along with the head. At an angle of 0: `padded`.
rml_box rml_face_turned_box(rml_box found, rml_box padded, float angle);

// How far the face is tilted by its final marks, and the box that is turned so; both are smoothed
// over the same frames. 0, and the final box, without marks.
float rml_track_turn(const rml_track *track, int64_t index, rml_box *box);

#endif
