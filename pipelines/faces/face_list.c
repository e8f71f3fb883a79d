#include "pipelines/faces/face_list.h"

#include "tensor/alloc.h"

rml_status rml_face_list_push(rml_face_list *list, const rml_face_record *record,
                              const rml_allocator *allocator, rml_error *err)
{
    RML_TRY(rml_reserve(allocator, &list->records, &list->capacity, list->count + 1,
                        sizeof *list->records, "the face boxes", err));
    list->records[list->count++] = *record;
    list->frames = record->frame + 1;
    return RML_OK;
}

rml_status rml_face_list_add(rml_face_list *list, int64_t frame, double seconds,
                             const rml_numbered_face *faces, int count,
                             const rml_allocator *allocator, rml_error *err)
{
    const rml_numbered_face none = {.number = 0};
    for (int i = 0; i < count || i == 0; i++) {
        rml_face_record record = {.frame = frame, .face = i < count ? faces[i] : none};
        record.face.face.seconds = seconds;
        RML_TRY(rml_face_list_push(list, &record, allocator, err));
    }
    return RML_OK;
}

void rml_face_list_release(rml_face_list *list, const rml_allocator *allocator)
{
    rml_free(allocator, list->records);
    *list = (rml_face_list){.count = 0};
}
