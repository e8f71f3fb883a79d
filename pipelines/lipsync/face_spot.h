// Where a face lies in a picture, and room for what is computed of it: what cutting and pasting
// have in common.
#ifndef RML_PIPELINES_LIPSYNC_FACE_SPOT_H
#define RML_PIPELINES_LIPSYNC_FACE_SPOT_H

#include "media/image/planes.h"
#include "pipelines/lipsync/face_turn.h"

#define RML_FACE_COLOURS 3

// A block of floats that grows.
typedef struct rml_face_room {
    float *data;
    size_t capacity;
} rml_face_room;

// What was in it is lost.
rml_status rml_face_reserve(rml_face_room *room, size_t count, const rml_allocator *allocator,
                            rml_error *err);

typedef struct rml_face_spot {
    rml_part shown, part; // of the picture, as shown and as coded
    bool turned;          // the crop is `turn` away from there; else it is that part
    rml_turn turn;
    int width, height; // of the crop
} rml_face_spot;

// In a picture of width x height as shown; `part` is left open.
rml_face_spot rml_face_spot_of(rml_box box, float angle, int width, int height);
rml_face_spot rml_face_spot_in(const rml_planes *picture, rml_box box, float angle);

// From all of the crop to where it is `looked` at; its width and height stay.
void rml_face_spot_narrow(rml_face_spot *spot, const rml_planes *picture, const rml_part *looked);

static inline size_t rml_part_pixels(const rml_part *part)
{
    return (size_t)part->width * (size_t)part->height;
}

static inline size_t rml_face_crop_pixels(const rml_face_spot *spot)
{
    return (size_t)spot->width * (size_t)spot->height;
}

// Room for rml_planes_read.
static inline size_t rml_part_scratch(const rml_part *part)
{
    return 4 * ((size_t)part->width + 2);
}

#endif
