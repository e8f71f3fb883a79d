#include "pipelines/faces/face_finder.h"

#include "pipelines/faces/light_detector.h"
#include "pipelines/faces/s3fd.h"
#include "tensor/alloc.h"

#include <stdio.h>
#include <string.h>

// A face in neighbouring frames overlaps itself far more than this even in fast motion.
#define SAME_FACE_OVERLAP 0.3
// More faces than so many are looked for in the whole picture, which takes no longer.
#define MOST_FOLLOWED 4
// Around the last face so many of its sides are searched as well.
#define MARGIN 0.5
#define STEP 32

struct rml_face_finder {
    const rml_allocator *allocator;
    rml_detector_kind kind;
    int every;
    rml_session *session;          // S3FD's
    rml_light_detector light;      // the others
    rml_box last[RML_FINDER_MOST]; // faces of the picture before
    int last_count;
    int since;          // frames since the whole picture was searched
    rml_frame searched; // the part of the picture that is looked at, as the networks know it
};

// ---- which detector ---------------------------------------------------------------------------

static bool has_output(const rml_model *model, const char *name)
{
    for (size_t i = 0; i < rml_model_output_count(model); i++)
        if (strcmp(rml_model_output(model, i).name, name) == 0)
            return true;
    return false;
}

static rml_status tell_kind(rml_detector_kind *kind, const rml_model *model, rml_error *err)
{
    char names[512] = "";
    *kind = RML_DETECTOR_S3FD;
    if (has_output(model, "cls1") && has_output(model, "reg6"))
        return RML_OK;
    *kind = RML_DETECTOR_YUNET;
    if (has_output(model, "cls_8") && has_output(model, "kps_32"))
        return RML_OK;
    *kind = RML_DETECTOR_ULFD;
    if (has_output(model, "scores") && has_output(model, "boxes"))
        return RML_OK;
    for (size_t i = 0; i < rml_model_output_count(model) && strlen(names) < 400; i++)
        snprintf(names + strlen(names), 100, "%s%.90s", i ? ", " : "",
                 rml_model_output(model, i).name);
    return rml_fail(
        err, RML_ERR_UNSUPPORTED,
        "not a known face detector: it gives %s, while YuNet gives cls_8 to kps_32, and "
        "the Ultra-Light-Fast-Generic one scores and boxes",
        names);
}

rml_status rml_face_finder_create(rml_face_finder **out, rml_model *model,
                                  const rml_face_finder_settings *settings, rml_error *err)
{
    const rml_allocator *allocator =
        settings->session.allocator ? settings->session.allocator : rml_allocator_default();
    rml_detector_kind kind;
    *out = NULL;
    RML_TRY(tell_kind(&kind, model, err));
    rml_face_finder *f;
    RML_TRY(rml_make(allocator, &f, 1, sizeof *f, "a face detector", err));
    f->allocator = allocator;
    f->kind = kind;
    f->every = settings->every;
    const rml_status status =
        kind == RML_DETECTOR_S3FD
            ? rml_session_create(&f->session, model, &settings->session, err)
            : rml_light_detector_init(&f->light, model, kind == RML_DETECTOR_YUNET,
                                      &settings->session, err);
    if (status != RML_OK)
        rml_face_finder_destroy(&f);
    *out = f;
    return status;
}

void rml_face_finder_destroy(rml_face_finder **at)
{
    rml_face_finder *f = *at;
    if (!f)
        return;
    rml_session_destroy(&f->session);
    rml_light_detector_release(&f->light);
    rml_frame_release(&f->searched);
    rml_free(f->allocator, f);
    *at = NULL;
}

const rml_session *rml_face_finder_session(const rml_face_finder *finder)
{
    return finder->session ? finder->session : finder->light.looks[0].session;
}

// ---- one frame --------------------------------------------------------------------------------

// The one that is the last face, or NULL.
static const rml_face *find_again(const rml_face *faces, int count, rml_box last)
{
    const rml_face *same = NULL;
    double most = SAME_FACE_OVERLAP;
    for (int i = 0; i < count; i++) {
        const double overlap = rml_box_overlap(faces[i].box, last);
        if (overlap >= most) {
            most = overlap;
            same = &faces[i];
        }
    }
    return same;
}

