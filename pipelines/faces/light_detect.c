
#include "pipelines/faces/light_detector.h"
#include "tensor/status.h"

#include <math.h>
#include <string.h>

#define STEP 32 // YuNet's coarsest stride, of which its input's sides are multiples
#define YUNET_SCORE 0.6f
#define ULFD_SCORE 0.7f
#define MOST_FACES 64
#define CORNER_LIMIT 1e6f

static const int look_sides[RML_LIGHT_LOOKS] = {480, 960, 160};

// ---- opening ----------------------------------------------------------------------------------

rml_status rml_light_detector_init(rml_light_detector *d, rml_model *model, bool yunet,
                                   const rml_session_settings *settings, rml_error *err)
{
    *d = (rml_light_detector){.allocator = settings->allocator ? settings->allocator
                                                               : rml_allocator_default(),
                              .model = model,
                              .settings = *settings,
                              .yunet = yunet};
    const rml_port in = rml_model_input(model, 0);
    const int64_t *dim = in.shape.dim;
    if (rml_model_input_count(model) != 1 || in.dtype != RML_F32 || in.shape.rank != 4 ||
        dim[1] != 3 || dim[0] == 0 || dim[0] > 1 || (dim[2] > 0) != (dim[3] > 0))
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "the face detector's input would have to be f32 and (1,3,height,width)");
    if (dim[2] > RML_FRAME_MAX_SIDE || dim[3] > RML_FRAME_MAX_SIDE)
        return rml_fail(err, RML_ERR_LIMIT, "the face detector's input is larger than %d a side",
                        RML_FRAME_MAX_SIDE);
    d->input = in.name;
    d->fixed_width = dim[3] > 0 ? (int)dim[3] : 0;
    d->fixed_height = dim[2] > 0 ? (int)dim[2] : 0;
    for (int i = 0; i < RML_LIGHT_LOOKS; i++)
        d->looks[i].side = look_sides[i];
    RML_TRY(rml_resizer_create(&d->resizer, d->allocator, err));
    return rml_session_create(&d->looks[0].session, model, settings, err);
}

void rml_light_detector_release(rml_light_detector *d)
{
    for (int i = 0; i < RML_LIGHT_LOOKS; i++)
        rml_session_destroy(&d->looks[i].session);
    rml_resizer_destroy(&d->resizer);
    rml_frame_release(&d->scaled);
    *d = (rml_light_detector){0};
}

// ---- what the network sees --------------------------------------------------------------------

static int up_to_step(int side)
{
    return (side + STEP - 1) / STEP * STEP;
}

// Plans for pictures of this size, which lie in the upper left corner of the input.
static rml_status prepare(rml_light_detector *d, rml_light_look *look, int width, int height,
                          rml_error *err)
{
    const int w = d->fixed_width ? d->fixed_width : up_to_step(width);
    const int h = d->fixed_height ? d->fixed_height : up_to_step(height);
    if (!look->session)
        RML_TRY(rml_session_create(&look->session, d->model, &d->settings, err));
    if (look->width == w && look->height == h)
        return rml_session_prepare(look->session, err); // its memory may be shared
    RML_TRY(rml_session_resize(look->session, d->input, (rml_shape){4, {1, 3, h, w}}, err));
    RML_TRY(rml_session_prepare(look->session, err));
    look->width = w;
    look->height = h;
    return RML_OK;
}

// YuNet takes B, G, R as they are, the other R, G, B around 0. What is beside the picture is 0
// levels, as OpenCV fills it.
static void fill(const rml_light_detector *d, const rml_light_look *look, const rml_frame *frame)
{
    const bool yunet = d->yunet;
    const float mean = yunet ? 0 : 127, scale = yunet ? 1 : 1 / 128.0f;
    float *to = rml_session_input(look->session, d->input, NULL);
    for (int plane = 0; plane < 3; plane++) {
        const int c = yunet ? plane : 2 - plane;
        for (int y = 0; y < look->height; y++) {
            const uint8_t *row = frame->data + (size_t)y * frame->pitch;
            int x = 0;
            for (; y < frame->height && x < frame->width; x++)
                *to++ = ((float)row[3 * x + c] - mean) * scale;
            for (; x < look->width; x++)
                *to++ = -mean * scale;
        }
    }
}

// The picture at the look's size, and the factor back to its own.
static rml_status scale_down(rml_light_detector *d, const rml_light_look *look,
                             const rml_frame *frame, const rml_frame **out, double *back,
                             rml_error *err)
{
    const double w = frame->width, h = frame->height;
    const double most_w = d->fixed_width ? d->fixed_width : look->side;
    const double most_h = d->fixed_height ? d->fixed_height : look->side;
    *back = fmax(1, fmax(w / most_w, h / most_h));
    *out = frame;
    if (*back == 1)
        return RML_OK;
    const int width = (int)fmax(1, floor(w / *back)), height = (int)fmax(1, floor(h / *back));
    RML_TRY(rml_frame_reserve(&d->scaled, width, height, d->allocator, err));
    const rml_pixels src = {frame->data, frame->pitch, frame->width, frame->height};
    const rml_pixels_out dst = {d->scaled.data, d->scaled.pitch, width, height};
    RML_TRY(rml_resize_opencv(d->resizer, src, dst, RML_FRAME_CHANNELS, err));
    *out = &d->scaled;
    return RML_OK;
}

// ---- what it tells ----------------------------------------------------------------------------

