// Lip-sync: a face in a video or picture, a voice, and a file in which the lips follow the voice.
//
//   decode -> detect -> smooth -> network -> paste -> encode
//
// A bounded ring: decoding, the network and encoding run at the same time, and frames are reused,
// so that memory does not grow with the length of the clip (a box of a few bytes a frame is kept).
#ifndef RML_PIPELINES_LIPSYNC_LIPSYNC_H
#define RML_PIPELINES_LIPSYNC_LIPSYNC_H

#include "media/audio/speech.h"
#include "media/files/c2pa.h"
#include "media/video/encode.h"
#include "pipelines/lipsync/clip.h"
#include "pipelines/faces/face_choice.h"
#include "pipelines/faces/face_finder.h"
#include "pipelines/lipsync/face_paste.h"
#include "pipelines/lipsync/lip_net.h"
#include "pipelines/lipsync/mouth.h"
#include "pipelines/lipsync/result_mark.h"
#include "pipelines/lipsync/schedule.h"

// What a network hears of the sound.
typedef enum rml_lip_hearing {
    RML_HEAR_MEL = 0,  // media/audio/mel.h
    RML_HEAR_WAV2VEC2, // pipelines/lipsync/latent_voice.h
    RML_HEAR_WHISPER   // the same
} rml_lip_hearing;

typedef struct rml_lipsync_settings {
    const char *audio_path, *out_path;
    // Faces that speak, each with a sound of its own, in place of `which` and `audio_path`; what is
    // heard is their sum.
    struct {
        int number; // of the face
        const char *path;
    } voices[RML_LIP_VOICES];
    int voice_count;              // 0: one face and `audio_path`
    const char *final_audio_path; // what is heard in the result, cut to the voice's length; NULL:
                                  // the voice
    const char *temporary_folder; // for what comes out of pipes, which are read once
    const char *faces_path; // boxes are read from it when it exists, else written to it; or NULL
    rml_clip_settings clip;
    int pads[4];           // top bottom left right
    int box[4];            // top bottom left right for all frames; box[0] == -1: look for faces
    rml_face_choice which; // of several faces; with compat only the best
    bool no_smooth;
    bool no_upright;         // crops are upright in the picture, also those of tilted heads
    rml_lip_hearing hearing; // of the network that will run; tells upstream's count of frames
    bool compat; // upstream's frames exactly: its count, smoothing, truncation, hard paste. Its
                 // repetition is to be set in `clip`
    bool strict; // a frame without a face ends the run
    double audio_offset_seconds; // the lips lag the sound by this
    int batch;                   // most frames in one run of the network
    rml_mouth_settings mouth;    // with compat: RML_SILENCE_NET and a strength of 1
    rml_paste_settings paste;
    rml_codec codec;
    int crf;
    const char *pix_fmt, *preset; // of the encoder; NULL: the clip's format, "veryfast"
    const rml_mark_facts *mark;   // what the file is to say of itself; NULL: nothing
    rml_c2pa_settings sign;       // with a key: that is signed too, which needs a mark
    int threads;
    // Called after each frame from the thread that runs, with the output frames that have been
    // looked at and how many there will be. May be NULL.
    void (*progress)(void *user, int64_t done, int64_t total);
    // Asked between frames, and while a pipe is read: true ends the run with RML_ERR_IO and removes
    // the file begun. May be NULL.
    bool (*cancelled)(void *user);
    void *user;
} rml_lipsync_settings;

rml_lipsync_settings rml_lipsync_settings_default(void);

#define RML_LIPSYNC_MAX_RANGES 1000
#define RML_LIPSYNC_MAX_BATCH 1024

typedef enum rml_lipsync_stage {
    RML_STAGE_DECODE = 0,
    RML_STAGE_DETECT,
    RML_STAGE_SOUND,
    RML_STAGE_CROP,
    RML_STAGE_NETWORK,
    RML_STAGE_PASTE,
    RML_STAGE_ENCODE,
    RML_STAGE_COUNT
} rml_lipsync_stage;

const char *rml_lipsync_stage_name(rml_lipsync_stage stage);

// Why somebody should look at a frame of the result.
typedef enum rml_doubt {
    RML_DOUBT_NO_FACE = 0, // none was found: the frame is as it was
    RML_DOUBT_TURNED,      // away, as in face_fit.h; these three are as they were, too
    RML_DOUBT_CUT_OFF,
    RML_DOUBT_SMALL,
    RML_DOUBT_JUMP, // the box lies elsewhere than in the source frame before, without a cut
    RML_DOUBT_SEAM, // new face and film differ strongly along the mask's edge
    RML_DOUBT_COUNT
} rml_doubt;

const char *rml_doubt_name(rml_doubt doubt); // "no face"

// Written frames of a doubt, and their times in the output, in seconds.
typedef struct rml_doubtful {
    int64_t frames;
    struct {
        double from, to;
    } ranges[RML_LIPSYNC_MAX_RANGES];
    int count; // beyond the limit the last range is stretched
} rml_doubtful;

typedef struct rml_lipsync_result {
    int64_t frames;        // written
    int64_t source_frames; // of the clip that were looked at
    int64_t decoded;       // frames of the clip, each time it was decoded
    int64_t generated;     // written frames whose mouth the network made
    int64_t silent;        // written frames in which nobody speaks; 0 with RML_SILENCE_NET
    rml_doubtful doubtful[RML_DOUBT_COUNT];
    int batch;                        // largest batch used
    double stage_ms[RML_STAGE_COUNT]; // time each stage was busy
    int64_t damaged_packets;          // of the video, skipped
    rml_encode_summary file;
} rml_lipsync_result;

// Stops the media libraries from printing messages of their own. Their log is one per process, so
// this is for a program to call at its start.
void rml_lipsync_quiet_libraries(void);

typedef struct rml_lipsync rml_lipsync;

// Opens everything, reads what comes out of pipes, and finds what can be found before the work:
// unreadable picture or sound, sound
// too short or damaged, an empty or outlying box, a missing encoder, a folder that cannot be
// written, faces of another clip. Strings in `settings` must live as long as the job.
rml_status rml_lipsync_open(rml_lipsync **out, const rml_lipsync_settings *settings,
                            const rml_allocator *allocator, rml_error *err);

// What was opened, for a line to the user.
const rml_clip_info *rml_lipsync_clip(const rml_lipsync *job);
const rml_speech_info *rml_lipsync_voice(const rml_lipsync *job, int voice);
int64_t rml_lipsync_total(const rml_lipsync *job); // output frames; exact unless the rate varies

// Source frames whose face is known without a detector: read from the faces file, or all
// (INT64_MAX) with a box. A run that comes to a later frame needs one.
int64_t rml_lipsync_known_faces(const rml_lipsync *job);

// Does the work once. `detector` may be NULL and has seen no frame yet. On failure nothing lies
// under the final name, and what lay there before is untouched.
rml_status rml_lipsync_run(rml_lipsync *job, rml_lip_net *lips, rml_face_finder *detector,
                           rml_lipsync_result *result, rml_error *err);

void rml_lipsync_close(rml_lipsync **job);

#endif
