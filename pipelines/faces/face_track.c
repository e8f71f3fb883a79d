// Smoothing, default: the mean over up to two frames before and two after, always as many before as
// after, so that a moving face is not dragged behind; never across a scene cut, a jump of the box
// or a frame without a face.
//
// Smoothing, compat: upstream replaces box i by the mean of boxes i..i+4, in place, in integers;
// for the last ones the window is the last five, of which the earlier ones are smoothed already.
// With fewer than five boxes its slice starts at a negative index, counted from the end.
#include "pipelines/faces/face_track.h"

#include "tensor/alloc.h"

#include <string.h>

#define COMPAT_WINDOW 5
#define DEFAULT_RADIUS 2
// Two boxes of one face in neighbouring frames overlap far more than this even in fast motion.
#define JUMP_OVERLAP 0.3
// Less than this is told: a third of the width, or a side 1.4 times as long.
#define DOUBTFUL_OVERLAP 0.5
// A box that overlaps its neighbours' mean by less, while they overlap each other by more than the
// second, is a mistake of the detector (blur, a hand): no head goes there and back so fast.
#define OUTLIER_OVERLAP 0.7
#define NEIGHBOUR_OVERLAP 0.8
// Faces that do not fit are faded from and to over so many frames.
#define FADE_FRAMES 3

typedef struct {
    rml_face raw;
    rml_face steady; // raw, or between its neighbours where it is an outlier
    rml_box padded;  // clamped to the frame; compat smooths it in place
    rml_box final;
    int radius;       // as many frames before and after are mixed into the final box
    bool starts_shot; // nothing before this frame may be mixed in
    bool cut;         // it does so in any case
    bool jumps;
    rml_face_fit fit;
} track_frame;

struct rml_track {
    const rml_allocator *allocator;
    rml_track_settings settings;
    track_frame *frames;
    size_t capacity;
    int64_t count, ready; // of boxes
    int64_t pushed;       // the same without those that doubling added
    bool shot_ended;      // the next frame starts one
    bool finished;
};

rml_status rml_track_create(rml_track **out, const rml_track_settings *settings,
                            const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_track *track;
    RML_TRY(rml_make(allocator, &track, 1, sizeof *track, "the face track", err));
    track->allocator = allocator;
    track->settings = *settings;
    *out = track;
    return RML_OK;
}

void rml_track_destroy(rml_track **track)
{
    if (!*track)
        return;
    rml_free((*track)->allocator, (*track)->frames);
    rml_free((*track)->allocator, *track);
    *track = NULL;
}

static int saturated(int64_t value, int low, int high)
{
    return value < low ? low : value > high ? high : (int)value;
}

static rml_box pad(const rml_track_settings *s, rml_box box)
{
    // Only the side that may grow outwards is clamped, as upstream does; the other cannot leave the
    // frame unless a padding is negative, and then the box is found empty below.
    return (rml_box){
        .x1 = saturated((int64_t)box.x1 - s->left, 0, INT32_MAX),
        .y1 = saturated((int64_t)box.y1 - s->top, 0, INT32_MAX),
        .x2 = saturated((int64_t)box.x2 + s->right, INT32_MIN, s->width),
        .y2 = saturated((int64_t)box.y2 + s->bottom, INT32_MIN, s->height),
    };
}

static bool has_face(const track_frame *frame)
{
    return frame->raw.source != RML_FACE_NONE;
}

// Mean of boxes begin..end-1, padded or as they were found, each number cut (compat) or rounded to
// a whole one.
static rml_box mean_box(const rml_track *track, int64_t begin, int64_t end, bool padded)
{
    int64_t sum[4] = {0}, n = end - begin;
    for (int64_t i = begin; i < end; i++) {
        const rml_box *b = padded ? &track->frames[i].padded : &track->frames[i].steady.box;
        sum[0] += b->x1;
        sum[1] += b->y1;
        sum[2] += b->x2;
        sum[3] += b->y2;
    }
    int64_t half = track->settings.compat ? 0 : n / 2;
    return (rml_box){(int)((sum[0] + half) / n), (int)((sum[1] + half) / n),
                     (int)((sum[2] + half) / n), (int)((sum[3] + half) / n)};
}

