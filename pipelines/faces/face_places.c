#define _POSIX_C_SOURCE 200809L
#include "pipelines/faces/face_places.h"

#include "media/files/files.h"
#include "pipelines/faces/face_identity.h"
#include "tensor/alloc.h"

#include <sys/stat.h>

static rml_status take_box(rml_face_places *places, const int b[4], const rml_clip_info *info,
                           rml_error *err)
{
    if (b[0] >= b[1] || b[2] >= b[3])
        return rml_fail(err, RML_ERR_ARG, "--box %d %d %d %d (top bottom left right) is empty",
                        b[0], b[1], b[2], b[3]);
    if (b[0] < 0 || b[2] < 0 || b[1] > info->height || b[3] > info->width)
        return rml_fail(err, RML_ERR_ARG,
                        "--box %d %d %d %d (top bottom left right) reaches outside the frame of "
                        "%dx%d",
                        b[0], b[1], b[2], b[3], info->width, info->height);
    places->by_hand = true;
    places->box = (rml_box){b[2], b[0], b[3], b[1]};
    return RML_OK;
}

static rml_status check_choice(const rml_face_choice *choice, const rml_clip_info *info,
                               rml_error *err)
{
    if (choice->kind == RML_CHOOSE_AT && (choice->x >= info->width || choice->y >= info->height))
        return rml_fail(err, RML_ERR_ARG, "at:%g,%g lies outside the picture of %dx%d", choice->x,
                        choice->y, info->width, info->height);
    return RML_OK;
}

rml_status rml_face_places_open(rml_face_places *places, const int box[4], const char *path,
                                const rml_face_choice *choice, const rml_clip_settings *settings,
                                const rml_clip_info *info, const rml_allocator *allocator,
                                rml_error *err)
{
    struct stat there;
    *places = (rml_face_places){.by_hand = false, .chooser = {.choice = *choice}};
    if (box[0] != RML_NO_BOX)
        return take_box(places, box, info, err);
    RML_TRY(check_choice(choice, info, err));
    RML_TRY(rml_face_identities_create(&places->identities, allocator, err));
    if (!path)
        return RML_OK;
    places->path = path;
    RML_TRY(rml_faces_key_make(&places->key, settings, info, err));
    if (stat(path, &there) == 0)
        RML_TRY(rml_faces_read(&places->list, path, &places->key, allocator, err));
    places->read = places->list.frames;
    return rml_check_writable(path, allocator, err);
}

int64_t rml_face_places_known(const rml_face_places *places)
{
    return places->by_hand ? INT64_MAX : places->read;
}

// ---- looking -----------------------------------------------------------------------------------

// Weights of little worth find boxes of no size or beside the picture.
static int drop_outlying(rml_face *faces, int count, const rml_planes *picture)
{
    const rml_box whole = {0, 0, rml_planes_width(picture), rml_planes_height(picture)};
    int kept = 0;
    for (int i = 0; i < count; i++)
        if (rml_box_overlap(faces[i].box, whole) > 0)
            faces[kept++] = faces[i];
    return kept;
}

static void look_at(const rml_planes *picture, const rml_numbered_face *faces, int count,
                    rml_box *boxes, rml_face_looks *looks)
{
    for (int i = 0; i < count; i++) {
        boxes[i] = faces[i].face.box;
        rml_face_looks_make(&looks[i], picture, boxes[i]);
    }
}

// Finds and numbers the faces of a frame that nothing is known of.
static rml_status look(rml_face_places *p, rml_face_finder *detector, const rml_place_frame *frame,
                       const rml_allocator *allocator, rml_error *err)
{
    rml_face found[RML_FINDER_MOST];
    rml_numbered_face faces[RML_FINDER_MOST];
    rml_box boxes[RML_FINDER_MOST];
    rml_face_looks looks[RML_FINDER_MOST];
    int numbers[RML_FINDER_MOST], count;
    if (!detector && !p->path)
        return rml_fail(err, RML_ERR_ARG,
                        "nothing tells where the face is: there is no box, no "
                        "file of faces and no detector");
    if (!detector)
        return rml_fail(err, RML_ERR_ARG,
                        "%s holds the faces of the first %lld frames only: give --s3fd or "
                        "--detector to find the others",
                        p->path, (long long)p->read);
    RML_TRY(rml_face_finder_next(detector, frame->picture, frame->cut, found,
                                 p->as_upstream ? 1 : RML_FINDER_MOST, &count, err));
    if (!p->as_upstream)
        count = drop_outlying(found, count, frame->picture);
    for (int i = 0; i < count; i++)
        faces[i] = (rml_numbered_face){found[i], 1};
    if (!p->as_upstream) {
        look_at(frame->picture, faces, count, boxes, looks);
        rml_face_identities_next(p->identities, boxes, looks, count, frame->cut, numbers);
        for (int i = 0; i < count; i++)
            faces[i].number = numbers[i];
    }
    return rml_face_list_add(&p->list, frame->index, frame->seconds, faces, count, allocator, err);
}

