// What lipsync_open.c opens and lipsync_run.c works with.
#ifndef RML_PIPELINES_LIPSYNC_LIPSYNC_JOB_H
#define RML_PIPELINES_LIPSYNC_LIPSYNC_JOB_H

#include "media/audio/speech.h"
#include "pipelines/faces/faces_file.h"
#include "pipelines/lipsync/lipsync.h"

struct rml_lipsync {
    const rml_allocator *allocator;
    rml_lipsync_settings settings;
    rml_clip *clip;
    rml_speech *speech;
    rml_schedule schedule;
    rml_encode_settings encode;
    rml_faces_key faces_key;
    rml_face *known; // from the faces file
    int64_t known_count;
    bool has_box;
};

#endif