static void settle_compat(rml_track *track, int64_t index)
{
    int64_t n = track->count;
    int64_t begin = index, end = index + COMPAT_WINDOW;
    if (end > n) {
        begin = n - COMPAT_WINDOW;
        if (begin < 0)
            begin = begin + n > 0 ? begin + n : 0;
        end = n;
    }
    track->frames[index].padded = mean_box(track, begin, end, true);
    track->frames[index].final = track->frames[index].padded;
}

static void settle_default(rml_track *track, int64_t index)
{
    int64_t radius = 0;
    while (radius < DEFAULT_RADIUS) {
        int64_t before = index - radius - 1, after = index + radius + 1;
        if (before < 0 || after >= track->count || track->frames[before + 1].starts_shot ||
            track->frames[after].starts_shot || !has_face(&track->frames[before]) ||
            !has_face(&track->frames[after]))
            break;
        radius++;
    }
    track->frames[index].radius = (int)radius;
    track->frames[index].final = mean_box(track, index - radius, index + radius + 1, true);
}

static void settle(rml_track *track)
{
    const rml_track_settings *s = &track->settings;
    // Of all frames that are mixed it is known whether they are outliers: one more.
    int64_t ahead = s->compat ? COMPAT_WINDOW - 1 : DEFAULT_RADIUS + 1;
    if (!s->smooth)
        ahead = s->any_fit || s->compat ? 0 : FADE_FRAMES;
    while (track->ready < track->count &&
           (track->finished || track->shot_ended || track->ready + ahead < track->count)) {
        track_frame *frame = &track->frames[track->ready];
        if (!has_face(frame) || !s->smooth)
            frame->final = frame->padded;
        else if (s->compat)
            settle_compat(track, track->ready);
        else
            settle_default(track, track->ready);
        track->ready++;
    }
}

// Whether frame `index` goes on with the shot of frame `before`.
static void compare(rml_track *track, int64_t index, int64_t before)
{
    track_frame *frame = &track->frames[index];
    const double overlap =
        before >= 0 && has_face(&track->frames[before])
            ? rml_box_overlap(track->frames[before].steady.box, frame->steady.box)
            : 1;
    frame->starts_shot = frame->cut || overlap < JUMP_OVERLAP;
    frame->jumps = !frame->cut && overlap < DOUBTFUL_OVERLAP;
}

static void judge(const rml_track *track, track_frame *frame)
{
    const rml_track_settings *s = &track->settings;
    const bool goes_on = frame > track->frames && !frame->starts_shot;
    if (!s->any_fit && !s->compat)
        frame->fit = rml_face_fit_of(&frame->steady, s->width, s->height,
                                     goes_on ? frame[-1].fit : RML_FACE_FITS);
}

static int middle(int a, int b)
{
    return (int)(((int64_t)a + b) / 2);
}

// The frame before the last lies between its neighbours, if these agree and it does not.
static void mend_outlier(rml_track *track)
{
    const int64_t last = track->count;
    if (last < 2)
        return;
    track_frame *frame = &track->frames[last - 1];
    const rml_face *a = &frame[-1].steady, *b = &frame[1].steady;
    if (frame->cut || frame[1].cut || !has_face(frame) || !has_face(&frame[-1]) ||
        frame->raw.source != RML_FACE_DETECTED ||
        rml_box_overlap(a->box, b->box) < NEIGHBOUR_OVERLAP)
        return;
    const rml_box between = {middle(a->box.x1, b->box.x1), middle(a->box.y1, b->box.y1),
                             middle(a->box.x2, b->box.x2), middle(a->box.y2, b->box.y2)};
    if (rml_box_overlap(between, frame->raw.box) >= OUTLIER_OVERLAP)
        return;
    frame->steady.box = between;
    frame->steady.has_marks = a->has_marks && b->has_marks;
    for (int i = 0; i < RML_FACE_MARKS; i++)
        for (int axis = 0; axis < 2; axis++)
            frame->steady.marks[i][axis] = (a->marks[i][axis] + b->marks[i][axis]) / 2;
    frame->padded = pad(&track->settings, between);
    compare(track, last - 1, last - 2);
    compare(track, last, last - 1);
    judge(track, frame);
}