// An output of `need` numbers, whatever the shape around them.
static rml_status output(const rml_light_look *look, const char *name, size_t need,
                         const float **out, rml_error *err)
{
    rml_shape shape;
    *out = rml_session_output(look->session, name, &shape);
    size_t count = 1;
    for (int i = 0; *out && i < shape.rank; i++)
        count *= (size_t)shape.dim[i];
    if (!*out || count != need)
        return rml_fail(err, RML_ERR_SHAPE,
                        "the face detector has no output %s of %zu numbers for %dx%d pixels", name,
                        need, look->width, look->height);
    return RML_OK;
}

static rml_status decode_yunet(const rml_light_detector *d, const rml_light_look *look,
                               rml_light_face *faces, int capacity, int *count, rml_error *err)
{
    static const char *const names[RML_YUNET_LEVELS][4] = {
        {"cls_8", "obj_8", "bbox_8", "kps_8"},
        {"cls_16", "obj_16", "bbox_16", "kps_16"},
        {"cls_32", "obj_32", "bbox_32", "kps_32"}};
    rml_yunet_level levels[RML_YUNET_LEVELS];
    for (int i = 0; i < RML_YUNET_LEVELS; i++) {
        rml_yunet_level *l = &levels[i];
        l->rows = look->height / (8 << i);
        l->columns = look->width / (8 << i);
        const size_t cells = (size_t)l->rows * (size_t)l->columns;
        RML_TRY(output(look, names[i][0], cells, &l->cls, err));
        RML_TRY(output(look, names[i][1], cells, &l->obj, err));
        RML_TRY(output(look, names[i][2], 4 * cells, &l->box, err));
        RML_TRY(output(look, names[i][3], 2 * RML_FACE_MARKS * cells, &l->marks, err));
    }
    return rml_yunet_decode(levels, YUNET_SCORE, faces, capacity, count, d->allocator, err);
}

static rml_status decode_ulfd(const rml_light_detector *d, const rml_light_look *look,
                              rml_light_face *faces, int capacity, int *count, rml_error *err)
{
    const float *scores, *corners;
    rml_shape shape;
    if (!rml_session_output(look->session, "scores", &shape) || shape.rank != 3 ||
        shape.dim[0] != 1 || shape.dim[2] != 2 || shape.dim[1] > INT32_MAX)
        return rml_fail(err, RML_ERR_SHAPE, "the face detector's scores are not (1,boxes,2)");
    const size_t boxes = (size_t)shape.dim[1];
    RML_TRY(output(look, "scores", 2 * boxes, &scores, err));
    RML_TRY(output(look, "boxes", 4 * boxes, &corners, err));
    return rml_ulfd_decode(scores, corners, (int)boxes, look->width, look->height, ULFD_SCORE,
                           faces, capacity, count, d->allocator, err);
}

static int corner(double value)
{
    return (int)lrint(value < 0 ? 0 : value > CORNER_LIMIT ? CORNER_LIMIT : value);
}

// Whole sixteenths of a pixel, which no detector is as good as: a file of faces keeps them short,
// and exactly.
static float mark(double value)
{
    return (float)(rint(value * 16) / 16);
}

static rml_face to_face(const rml_light_face *f, double back, bool with_marks)
{
    const double x = f->x, y = f->y;
    rml_face face = {.box = {corner(x * back), corner(y * back), corner((x + f->width) * back),
                             corner((y + f->height) * back)},
                     .score = f->score,
                     .source = RML_FACE_DETECTED,
                     .has_marks = with_marks};
    for (int i = 0; i < RML_FACE_MARKS && with_marks; i++)
        for (int axis = 0; axis < 2; axis++) {
            const float value = f->marks[i][axis];
            face.has_marks = face.has_marks && fabsf(value) < CORNER_LIMIT; // nor no number
            face.marks[i][axis] = face.has_marks ? mark(value * back) : 0;
        }
    return face;
}

static rml_status look_at(rml_light_detector *d, rml_light_look *look, const rml_frame *frame,
                          rml_face *faces, int capacity, int *count, rml_error *err)
{
    rml_light_face found[MOST_FACES];
    const rml_frame *seen;
    double back;
    RML_TRY(scale_down(d, look, frame, &seen, &back, err));
    RML_TRY(rml_named(prepare(d, look, seen->width, seen->height, err), err, "the face detector"));
    fill(d, look, seen);
    RML_TRY(rml_session_run(look->session, err));
    capacity = capacity < MOST_FACES ? capacity : MOST_FACES;
    RML_TRY(d->yunet ? decode_yunet(d, look, found, capacity, count, err)
                     : decode_ulfd(d, look, found, capacity, count, err));
    for (int i = 0; i < *count; i++)
        faces[i] = to_face(&found[i], back, d->yunet);
    return RML_OK;
}

rml_status rml_light_detect(rml_light_detector *d, const rml_frame *frame, bool around,
                            rml_face *faces, int capacity, int *count, rml_error *err)
{
    const int longer = frame->width > frame->height ? frame->width : frame->height;
    if (d->fixed_width || !around)
        RML_TRY(look_at(d, &d->looks[0], frame, faces, capacity, count, err));
    else
        RML_TRY(look_at(d, &d->looks[2], frame, faces, capacity, count, err));
    if (*count > 0 || around || d->fixed_width || longer <= d->looks[0].side)
        return RML_OK;
    return look_at(d, &d->looks[1], frame, faces, capacity, count, err);
}
