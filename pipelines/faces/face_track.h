// Face boxes along a clip: padding, clamping and smoothing, one source frame at a time.
//
// Boxes are kept for every source frame (they are small, and a repeated clip needs them again);
// pictures never are. The final box of a frame is known after a bounded number of later frames.
#ifndef RML_PIPELINES_FACES_FACE_TRACK_H
#define RML_PIPELINES_FACES_FACE_TRACK_H

#include "runmodel.h"
#include "media/image/planes.h"
#include "pipelines/faces/face_box.h"
#include "pipelines/faces/face_fit.h"

// More than this many later frames are never needed to know a box.
#define RML_TRACK_LOOK_AHEAD 4

typedef struct rml_track_settings {
    int width, height;            // of the frames
    int top, bottom, left, right; // added around every box
    bool smooth;
    bool compat;  // upstream's smoothing
    bool any_fit; // faces into which no mouth can be put count as those that can
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

// Why no mouth can be put into the face, as it was found; index < ready.
rml_face_fit rml_track_fit(const rml_track *track, int64_t index);

// How much of a new mouth the frame may show, 0..1: 0 where the face does not fit, rising over the
// frames before and after, though not across the end of a shot; index < ready.
float rml_track_share(const rml_track *track, int64_t index);

#endif
