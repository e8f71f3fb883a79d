
#include "pipelines/faces/s3fd.h"
#include "tensor/status.h"

// Corners beyond this are cut off, so that weights of little worth cannot overflow an int.
#define CORNER_LIMIT 1e6f

void rml_s3fd_input(const rml_frame *frame, float *input)
{
    // Trap: the means are those of B, G, R, but upstream subtracts them from R, G, B in this order,
    // and the published weights are used with that.
    static const float mean[3] = {104, 117, 123};
    size_t plane = (size_t)frame->width * (size_t)frame->height;
    for (int y = 0; y < frame->height; y++) {
        const uint8_t *row = frame->data + (size_t)y * frame->pitch;
        float *out = input + (size_t)y * (size_t)frame->width;
        for (int x = 0; x < frame->width; x++) {
            out[x] = (float)row[3 * x + 2] - mean[0];
            out[plane + (size_t)x] = (float)row[3 * x + 1] - mean[1];
            out[2 * plane + (size_t)x] = (float)row[3 * x] - mean[2];
        }
    }
}

static int corner(float value)
{
    return (int)(value < 0 ? 0 : value > CORNER_LIMIT ? CORNER_LIMIT : value);
}

static rml_status read_levels(rml_session *session, rml_s3fd_level *levels, rml_error *err)
{
    static const char *const names[RML_S3FD_LEVELS][2] = {
        {"cls1", "reg1"}, {"cls2", "reg2"}, {"cls3", "reg3"},
        {"cls4", "reg4"}, {"cls5", "reg5"}, {"cls6", "reg6"},
    };
    for (int i = 0; i < RML_S3FD_LEVELS; i++) {
        rml_shape cls, reg;
        levels[i].cls = rml_session_output(session, names[i][0], &cls);
        levels[i].reg = rml_session_output(session, names[i][1], &reg);
        if (!levels[i].cls || !levels[i].reg || cls.rank != 4 || reg.rank != 4 || cls.dim[0] != 1 ||
            reg.dim[0] != 1 || cls.dim[1] != 2 || reg.dim[1] != 4 || cls.dim[2] != reg.dim[2] ||
            cls.dim[3] != reg.dim[3])
            return rml_fail(err, RML_ERR_ARG, "the face detector has no outputs %s and %s that fit",
                            names[i][0], names[i][1]);
        levels[i].height = (int)cls.dim[2];
        levels[i].width = (int)cls.dim[3];
    }
    return RML_OK;
}

rml_status rml_s3fd_detect(rml_session *session, const rml_frame *frame, rml_face *faces,
                           int capacity, int *count, const rml_allocator *allocator, rml_error *err)
{
    *count = 0;
    if (frame->width < RML_S3FD_MIN_SIDE || frame->height < RML_S3FD_MIN_SIDE)
        return rml_fail(err, RML_ERR_ARG,
                        "a picture of %dx%d is too small to look for faces: %d is the least side",
                        frame->width, frame->height, RML_S3FD_MIN_SIDE);
    rml_shape shape = {.rank = 4, .dim = {1, 3, frame->height, frame->width}};
    RML_TRY(rml_session_resize(session, "image", shape, err));
    RML_TRY(rml_named(rml_session_prepare(session, err), err, "the face detector"));
    rml_s3fd_input(frame, rml_session_input(session, "image", NULL));
    RML_TRY(rml_session_run(session, err));

    rml_s3fd_level levels[RML_S3FD_LEVELS];
    rml_s3fd_face found[RML_S3FD_MOST_FACES];
    RML_TRY(read_levels(session, levels, err));
    capacity = capacity < RML_S3FD_MOST_FACES ? capacity : RML_S3FD_MOST_FACES;
    RML_TRY(rml_s3fd_decode(levels, found, capacity, count, allocator, err));
    for (int i = 0; i < *count; i++)
        faces[i] = (rml_face){.box = {corner(found[i].x1), corner(found[i].y1), corner(found[i].x2),
                                      corner(found[i].y2)},
                              .score = found[i].score,
                              .source = RML_FACE_DETECTED};
    return RML_OK;
}
