// Face boxes along a clip: padding, clamping and smoothing, one source frame at a time.
//
// Boxes are kept for every source frame (they are small, and a repeated clip needs them again);
// pictures never are. The final box of a frame is known after a bounded number of later frames.
#ifndef RML_PIPELINES_FACES_FACE_TRACK_H
#define RML_PIPELINES_FACES_FACE_TRACK_H

#include "runmodel.h"
#include "media/image/planes.h"

// Pixels x1 <= x < x2, y1 <= y < y2.
typedef struct rml_box {
    int x1, y1, x2, y2;
} rml_box;

typedef enum rml_face_source {
    RML_FACE_NONE = 0, // looked for, and none was found
    RML_FACE_DETECTED, // by a network
    RML_FACE_BY_HAND   // given by the user
} rml_face_source;

const char *rml_face_source_name(rml_face_source source); // "none", "detected", "by hand"

#define RML_FACE_MARKS 5

typedef struct rml_face {
    rml_box box; // all zero for RML_FACE_NONE
    float score; // 0..1
    rml_face_source source;
    double seconds; // when the source shows this frame
    // x and y in pixels of the frame: the eye on the left of the picture, the other one, the tip of
    // the nose, the left and the right end of the mouth.
    bool has_marks;
    float marks[RML_FACE_MARKS][2];
} rml_face;

// More than this many later frames are never needed to know a box.
#define RML_TRACK_LOOK_AHEAD 4

typedef struct rml_track_settings {
    int width, height;            // of the frames
    int top, bottom, left, right; // added around every box
    bool smooth;
    bool compat;  // upstream's smoothing
    bool doubled; // frames are followed by themselves backwards: when the end is known, as many
                  // boxes again come behind those pushed, and are smoothed with them
} rml_track_settings;

typedef struct rml_track rml_track;

rml_status rml_track_create(rml_track **out, const rml_track_settings *settings,
                            const rml_allocator *allocator, rml_error *err);
void rml_track_destroy(rml_track **track);

// Adds what was found in the next source frame. `cut`: the picture changed at once between the
// frame before and this one. RML_ERR_ARG when nothing is left of the box after padding.
rml_status rml_track_push(rml_track *track, const rml_face *face, bool cut, rml_error *err);

// The box of every frame pushed becomes final, and is not mixed with those that come.
void rml_track_end_shot(rml_track *track);

// No more source frames will come; every box becomes final. May be called again.
rml_status rml_track_finish(rml_track *track, rml_error *err);

int64_t rml_track_count(const rml_track *track); // frames pushed
int64_t rml_track_ready(const rml_track *track); // boxes 0 .. ready-1 are final

// As pushed, and the final box (padded, clamped, smoothed); index < ready, which with `doubled`
// comes to twice the count.
const rml_face *rml_track_raw(const rml_track *track, int64_t index);
rml_box rml_track_box(const rml_track *track, int64_t index);

// Whether the box pushed at `index` < ready lies elsewhere than that of the frame before, or is of
// another size, though no picture was cut there. False where either has no face.
bool rml_track_jumps(const rml_track *track, int64_t index);

// The final marks, smoothed over the frames that the box is; index < ready. False when one of these
// has none, and with `compat`.
bool rml_track_marks(const rml_track *track, int64_t index, float marks[RML_FACE_MARKS][2]);

// The final box without the padding and the clamping.
rml_box rml_track_found(const rml_track *track, int64_t index);

// Intersection over union of two boxes, 0..1.
double rml_box_overlap(rml_box a, rml_box b);

// A scene cut is told from motion by comparing small grey versions of neighbouring pictures.

#define RML_SIGNATURE_SIDE 16

// Mean brightness of each field of a grid over the picture as coded, 0..255.
typedef struct rml_signature {
    uint8_t field[RML_SIGNATURE_SIDE * RML_SIGNATURE_SIDE];
} rml_signature;

void rml_signature_make(rml_signature *signature, const rml_planes *picture);

// True when the pictures differ by more than motion does.
bool rml_signature_is_cut(const rml_signature *before, const rml_signature *after);

#endif
