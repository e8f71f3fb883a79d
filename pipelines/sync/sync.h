// How far the lips of a clip and its sound are apart.
//
//   25 pictures a second -> faces -> lower halves, mel of the sound -> SyncNet -> sync_meter.h
//
// Picture k is the one shown at k/25 s; window i is pictures i..i+4 and mel columns
// int(80 * (i / 25)) .. +15, both 0.2 s; by the file's clock, whichever of the two begins late.
// Faces are those of the detector, whole pixels, neither padded nor smoothed, as the network was
// trained. A window with a picture without a face is left out. One pass; a few dozen numbers a
// window are kept.
#ifndef RML_PIPELINES_SYNC_SYNC_H
#define RML_PIPELINES_SYNC_SYNC_H

#include "media/audio/speech.h"
#include "pipelines/faces/face_finder.h"
#include "pipelines/faces/face_choice.h"
#include "pipelines/lipsync/clip.h"
#include "pipelines/sync/sync_meter.h"

#define RML_SYNC_RATE 25 // pictures a second
#define RML_SYNC_WINDOW 5
#define RML_SYNC_FRAME_MS (1000 / RML_SYNC_RATE)
#define RML_SYNC_FEW 100 // of fewer windows the zeros beyond the clip tell in the scores

typedef struct rml_sync_settings {
    rml_clip_settings clip;
    const char *audio_path;       // NULL: the clip's own sound
    const char *temporary_folder; // for what comes out of pipes
    const char *faces_path;       // as in rml_lipsync_settings
    int box[4];                   // the same
    rml_face_choice which;        // the same
    int threads;
    // Called after each picture; total is -1 when it is not known. May be NULL.
    void (*progress)(void *user, int64_t done, int64_t total);
    bool (*cancelled)(void *user); // true ends the run with RML_ERR_IO. May be NULL
    void *user;
} rml_sync_settings;

rml_sync_settings rml_sync_settings_default(void);

typedef struct rml_sync rml_sync;

// Opens clip and sound, and checks box and faces. Strings in `settings` must live as long as the
// job. RML_ERR_ARG for a picture alone, in which nothing moves.
rml_status rml_sync_open(rml_sync **out, const rml_sync_settings *settings,
                         const rml_allocator *allocator, rml_error *err);

const rml_clip_info *rml_sync_clip(const rml_sync *job);
const rml_speech_info *rml_sync_voice(const rml_sync *job);

// As rml_lipsync_known_faces.
int64_t rml_sync_known_faces(const rml_sync *job);

// Does the work once. `model` is "syncnet", and `session` runs it. `detector` may be NULL and has
// seen no frame yet. RML_ERR_ARG for a clip or sound too short for one window, and for one without
// a face.
rml_status rml_sync_run(rml_sync *job, const rml_model *model, rml_session *session,
                        rml_face_finder *detector, rml_error *err);

// What came out; the job's.
const rml_sync_meter *rml_sync_result(const rml_sync *job);
int64_t rml_sync_damaged_packets(const rml_sync *job); // of the video, skipped

void rml_sync_close(rml_sync **job);

#endif
