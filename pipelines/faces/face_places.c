#define _POSIX_C_SOURCE 200809L
#include "pipelines/faces/face_places.h"

#include "media/files/files.h"
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

rml_status rml_face_places_open(rml_face_places *places, const int box[4], const char *path,
                                const rml_clip_settings *settings, const rml_clip_info *info,
                                const rml_allocator *allocator, rml_error *err)
{
    struct stat there;
    *places = (rml_face_places){.by_hand = false};
    if (box[0] != RML_NO_BOX)
        return take_box(places, box, info, err);
    if (!path)
        return RML_OK;
    places->path = path;
    RML_TRY(rml_faces_key_make(&places->key, settings, info, err));
    if (stat(path, &there) == 0)
        RML_TRY(rml_faces_read(&places->known, &places->known_count, path, &places->key, allocator,
                               err));
    return rml_check_writable(path, allocator, err);
}

int64_t rml_face_places_known(const rml_face_places *places)
{
    return places->by_hand ? INT64_MAX : places->known_count;
}

rml_status rml_face_places_find(const rml_face_places *places, rml_face_finder *detector,
                                int64_t index, const rml_planes *picture, bool cut, rml_face *face,
                                rml_error *err)
{
    if (places->by_hand) {
        *face = (rml_face){.box = places->box, .score = 1, .source = RML_FACE_BY_HAND};
        return RML_OK;
    }
    if (index < places->known_count) {
        *face = places->known[index];
        return RML_OK;
    }
    if (!detector && !places->path)
        return rml_fail(err, RML_ERR_ARG,
                        "nothing tells where the face is: there is no box, no "
                        "file of faces and no detector");
    if (!detector)
        return rml_fail(err, RML_ERR_ARG,
                        "%s holds the faces of the first %lld frames only: give --s3fd or "
                        "--detector to find the others",
                        places->path, (long long)places->known_count);
    RML_TRY(rml_face_finder_next(detector, picture, cut, face, err));
    // Weights of little worth find boxes of no size or beside the picture; the original goes on
    // with what the padding makes of them.
    const rml_box whole = {0, 0, rml_planes_width(picture), rml_planes_height(picture)};
    if (!places->as_upstream && rml_box_overlap(face->box, whole) == 0)
        *face = (rml_face){.source = RML_FACE_NONE};
    return RML_OK;
}

rml_status rml_face_places_keep(const rml_face_places *places, const rml_track *track,
                                const rml_allocator *allocator, rml_error *err)
{
    if (!places->path || rml_track_count(track) <= places->known_count)
        return RML_OK;
    return rml_faces_write(places->path, &places->key, track, allocator, err);
}

void rml_face_places_close(rml_face_places *places, const rml_allocator *allocator)
{
    rml_free(allocator, places->known);
    places->known = NULL;
}