static rml_status append(rml_track *track, const rml_face *face, bool cut, rml_error *err)
{
    RML_TRY(rml_reserve(track->allocator, &track->frames, &track->capacity,
                        (size_t)track->count + 1, sizeof *track->frames, "the face boxes", err));
    track_frame *frame = &track->frames[track->count];
    memset(frame, 0, sizeof *frame);
    frame->raw = *face;
    if (has_face(frame)) {
        frame->padded = pad(&track->settings, face->box);
        rml_box b = frame->padded;
        if (b.x1 >= b.x2 || b.y1 >= b.y2)
            return rml_fail(err, RML_ERR_ARG,
                            "frame %lld: nothing is left of the face box (%d,%d)-(%d,%d) after the "
                            "padding",
                            (long long)track->count, face->box.x1, face->box.y1, face->box.x2,
                            face->box.y2);
        frame->steady = *face;
        frame->cut = cut || track->shot_ended;
        compare(track, track->count, track->count - 1);
        if (!track->settings.compat && track->settings.smooth)
            mend_outlier(track);
        judge(track, frame);
    }
    track->shot_ended = false;
    track->count++;
    return RML_OK;
}

rml_status rml_track_push(rml_track *track, const rml_face *face, bool cut, rml_error *err)
{
    RML_TRY(append(track, face, cut, err));
    track->pushed++;
    settle(track);
    return RML_OK;
}

void rml_track_end_shot(rml_track *track)
{
    track->shot_ended = true;
    settle(track);
}

rml_status rml_track_finish(rml_track *track, rml_error *err)
{
    if (track->finished)
        return RML_OK;
    // The raw box: those before were smoothed in place.
    for (int64_t i = track->pushed; track->settings.doubled && i > 0; i--) {
        const rml_face face = track->frames[i - 1].raw;
        RML_TRY(append(track, &face, false, err));
    }
    track->finished = true;
    settle(track);
    return RML_OK;
}

int64_t rml_track_count(const rml_track *track)
{
    return track->pushed;
}

int64_t rml_track_ready(const rml_track *track)
{
    return track->ready;
}

const rml_face *rml_track_raw(const rml_track *track, int64_t index)
{
    return &track->frames[index].raw;
}

rml_box rml_track_box(const rml_track *track, int64_t index)
{
    return track->frames[index].final;
}

bool rml_track_jumps(const rml_track *track, int64_t index)
{
    return track->frames[index].jumps;
}

rml_face_fit rml_track_fit(const rml_track *track, int64_t index)
{
    return track->frames[index].fit;
}

float rml_track_share(const rml_track *track, int64_t index)
{
    const track_frame *frames = track->frames;
    if (frames[index].fit != RML_FACE_FITS)
        return 0;
    int64_t nearest = FADE_FRAMES + 1;
    for (int64_t i = 1; i < nearest && index >= i && !frames[index - i + 1].starts_shot; i++)
        if (frames[index - i].fit != RML_FACE_FITS)
            nearest = i;
    for (int64_t i = 1; i < nearest && index + i < track->count && !frames[index + i].starts_shot;
         i++)
        if (frames[index + i].fit != RML_FACE_FITS)
            nearest = i;
    return (float)nearest / (FADE_FRAMES + 1);
}

bool rml_track_marks(const rml_track *track, int64_t index, float marks[RML_FACE_MARKS][2])
{
    const int radius = track->frames[index].radius;
    memset(marks, 0, sizeof(float[RML_FACE_MARKS][2]));
    if (track->settings.compat)
        return false;
    for (int64_t i = index - radius; i <= index + radius; i++) {
        const rml_face *face = &track->frames[i].steady;
        if (!face->has_marks)
            return false;
        for (int k = 0; k < RML_FACE_MARKS; k++)
            for (int axis = 0; axis < 2; axis++)
                marks[k][axis] += face->marks[k][axis] / (float)(2 * radius + 1);
    }
    return true;
}

rml_box rml_track_found(const rml_track *track, int64_t index)
{
    const int radius = track->frames[index].radius;
    return mean_box(track, index - radius, index + radius + 1, false);
}
