#include "pipelines/lipsync/face_spot.h"

#include "tensor/alloc.h"

rml_status rml_face_reserve(rml_face_room *r, size_t count, const rml_allocator *allocator,
                            rml_error *err)
{
    if (count <= r->capacity)
        return RML_OK;
    rml_free(allocator, r->data);
    r->data = rml_alloc_zero(allocator, count, sizeof *r->data);
    r->capacity = r->data ? count : 0;
    return r->data ? RML_OK : rml_fail_nomem(err, count * sizeof *r->data, "a face");
}

rml_face_spot rml_face_spot_of(rml_box box, float angle, int width, int height)
{
    rml_face_spot s = {.shown = {box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1},
                       .turned = angle != 0,
                       .width = box.x2 - box.x1,
                       .height = box.y2 - box.y1};
    if (s.turned) {
        s.turn = rml_turn_of(box, angle, width, height);
        s.shown = s.turn.part;
    }
    return s;
}

rml_face_spot rml_face_spot_in(const rml_planes *picture, rml_box box, float angle)
{
    rml_face_spot s =
        rml_face_spot_of(box, angle, rml_planes_width(picture), rml_planes_height(picture));
    s.part = rml_planes_coded(picture, &s.shown);
    return s;
}

void rml_face_spot_narrow(rml_face_spot *spot, const rml_planes *picture, const rml_part *looked)
{
    if (spot->turned) {
        spot->turn = rml_turn_within(&spot->turn, looked, rml_planes_width(picture),
                                     rml_planes_height(picture));
        spot->shown = spot->turn.part;
        spot->part = rml_planes_coded(picture, &spot->shown);
        return;
    }
    spot->shown = (rml_part){spot->shown.x + looked->x, spot->shown.y + looked->y, looked->width,
                             looked->height};
    spot->part = rml_planes_coded(picture, &spot->shown);
}
