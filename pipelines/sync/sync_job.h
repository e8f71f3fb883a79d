// The inside of a job; for sync_*.c only.
#ifndef RML_PIPELINES_SYNC_SYNC_JOB_H
#define RML_PIPELINES_SYNC_SYNC_JOB_H

#include "media/files/spool.h"
#include "media/image/resize_opencv.h"
#include "pipelines/faces/face_places.h"
#include "pipelines/faces/scene_cut.h"
#include "pipelines/sync/sync.h"
#include "tensor/alloc.h"

struct rml_sync {
    const rml_allocator *allocator;
    rml_sync_settings settings;
    rml_spool video, audio;
    rml_clip *clip;
    rml_speech *speech;
    rml_face_places places;
    rml_sync_meter *meter;
};

#endif
