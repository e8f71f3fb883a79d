// Which output frames a source frame becomes, when each is shown and which moment of the sound it
// goes with. Arithmetic only.
//
// The length of the clip is not known before its end has been decoded, and the times of a
// variable-rate file not before each frame has been, so frames are asked for one after the other.
#ifndef RML_PIPELINES_LIPSYNC_SCHEDULE_H
#define RML_PIPELINES_LIPSYNC_SCHEDULE_H

#include "media/image/frame.h"

typedef enum rml_repeat {
    RML_REPEAT_PING_PONG = 0, // 0 1 2 3 2 1 0 1 ...: no jump; each end is shown once
    RML_REPEAT_CYCLIC,        // 0 1 2 3 0 1 ...
    RML_REPEAT_STILL,         // 0 0 0 ...
    RML_REPEAT_DOUBLED        // 0 1 2 3 3 2 1 0 0 1 ...: the clip and itself backwards, in a circle
} rml_repeat;

// Source frame of output frame `index` in a clip of `count` frames (0: not known yet, so long
// enough).
int64_t rml_repeat_source(rml_repeat repeat, int64_t count, int64_t index);

typedef struct rml_schedule_settings {
    bool compat;             // upstream's rule for count and times: a frame for each source frame
    bool constant_rate;      // output frames are numbered: all last 1 / frame_rate
    rml_rational frame_rate; // a second; of it the length of a frame that has no successor
    rml_rational time_base;  // of the source's pts
    double audio_seconds;
    int64_t chunks;        // how many frames upstream makes of the sound; for compat only
    double offset_seconds; // the lips lag the sound by this; compat ignores it
    double lead_seconds;   // the sound begins so much before the first frame, which is shown from
                           // then on; below 0: so much of the clip is left out. Not with compat
} rml_schedule_settings;

typedef struct rml_schedule {
    rml_schedule_settings settings;
    rml_rational time_base; // of the output: fine enough for the frame rate and the source's times
    int64_t frame_ticks;    // 1 / frame_rate in this time base
    int64_t total;          // output frames: exact for a constant rate, else an estimate
    bool snap;              // the source's times are too coarse for its own frame rate
    bool done;              // the output is as long as it should be
    int64_t count;          // output frames so far
    int64_t lead;           // of which so much is still to come
    int64_t start, end;     // of the source frame that is shown
    int64_t next;           // when its next output frame begins
} rml_schedule;

typedef struct rml_slot_plan {
    int64_t index;        // of the output frame
    int64_t pts;          // in schedule->time_base
    double sound_seconds; // what is heard then; may lie before the beginning or past the end
} rml_slot_plan;

// RML_ERR_ARG for a frame rate that is not positive, or audio that gives no frame.
rml_status rml_schedule_init(rml_schedule *schedule, const rml_schedule_settings *settings,
                             rml_error *err);

// What is played next is a source frame that its file shows from `pts` to `end_pts`.
//
// It lasts as long in the output, whichever way the clip is played. Where that is longer than two
// frames (and a quarter, for clocks that jitter), output frames follow one another at 1 /
// frame_rate, because the mouth moves on. A frame belongs to the output when at least half of it
// lies inside the sound, so that picture and sound end within half a frame. With a constant rate
// each output frame shows what the source shows nearest to its time, so that source frames may
// give no output frame at all.
void rml_schedule_show(rml_schedule *schedule, int64_t pts, int64_t end_pts);

// The next output frame of the source frame shown; false when there is no more.
bool rml_schedule_next(rml_schedule *schedule, rml_slot_plan *plan);

// A fraction for a rate typed by a user: 29.97 -> 2997/100.
rml_rational rml_rate_from_double(double fps);

#endif
