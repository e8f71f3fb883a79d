#include "pipelines/faces/face_roll.h"

#include "tensor/alloc.h"

rml_status rml_face_roll_push(rml_face_roll *roll, const rml_face_record *record,
                              const rml_allocator *allocator, rml_error *err)
{
    RML_TRY(rml_reserve(allocator, &roll->records, &roll->capacity, roll->count + 1,
                        sizeof *roll->records, "the face boxes", err));
    roll->records[roll->count++] = *record;
    roll->frames = record->frame + 1;
    return RML_OK;
}

rml_status rml_face_roll_add(rml_face_roll *roll, int64_t frame, double seconds,
                             const rml_numbered_face *faces, int count,
                             const rml_allocator *allocator, rml_error *err)
{
    const rml_numbered_face none = {.number = 0};
    for (int i = 0; i < count || i == 0; i++) {
        rml_face_record record = {.frame = frame, .face = i < count ? faces[i] : none};
        record.face.face.seconds = seconds;
        RML_TRY(rml_face_roll_push(roll, &record, allocator, err));
    }
    return RML_OK;
}

void rml_face_roll_release(rml_face_roll *roll, const rml_allocator *allocator)
{
    rml_free(allocator, roll->records);
    *roll = (rml_face_roll){.count = 0};
}
