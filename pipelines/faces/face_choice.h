// Which of the faces of a clip is made to speak.
#ifndef RML_PIPELINES_FACES_FACE_CHOICE_H
#define RML_PIPELINES_FACES_FACE_CHOICE_H

#include "pipelines/faces/face_track.h"

typedef enum rml_choice_kind {
    // The one that is followed; where it is not there, the detector's best of those that cannot be
    // somebody else.
    RML_CHOOSE_BEST = 0,
    // In the first picture of a clip or scene that has faces; then the same as long as the scene.
    RML_CHOOSE_LARGEST,
    RML_CHOOSE_LEFT,
    RML_CHOOSE_RIGHT,
    RML_CHOOSE_NUMBER, // as face_identity.h numbers them
    RML_CHOOSE_AT      // the one that is at (x, y) when `seconds` have been shown
} rml_choice_kind;

typedef struct rml_face_choice {
    rml_choice_kind kind;
    int number;     // RML_CHOOSE_NUMBER
    double x, y;    // RML_CHOOSE_AT: pixels of the picture as shown
    double seconds; // the same
} rml_face_choice;

// "largest", "left", "right", "2", "at:X,Y" or "at:X,Y@SECONDS"; false for anything else.
bool rml_face_choice_parse(const char *text, rml_face_choice *choice);

typedef struct rml_numbered_face {
    rml_face face;
    int number; // from 1 on; 0 where there is no face
} rml_numbered_face;

#define RML_CHOICE_STRANGERS 64

// The face that is followed from picture to picture. A zeroed one has seen none.
typedef struct rml_face_chooser {
    rml_face_choice choice;
    int followed;                                        // its number; 0: none yet
    int strangers[RML_CHOICE_STRANGERS], stranger_count; // numbers of others in this scene
} rml_face_chooser;

// The face of the next picture, or NULL. `faces` are ordered by the detector, the best first.
const rml_numbered_face *rml_face_choose(rml_face_chooser *chooser, const rml_numbered_face *faces,
                                         int count, bool cut);

// The face of a number, or NULL; 0 is none.
const rml_numbered_face *rml_face_of_number(const rml_numbered_face *faces, int count, int number);

// Of the faces at a point the one whose middle is nearest to it, or NULL.
const rml_numbered_face *rml_face_at(const rml_numbered_face *faces, int count, double x, double y);

#endif
