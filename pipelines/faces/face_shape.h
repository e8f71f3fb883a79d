// How eyes and mouth of a face lie: by its marks, or by the usual proportions of its box.
#ifndef RML_PIPELINES_FACES_FACE_SHAPE_H
#define RML_PIPELINES_FACES_FACE_SHAPE_H

#include "pipelines/faces/face_box.h"

// Of the height of a box from the forehead to the chin and a little lower: where the middle of the
// mouth is, and how far it is from the eyes.
#define RML_BOX_MOUTH_Y 0.71f
#define RML_BOX_DISTANCE 0.34f

typedef struct rml_face_shape {
    float x, y;             // the middle of the mouth
    float down_x, down_y;   // from the middle of the eyes to there
    float right_x, right_y; // towards the right of the picture of an upright head; of any length
} rml_face_shape;

// By five marks as in rml_face.
rml_face_shape rml_face_shape_of(const float (*marks)[2]);

#endif
