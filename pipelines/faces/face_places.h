// Where the face of each frame of a clip is: a box for all of them, a file of faces, or what a
// detector finds, numbered as face_identity.h does; of several the one that is chosen.
#ifndef RML_PIPELINES_FACES_FACE_PLACES_H
#define RML_PIPELINES_FACES_FACE_PLACES_H

#include "pipelines/faces/face_choice.h"
#include "pipelines/faces/face_finder.h"
#include "pipelines/faces/faces_file.h"

#define RML_NO_BOX (-1) // the first number of a box that is not given

typedef struct rml_face_places {
    bool by_hand;
    rml_box box;      // of all frames; by_hand
    const char *path; // the file of faces; NULL: none
    rml_faces_key key;
    rml_face_list list;
    int64_t read;  // frames that were read from there
    int64_t told;  // of them, those that `identities` has been told of
    size_t cursor; // records before it are of frames that have been asked for
    struct rml_face_identities *identities;
    rml_face_chooser chooser;
    const int *numbers; // of the faces that are asked for; NULL: one, as the chooser says
    int number_count;
    bool as_upstream; // the detector's best face of each frame, also beside the picture
} rml_face_places;

// `box` is top, bottom, left, right. Reads the file of faces where there is one already, and checks
// that it can be written. RML_ERR_ARG for a box that is empty or reaches outside the frame, and for
// a choice that does. On failure what is open is to be closed.
rml_status rml_face_places_open(rml_face_places *places, const int box[4], const char *path,
                                const rml_face_choice *choice, const rml_clip_settings *settings,
                                const rml_clip_info *info, const rml_allocator *allocator,
                                rml_error *err);

// Source frames whose face is known without a detector; INT64_MAX with a box.
int64_t rml_face_places_known(const rml_face_places *places);

// A source frame of a clip.
typedef struct rml_place_frame {
    int64_t index;
    double seconds; // when it is shown
    const rml_planes *picture;
    bool cut; // as in rml_face_finder_next
} rml_place_frame;

// The face in the next source frame, or all that are asked for, with their seconds; frames come in
// order, and may be left out.
// `detector`, which may be NULL, looks at those that are not known; RML_ERR_ARG without one.
rml_status rml_face_places_find(rml_face_places *places, rml_face_finder *detector,
                                const rml_place_frame *frame, rml_face *faces,
                                const rml_allocator *allocator, rml_error *err);

// Writes the file of faces, where there is to be one and more is known than was read from it.
rml_status rml_face_places_keep(const rml_face_places *places, const rml_allocator *allocator,
                                rml_error *err);

void rml_face_places_close(rml_face_places *places, const rml_allocator *allocator);

#endif
