// Where the face of each frame of a clip is: a box for all of them, a file of faces, or what a
// detector finds.
#ifndef RML_PIPELINES_FACES_FACE_PLACES_H
#define RML_PIPELINES_FACES_FACE_PLACES_H

#include "pipelines/faces/face_finder.h"
#include "pipelines/faces/faces_file.h"

#define RML_NO_BOX (-1) // the first number of a box that is not given

typedef struct rml_face_places {
    bool by_hand;
    rml_box box;      // of all frames; by_hand
    const char *path; // the file of faces; NULL: none
    rml_faces_key key;
    rml_face *known; // read from there
    int64_t known_count;
    bool as_upstream; // boxes that a detector finds beside the picture are kept
} rml_face_places;

// `box` is top, bottom, left, right. Reads the file of faces where there is one already, and checks
// that it can be written. RML_ERR_ARG for a box that is empty or reaches outside the frame.
rml_status rml_face_places_open(rml_face_places *places, const int box[4], const char *path,
                                const rml_clip_settings *settings, const rml_clip_info *info,
                                const rml_allocator *allocator, rml_error *err);

// Source frames whose face is known without a detector; INT64_MAX with a box.
int64_t rml_face_places_known(const rml_face_places *places);

// The face in source frame `index`; its `seconds` are the caller's to set. `detector`, which may be
// NULL, looks at those that are not known; RML_ERR_ARG without one. `cut` as in
// rml_face_finder_next.
rml_status rml_face_places_find(const rml_face_places *places, rml_face_finder *detector,
                                int64_t index, const rml_planes *picture, bool cut, rml_face *face,
                                rml_error *err);

// Writes the file of faces, where there is to be one and `track` has more than was read from it.
rml_status rml_face_places_keep(const rml_face_places *places, const rml_track *track,
                                const rml_allocator *allocator, rml_error *err);

void rml_face_places_close(rml_face_places *places, const rml_allocator *allocator);

#endif