// The records of a frame; returns how many faces it has.
static int faces_of(rml_face_places *p, int64_t index, rml_numbered_face faces[RML_FINDER_MOST])
{
    const rml_face_list *list = &p->list;
    int count = 0;
    while (p->cursor < list->count && list->records[p->cursor].frame < index)
        p->cursor++;
    for (size_t i = p->cursor; i < list->count && list->records[i].frame == index; i++)
        if (list->records[i].face.number && count < RML_FINDER_MOST)
            faces[count++] = list->records[i].face;
    return count;
}

// Tells what is known from a file who is who, for frames behind it.
static void learn(rml_face_places *p, const rml_place_frame *frame, const rml_numbered_face *faces,
                  int count)
{
    rml_box boxes[RML_FINDER_MOST];
    rml_face_looks looks[RML_FINDER_MOST];
    int numbers[RML_FINDER_MOST];
    if (frame->index >= p->read || frame->index < p->told)
        return;
    p->told = frame->index + 1;
    look_at(frame->picture, faces, count, boxes, looks);
    for (int i = 0; i < count; i++)
        numbers[i] = faces[i].number;
    rml_face_identities_learn(p->identities, boxes, looks, count, frame->cut, numbers);
}

// Whom the user pointed at.
static rml_status point(rml_face_places *p, double seconds, const rml_numbered_face *faces,
                        int count, rml_error *err)
{
    const rml_face_choice *choice = &p->chooser.choice;
    if (choice->kind != RML_CHOOSE_AT || p->chooser.followed || seconds + 1e-6 < choice->seconds)
        return RML_OK;
    const rml_numbered_face *face = rml_face_at(faces, count, choice->x, choice->y);
    if (!face)
        return rml_fail(err, RML_ERR_ARG, "no face is at %g,%g in the frame of %.3f s", choice->x,
                        choice->y, seconds);
    p->chooser.followed = face->number;
    return RML_OK;
}

rml_status rml_face_places_find(rml_face_places *p, rml_face_finder *detector,
                                const rml_place_frame *frame, rml_face *wanted,
                                const rml_allocator *allocator, rml_error *err)
{
    rml_numbered_face faces[RML_FINDER_MOST];
    *wanted = (rml_face){.box = p->box, .score = 1, .source = RML_FACE_BY_HAND};
    wanted->seconds = frame->seconds;
    if (p->by_hand)
        return RML_OK;
    if (frame->index >= p->list.frames)
        RML_TRY(look(p, detector, frame, allocator, err));
    const int count = faces_of(p, frame->index, faces);
    if (detector)
        learn(p, frame, faces, count);
    RML_TRY(point(p, frame->seconds, faces, count, err));
    for (int i = 0; i < p->number_count || i == 0; i++) {
        const rml_numbered_face *chosen =
            p->numbers ? rml_face_of_number(faces, count, p->numbers[i])
                       : rml_face_choose(&p->chooser, faces, count, frame->cut);
        wanted[i] = chosen ? chosen->face : (rml_face){.source = RML_FACE_NONE};
        wanted[i].seconds = frame->seconds;
    }
    return RML_OK;
}

// ---- the whole ----------------------------------------------------------------------------------

rml_status rml_face_places_keep(const rml_face_places *places, const rml_allocator *allocator,
                                rml_error *err)
{
    if (!places->path || places->list.frames <= places->read)
        return RML_OK;
    return rml_faces_write(places->path, &places->key, &places->list, allocator, err);
}

void rml_face_places_close(rml_face_places *places, const rml_allocator *allocator)
{
    rml_face_identities_destroy(&places->identities);
    rml_face_list_release(&places->list, allocator);
}
