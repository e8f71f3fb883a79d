#include "pipelines/lipsync/wav2lip_net.h"

#include "pipelines/lipsync/lipsync.h"
#include "tensor/status.h"

#include <math.h>
#include <string.h>

#define PLANE (RML_WAV2LIP_SIDE * RML_WAV2LIP_SIDE)
#define FACE_CHANNELS 6
#define CHUNK_COUNT (RML_MEL_BANDS * RML_MEL_CHUNK)
// Times computed along different ways differ by rounding; far less than a column.
#define TIME_SLACK 1e-6

static rml_shape audio_shape(int count)
{
    return (rml_shape){.rank = 4, .dim = {count, 1, RML_MEL_BANDS, RML_MEL_CHUNK}};
}

static rml_shape face_shape(int count)
{
    return (rml_shape){.rank = 4,
                       .dim = {count, FACE_CHANNELS, RML_WAV2LIP_SIDE, RML_WAV2LIP_SIDE}};
}

static rml_status prepare(rml_session *session, int count, rml_error *err)
{
    RML_TRY(rml_session_resize(session, "audio", audio_shape(count), err));
    RML_TRY(rml_session_resize(session, "face", face_shape(count), err));
    return rml_session_prepare(session, err);
}

static rml_status begin(rml_lip_net *net, const rml_lip_sound *sound, rml_error *err)
{
    rml_wav2lip_net *self = net->self;
    rml_shape shape;
    const int count = self->fixed ? self->fixed : 1;
    RML_TRY(prepare(self->session, count, err));
    if (!rml_session_output(self->session, "frames", &shape) || shape.rank != 4 ||
        shape.dim[1] != 3 || shape.dim[2] != RML_WAV2LIP_SIDE || shape.dim[3] != RML_WAV2LIP_SIDE)
        return rml_fail(err, RML_ERR_SHAPE,
                        "the network does not make frames of (N,3,%d,%d) as Wav2Lip does",
                        RML_WAV2LIP_SIDE, RML_WAV2LIP_SIDE);
    self->sound = *sound;
    self->columns = rml_speech_info_of(sound->speech)->columns;
    return RML_OK;
}

static rml_status listen(rml_lip_net *net, const rml_slot_plan *plan, float *chunk, rml_error *err)
{
    rml_wav2lip_net *self = net->self;
    const int64_t start =
        self->sound.compat
            ? rml_mel_chunk_start(self->columns, self->sound.fps, plan->index)
            : (int64_t)floor(plan->sound_seconds * RML_MEL_COLUMNS_PER_SECOND + TIME_SLACK);
    return rml_speech_chunk(self->sound.speech, start, chunk, err);
}

// Three planes of the face with its lower half black, then three planes of the whole face.
static void fill_face(float *face, const uint8_t *patch)
{
    // x / 255 rounded once; x * (1 / 255) would differ in the last bit for half of the values.
    float scaled[256];
    for (int i = 0; i < 256; i++)
        scaled[i] = (float)i / 255.0f;
    for (int c = 0; c < 3; c++) {
        float *masked = face + c * PLANE, *whole = face + (3 + c) * PLANE;
        for (int i = 0; i < PLANE; i++)
            whole[i] = scaled[patch[3 * i + c]];
        memcpy(masked, whole, PLANE / 2 * sizeof *masked);
        memset(masked + PLANE / 2, 0, PLANE / 2 * sizeof *masked);
    }
}

static bool read_patch(uint8_t *patch, const float *planes, bool round)
{
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < PLANE; i++) {
            float value = planes[c * PLANE + i];
            if (!isfinite(value))
                return false;
            patch[3 * i + c] = rml_lip_byte(value, round);
        }
    }
    return true;
}

// `room` faces in one run, of which the first `count` are there.
static rml_status run_once(rml_session *session, rml_lip_item *const *items, int count, int room,
                           bool round, rml_error *err)
{
    RML_TRY(prepare(session, room, err));
    float *audio = rml_session_input(session, "audio", NULL);
    float *face = rml_session_input(session, "face", NULL);
    for (int i = 0; i < count; i++) {
        memcpy(audio + (size_t)i * CHUNK_COUNT, items[i]->sound, CHUNK_COUNT * sizeof *audio);
        fill_face(face + (size_t)i * FACE_CHANNELS * PLANE, items[i]->patch);
    }
    const size_t more = (size_t)(room - count);
    memset(audio + (size_t)count * CHUNK_COUNT, 0, more * CHUNK_COUNT * sizeof *audio);
    memset(face + (size_t)count * FACE_CHANNELS * PLANE, 0,
           more * FACE_CHANNELS * PLANE * sizeof *face);
    RML_TRY(rml_session_run(session, err));
    rml_shape shape;
    const float *frames = rml_session_output(session, "frames", &shape);
    if (!frames || shape.rank != 4 || shape.dim[0] != room)
        return rml_fail(err, RML_ERR_SHAPE, "the network did not make a frame for each face");
    for (int i = 0; i < count; i++)
        if (!read_patch(items[i]->patch, frames + (size_t)i * 3 * PLANE, round))
            return rml_fail(
                err, RML_ERR_FORMAT,
                "the network gives numbers that are not finite: its weights are damaged");
    return RML_OK;
}

static rml_status run(rml_lip_net *net, rml_lip_item *const *items, int count, bool round,
                      rml_error *err)
{
    const rml_wav2lip_net *self = net->self;
    const int room = self->fixed ? self->fixed : count;
    for (int i = 0; i < count; i += room) {
        const int here = count - i < room ? count - i : room;
        RML_TRY(run_once(self->session, items + i, here, room, round, err));
    }
    return RML_OK;
}

// Of both inputs, the larger number that is fixed.
static int fixed_count(const rml_model *model)
{
    int64_t fixed = 0;
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        const rml_shape shape = rml_model_input(model, i).shape;
        if (shape.rank == 4 && shape.dim[0] > fixed && shape.dim[0] <= RML_LIPSYNC_MAX_BATCH)
            fixed = shape.dim[0];
    }
    return (int)fixed;
}

void rml_wav2lip_net_init(rml_wav2lip_net *net, const rml_model *model, rml_session *session)
{
    *net = (rml_wav2lip_net){
        .net = {.self = net,
                .side = RML_WAV2LIP_SIDE,
                .sound_count = CHUNK_COUNT,
                .begin = begin,
                .listen = listen,
                .run = run},
        .session = session,
        .fixed = fixed_count(model),
    };
}
