// What is known of a face in a picture.
#ifndef RML_PIPELINES_FACES_FACE_BOX_H
#define RML_PIPELINES_FACES_FACE_BOX_H

#include <stdbool.h>

// Pixels x1 <= x < x2, y1 <= y < y2.
typedef struct rml_box {
    int x1, y1, x2, y2;
} rml_box;

typedef enum rml_face_source {
    RML_FACE_NONE = 0, // looked for, and none was found
    RML_FACE_DETECTED, // by a network
    RML_FACE_BY_HAND   // given by the user
} rml_face_source;

const char *rml_face_source_name(rml_face_source source); // "none", "detected", "by hand"

#define RML_FACE_MARKS 5

typedef struct rml_face {
    rml_box box; // all zero for RML_FACE_NONE
    float score; // 0..1
    rml_face_source source;
    double seconds; // when the source shows this frame
    // x and y in pixels of the frame: the eye on the left of the picture, the other one, the tip of
    // the nose, the left and the right end of the mouth.
    bool has_marks;
    float marks[RML_FACE_MARKS][2];
} rml_face;

// Intersection over union of two boxes, 0..1.
double rml_box_overlap(rml_box a, rml_box b);

#endif
