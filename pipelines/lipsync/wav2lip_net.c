#include "pipelines/lipsync/wav2lip_net.h"

#include "engine/session.h"
#include "pipelines/batches.h"
#include "pipelines/lipsync/lipsync.h"
#include "tensor/status.h"
#include "tensor/tensor.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#define USUAL_SIDE 96 // of files that leave it open
#define FACE_CHANNELS 6
#define SIGNED_MARGIN 8
#define CHUNK_COUNT (RML_MEL_BANDS * RML_MEL_CHUNK)
// Times computed along different ways differ by rounding; far less than a column.
#define TIME_SLACK 1e-6

static rml_shape audio_shape(int count)
{
    return (rml_shape){.rank = 4, .dim = {count, 1, RML_MEL_BANDS, RML_MEL_CHUNK}};
}

static size_t plane_of(const rml_wav2lip_net *self)
{
    return (size_t)self->net.side * (size_t)self->net.side;
}

static rml_status prepare(const rml_wav2lip_net *self, int count, rml_error *err)
{
    const rml_shape face = {4, {count, FACE_CHANNELS, self->net.side, self->net.side}};
    RML_TRY(rml_session_resize(self->session, "audio", audio_shape(count), err));
    RML_TRY(rml_session_resize(self->session, "face", face, err));
    return rml_session_prepare(self->session, err);
}

static rml_status begin(rml_lip_net *net, const rml_lip_sound *sound, rml_error *err)
{
    rml_wav2lip_net *self = net->self;
    rml_shape shape;
    const int count = self->fixed ? self->fixed : 1, side = net->side;
    RML_TRY(prepare(self, count, err));
    if (!rml_session_output(self->session, "frames", &shape) || shape.rank != 4 ||
        shape.dim[1] != 3 || shape.dim[2] != side || shape.dim[3] != side)
        return rml_fail(err, RML_ERR_SHAPE,
                        "the network does not make frames of (N,3,%d,%d) as Wav2Lip does", side,
                        side);
    self->sound = *sound;
    return RML_OK;
}

static rml_status listen(rml_lip_net *net, int voice, const rml_slot_plan *plan, float *chunk,
                         rml_error *err)
{
    rml_wav2lip_net *self = net->self;
    rml_speech *speech = self->sound.voices[voice].speech;
    const int64_t columns = rml_speech_info_of(speech)->columns;
    const int64_t start =
        self->sound.compat
            ? rml_mel_chunk_start(columns, self->sound.fps, plan->index)
            : (int64_t)floor(plan->sound_seconds * RML_MEL_COLUMNS_PER_SECOND + TIME_SLACK);
    return rml_speech_chunk(speech, start, chunk, err);
}

static rml_status hear_silence(rml_lip_net *net, float *chunk, rml_error *err)
{
    (void)net;
    (void)err;
    for (int i = 0; i < CHUNK_COUNT; i++)
        chunk[i] = RML_MEL_SILENCE;
    return RML_OK;
}

// Three planes of the face with its lower half black, but for the margin, then three planes of the
// whole face.
static void fill_face(const rml_wav2lip_net *self, float *face, const uint8_t *patch)
{
    const size_t plane = plane_of(self), side = (size_t)self->net.side;
    const size_t margin = (size_t)self->margin;
    // Divided, and so rounded once: x * (1 / 255) would differ in the last bit for half of them.
    float scaled[256];
    for (int i = 0; i < 256; i++)
        scaled[i] = ((float)i - self->mean) / self->deviation;
    for (size_t c = 0; c < 3; c++) {
        float *masked = face + c * plane, *whole = face + (3 + c) * plane;
        for (size_t i = 0; i < plane; i++)
            whole[i] = scaled[patch[3 * i + c]];
        memcpy(masked, whole, plane * sizeof *masked);
        for (size_t y = side / 2; y < side - margin; y++)
            for (size_t x = margin; x < side - margin; x++)
                masked[y * side + x] = scaled[0];
    }
}

static void read_patch(const rml_wav2lip_net *self, uint8_t *patch, const rml_part *seen,
                       const float *planes, bool round)
{
    const size_t side = (size_t)self->net.side, plane = plane_of(self);
    for (size_t c = 0; c < 3; c++)
        for (size_t y = (size_t)seen->y; y < (size_t)(seen->y + seen->height); y++)
            for (size_t x = (size_t)seen->x; x < (size_t)(seen->x + seen->width); x++) {
                const size_t i = y * side + x;
                patch[3 * i + c] =
                    rml_lip_byte(planes[c * plane + i] * self->deviation + self->mean, round);
            }
}

// What is seen of any of the faces.
static rml_region seen_of(rml_lip_item *const *items, int count)
{
    rml_region all = {{{INT_MAX, 0}, {INT_MAX, 0}}};
    for (int i = 0; i < count; i++) {
        const rml_part *seen = &items[i]->seen;
        const rml_region one = {
            {{seen->y, seen->y + seen->height}, {seen->x, seen->x + seen->width}}};
        for (int k = 0; k < RML_AXES; k++) {
            rml_range *range = &all.axis[k];
            range->low = one.axis[k].low < range->low ? one.axis[k].low : range->low;
            range->high = one.axis[k].high > range->high ? one.axis[k].high : range->high;
        }
    }
    return all;
}