// part NULL: the whole picture
static rml_status search(rml_face_finder *f, const rml_planes *picture, const rml_part *part,
                         rml_face *faces, int capacity, int *count, rml_error *err)
{
    RML_TRY(rml_planes_to_frame(picture, part, &f->searched, f->allocator, err));
    const rml_frame *frame = &f->searched;
    if (f->kind == RML_DETECTOR_S3FD)
        return rml_s3fd_detect(f->session, frame, faces, capacity, count, f->allocator, err);
    return rml_light_detect(&f->light, frame, part != NULL, faces, capacity, count, err);
}

static int clamp_int(int64_t value, int low, int high)
{
    return value < low ? low : value > high ? high : (int)value;
}

// The square around the last face, as much of it as there is.
static rml_part surroundings(const rml_planes *picture, rml_box last)
{
    const int w = last.x2 - last.x1, h = last.y2 - last.y1, side = w > h ? w : h;
    const int width = rml_planes_width(picture), height = rml_planes_height(picture);
    // In steps, so that the network need not be planned again for each frame, and sees faces at the
    // same places of its grids as in the whole picture.
    const int64_t reach = ((int64_t)(side * (0.5 + MARGIN)) / STEP + 1) * STEP;
    const int64_t x = ((int64_t)last.x1 + last.x2) / 2, y = ((int64_t)last.y1 + last.y2) / 2;
    rml_part part;
    part.x = clamp_int(x - reach, 0, width) / STEP * STEP;
    part.y = clamp_int(y - reach, 0, height) / STEP * STEP;
    part.width = clamp_int(part.x + 2 * reach + STEP, 0, width) - part.x;
    part.height = clamp_int(part.y + 2 * reach + STEP, 0, height) - part.y;
    return part;
}

// Whether a face is found again where it was.
static rml_status follow(rml_face_finder *f, const rml_planes *picture, rml_box last,
                         rml_face *face, bool *found, rml_error *err)
{
    rml_face faces[RML_FINDER_MOST];
    int count;
    const rml_part part = surroundings(picture, last);
    *found = false;
    if (part.width < RML_S3FD_MIN_SIDE || part.height < RML_S3FD_MIN_SIDE)
        return RML_OK;
    RML_TRY(search(f, picture, &part, faces, RML_FINDER_MOST, &count, err));
    for (int i = 0; i < count; i++) {
        rml_box *b = &faces[i].box;
        *b = (rml_box){b->x1 + part.x, b->y1 + part.y, b->x2 + part.x, b->y2 + part.y};
        for (int k = 0; k < RML_FACE_MARKS && faces[i].has_marks; k++) {
            faces[i].marks[k][0] += (float)part.x;
            faces[i].marks[k][1] += (float)part.y;
        }
    }
    const rml_face *same = find_again(faces, count, last);
    *found = same != NULL;
    if (same)
        *face = *same;
    return RML_OK;
}

// Whether all faces of the picture before are found again, each as another.
static rml_status follow_all(rml_face_finder *f, const rml_planes *picture, rml_face *faces,
                             bool *found, rml_error *err)
{
    *found = true;
    for (int i = 0; i < f->last_count && *found; i++) {
        RML_TRY(follow(f, picture, f->last[i], &faces[i], found, err));
        if (*found && find_again(faces, i, faces[i].box))
            *found = false;
    }
    return RML_OK;
}

rml_status rml_face_finder_next(rml_face_finder *f, const rml_planes *picture, bool cut,
                                rml_face *faces, int capacity, int *count, rml_error *err)
{
    bool found = false;
    if (cut)
        f->last_count = 0;
    *count = f->last_count;
    if (f->last_count > 0 && ++f->since < f->every && f->last_count <= MOST_FOLLOWED)
        RML_TRY(follow_all(f, picture, faces, &found, err));
    if (!found) {
        RML_TRY(search(f, picture, NULL, faces, capacity, count, err));
        f->since = 0;
    }
    f->last_count = *count;
    for (int i = 0; i < *count; i++)
        f->last[i] = faces[i].box;
    return RML_OK;
}
