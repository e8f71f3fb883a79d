// Finds the faces of each picture of a clip, with any detector that is known by its outputs: S3FD,
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
    // the surroundings of the last faces are, and the whole where one is lost there, there are many
    // or the scene was cut.
    int every;
} rml_face_finder_settings;

// `model` must outlive the finder. RML_ERR_UNSUPPORTED, which lists its outputs, for another one.
rml_status rml_face_finder_create(rml_face_finder **out, rml_model *model,
                                  const rml_face_finder_settings *settings, rml_error *err);
void rml_face_finder_destroy(rml_face_finder **finder);

// The network as it searches whole pictures, for a profile.
const rml_session *rml_face_finder_session(const rml_face_finder *finder);

#define RML_FINDER_MOST 64 // faces in a picture

// The faces of the next picture as it is shown, the best first, at most `capacity` <=
// RML_FINDER_MOST. `cut`: this picture has nothing to do with the one before.
rml_status rml_face_finder_next(rml_face_finder *finder, const rml_planes *picture, bool cut,
                                rml_face *faces, int capacity, int *count, rml_error *err);

#endif