static rml_status check_plane(const float *plane, int side, const rml_region *seen, rml_error *err)
{
    const rml_range rows = seen->axis[RML_ROWS], columns = seen->axis[RML_COLUMNS];
    for (int64_t y = rows.low; y < rows.high; y++)
        RML_TRY(rml_check_finite(plane + y * side + columns.low,
                                 (size_t)(columns.high - columns.low), err));
    return RML_OK;
}

// `room` faces in one run, of which the first `count` are there.
static rml_status run_once(const rml_wav2lip_net *self, rml_lip_item *const *items, int count,
                           int room, bool round, rml_error *err)
{
    rml_session *session = self->session;
    const size_t plane = plane_of(self);
    RML_TRY(prepare(self, room, err));
    float *audio = rml_session_input(session, "audio", NULL);
    float *face = rml_session_input(session, "face", NULL);
    for (int i = 0; i < count; i++) {
        memcpy(audio + (size_t)i * CHUNK_COUNT, items[i]->sound, CHUNK_COUNT * sizeof *audio);
        fill_face(self, face + (size_t)i * FACE_CHANNELS * plane, items[i]->patch);
    }
    const size_t more = (size_t)(room - count);
    memset(audio + (size_t)count * CHUNK_COUNT, 0, more * CHUNK_COUNT * sizeof *audio);
    memset(face + (size_t)count * FACE_CHANNELS * plane, 0,
           more * FACE_CHANNELS * plane * sizeof *face);
    const rml_region seen = seen_of(items, count);
    rml_session_crop(session, self->frames, self->whole ? NULL : &seen);
    RML_TRY(rml_session_run(session, err));
    rml_shape shape;
    const float *frames = rml_session_output(session, "frames", &shape);
    if (!frames || shape.rank != 4 || shape.dim[0] != room)
        return rml_fail(err, RML_ERR_SHAPE, "the network did not make a frame for each face");
    for (size_t i = 0; i < 3 * (size_t)count; i++)
        RML_TRY(check_plane(frames + i * plane, self->net.side, &seen, err));
    for (int i = 0; i < count; i++)
        read_patch(self, items[i]->patch, &items[i]->seen, frames + (size_t)i * 3 * plane, round);
    return RML_OK;
}

static rml_status run(rml_lip_net *net, rml_lip_item *const *items, int count, bool round,
                      rml_error *err)
{
    const rml_wav2lip_net *self = net->self;
    const int room = self->fixed ? self->fixed : count;
    for (int i = 0; i < count; i += room) {
        const int here = count - i < room ? count - i : room;
        RML_TRY(run_once(self, items + i, here, room, round, err));
    }
    return RML_OK;
}

// The side of the faces that the network takes.
static rml_status find_side(int *side, const rml_model *model, rml_error *err)
{
    const size_t face = rml_model_find_input(model, "face");
    const rml_shape shape =
        face == RML_NO_PORT ? (rml_shape){0} : rml_model_input(model, face).shape;
    char text[RML_SHAPE_TEXT_BYTES];
    *side = USUAL_SIDE;
    if (shape.rank != 4 || shape.dim[2] < 0 || shape.dim[3] < 0)
        return RML_OK;
    if (shape.dim[2] != shape.dim[3] || shape.dim[2] % 2 || shape.dim[2] < 4 * SIGNED_MARGIN ||
        shape.dim[2] > RML_FRAME_MAX_SIDE)
        return rml_fail(err, RML_ERR_SHAPE, "the network takes faces of %s, and not (N,6,S,S)",
                        rml_shape_text(&shape, text));
    *side = (int)shape.dim[2];
    return RML_OK;
}

// What levels are to the network. Where pictures are [-1,1], training leaves a margin of the lower
// half to see.
static rml_status find_levels(rml_wav2lip_net *net, const rml_model *model, rml_error *err)
{
    const size_t frames = rml_model_find_output(model, "frames");
    const rml_port port = frames == RML_NO_PORT ? (rml_port){0} : rml_model_output(model, frames);
    net->deviation = 255;
    if (port.meaning && port.meaning->kind == RML_MEANS_IMAGE) {
        net->mean = port.meaning->mean[0];
        net->deviation = port.meaning->deviation[0];
    } else if (port.shape.rank == 4) {
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "the network ends in tanh, and nothing tells whether its pictures are "
                        "[0,1] or [-1,1]: say it with --checkpoint_config '{\"pictures\": "
                        "\"unit\"}' or '{\"pictures\": \"signed\"}'");
    }
    net->margin = net->mean != 0 ? SIGNED_MARGIN : 0;
    return RML_OK;
}

rml_status rml_wav2lip_net_init(rml_wav2lip_net *net, const rml_model *model, rml_session *session,
                                rml_error *err)
{
    *net = (rml_wav2lip_net){
        .net = {.self = net,
                .sound_count = CHUNK_COUNT,
                .begin = begin,
                .listen = listen,
                .hear_silence = hear_silence,
                .run = run},
        .session = session,
        .fixed = rml_fixed_batch(model, RML_LIPSYNC_MAX_BATCH),
    };
    net->frames = rml_model_find_output(model, "frames");
    RML_TRY(find_side(&net->net.side, model, err));
    return find_levels(net, model, err);
}
