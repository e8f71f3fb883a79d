// Finds the face of each picture of a clip, with any detector that is known by its outputs: S3FD,
// YuNet, or the Ultra-Light-Fast-Generic detector.
#ifndef RML_PIPELINES_FACES_FACE_FINDER_H
#define RML_PIPELINES_FACES_FACE_FINDER_H

#include "media/image/planes.h"
#include "pipelines/faces/face_track.h"

typedef enum rml_detector_kind {
    RML_DETECTOR_S3FD = 0,
    RML_DETECTOR_YUNET,
    RML_DETECTOR_ULFD
} rml_detector_kind;

typedef struct rml_face_finder rml_face_finder;

typedef struct rml_face_finder_settings {
    rml_session_settings session;
    // The whole picture is searched in each `every`-th frame (1: in all of them). In between only
    // the surroundings of the last face are, and the whole where it is lost there or the scene was
    // cut.
    int every;
} rml_face_finder_settings;

// `model` must outlive the finder. RML_ERR_UNSUPPORTED, which lists its outputs, for another one.
rml_status rml_face_finder_create(rml_face_finder **out, rml_model *model,
                                  const rml_face_finder_settings *settings, rml_error *err);
void rml_face_finder_destroy(rml_face_finder **finder);

// The network as it searches whole pictures, for a profile.
const rml_session *rml_face_finder_session(const rml_face_finder *finder);

// The face of the next picture as it is shown, or face->source = RML_FACE_NONE. `cut`: this picture
// has nothing to do with the one before.
//
// S3FD that looks at every frame gives the best face, as upstream does. Otherwise, of several faces
// that one is taken which overlaps the last one, and the best where none does.
rml_status rml_face_finder_next(rml_face_finder *finder, const rml_planes *picture, bool cut,
                                rml_face *face, rml_error *err);

#endif
