// Looks ahead, before the work, for faces that the user asked for by number or by place.
#ifndef RML_PIPELINES_FACES_FACE_SCOUT_H
#define RML_PIPELINES_FACES_FACE_SCOUT_H

#include "pipelines/faces/face_places.h"

typedef struct rml_face_scout_settings {
    const rml_clip_settings *clip;
    double seconds; // of the clip that will be used; a number must be seen in them
    // Asked at each frame: true ends the search with RML_ERR_IO. May be NULL.
    bool (*cancelled)(void *user);
    void *user;
} rml_face_scout_settings;

// Before the first frame: goes through the clip until every number that is asked for has been seen,
// or to the time of RML_CHOOSE_AT. The faces that are found on the way are kept, so that a detector
// looks at no frame twice; a number that the first frame shows, or the file of faces has, takes no
// search at all. RML_ERR_ARG, which says how many faces there are, where a number is never seen.
rml_status rml_face_scout(rml_face_places *places, rml_face_finder *detector,
                          const rml_face_scout_settings *settings, const rml_allocator *allocator,
                          rml_error *err);

#endif
