// Inside of a lip-sync job: what lipsync_open.c opens, and the chain of stages that runs it.
#ifndef RML_PIPELINES_LIPSYNC_LIPSYNC_CHAIN_H
#define RML_PIPELINES_LIPSYNC_LIPSYNC_CHAIN_H

#include "media/image/resize_opencv.h"
#include "media/audio/speech.h"
#include "media/files/spool.h"
#include "pipelines/faces/face_places.h"
#include "pipelines/faces/scene_cut.h"
#include "pipelines/lipsync/face_cut.h"
#include "pipelines/lipsync/face_paste.h"
#include "pipelines/lipsync/lipsync.h"
#include "pipelines/lipsync/mouth.h"
#include "pipelines/ring.h"

#include <stdatomic.h>

enum { RML_LIPSYNC_INPUTS = 2 + RML_LIP_VOICES }; // face, voices, sound of the result

// What is opened before the run.
struct rml_lipsync {
    const rml_allocator *allocator;
    rml_lipsync_settings settings;
    rml_spool inputs[RML_LIPSYNC_INPUTS]; // a pipe that is several of them is in the first alone
    rml_clip *clip;
    int voice_count; // at least 1; their paths are in settings.voices
    rml_speech *speeches[RML_LIP_VOICES];
    int numbers[RML_LIP_VOICES];              // of their faces
    const char *other_voices[RML_LIP_VOICES]; // paths of all but the first
    rml_schedule schedule;
    rml_encode_settings encode;
    rml_face_places places;
    rml_c2pa *c2pa; // NULL: the result is not signed
};

typedef struct rml_slot {
    rml_shot shot;           // as the clip moves
    const rml_shot *picture; // that, or the one picture of a still, which all slots show
    int64_t source;          // index in the clip
    int64_t place;           // of its box: the same, or in the clip and its mirror image
    bool again;              // the clip has been played to its end and repeats
    bool hidden;             // the frame has a box, and no output frame
    rml_slot_plan plan;
    rml_signature signature; // of the picture, the first time the source frame is seen
    rml_box box;
    float angle; // that the box is turned by, as in rml_face_cut
    bool has_face, has_marks, jumps;
    float marks[RML_FACE_MARKS][2]; // as in rml_face
    float voiced;                   // see rml_mouth_voiced
    rml_face_fit fit;
    float share;    // of the new mouth, see rml_track_share
    bool generated; // the network makes its mouth
    rml_lip_item item;
    uint8_t *given;        // what item.patch was before the network
    struct rml_slot *also; // another face of this frame: of it only `picture` to here; or NULL
} rml_slot;

// An output frame before its picture is there.
typedef struct rml_planned {
    rml_slot_plan plan;
    int64_t source, place; // as in rml_clip_step
    bool hidden;           // as in rml_slot
    rml_slot *slot;        // once it is read
} rml_planned;

// What one stage has for itself, so that no stage touches another's.
typedef struct rml_outcome {
    rml_status status;
    rml_error err;
} rml_outcome;

typedef struct rml_chain {
    rml_lipsync *job;
    const rml_allocator *allocator;
    rml_lip_net *lips;
    rml_face_finder *detector;
    rml_lipsync_result *result;
    rml_slot *slots;
    int slot_count, batch;
    rml_slot *also;   // further faces of all slots
    uint8_t *patches; // of all slots, each with what it was before the network
    float *sounds;
    rml_ring *free, *decoded, *finished;
    bool threaded;
    atomic_bool abandoned; // a stage failed: the others stop at the next slot
    // decode
    rml_outcome decode;
    int64_t seen;       // source frames decoded at least once
    rml_clip_step step; // the source frame that is played
    bool fresh;         // for the first time, and nothing of it is planned yet
    rml_planned *run;   // output frames that are read together, of which some are delivered
    int run_count, delivered;
    bool announced;
    rml_slot turn;
    // the caller's stage
    rml_outcome work;
    rml_track *tracks[RML_LIP_VOICES]; // of the face of each voice
    rml_resizer *crop_resizer;         // with --compat
    rml_face_cutter *cutter;           // otherwise
    rml_signature last_signature;
    rml_slot **pending; // wait for their box, in order; a ring of slot_count places
    int pending_first, pending_count;
    rml_mouth *mouth;
    rml_slot **group; // wait for the network
    int group_count;
    int64_t emitted;
    // paste and encode
    rml_outcome output;
    rml_result_mark *mark; // NULL: none
    rml_encoder *encoder;
    rml_resizer *paste_resizer; // with --compat
    rml_face_paster *paster;    // otherwise
    rml_frame patch;
    rml_shot still, canvas; // a still as it is coded, and with the face that was generated last
    rml_part drawn_parts[RML_LIP_VOICES]; // where they lie, as shown
    int drawn;                            // how many there are on the canvas
    bool doubted[RML_DOUBT_COUNT];        // of the frame written last
} rml_chain;

// Puts the names of pipes, as the user knows them, into the message of a failure.
rml_status rml_lipsync_explain(const rml_lipsync *job, rml_status status, rml_error *err);

// The next frame of the output; *out = NULL when there is none left. What is played backwards is
// read in runs that may need all slots, so it is announced by &c->turn, at which nothing may be
// kept waiting.
rml_status rml_decode_step(rml_chain *c, rml_slot **out, rml_error *err);

// Faces, batches and the network, over all that is decoded.
rml_status rml_work_through(rml_chain *c, rml_error *err);

// The face of a slot, whose box is known, as the network takes it.
rml_status rml_crop_step(rml_chain *c, rml_slot *s, rml_error *err);

// Pastes and encodes a frame, and gives its slot back.
rml_status rml_output_step(rml_chain *c, rml_slot *s, rml_error *err);

#endif
