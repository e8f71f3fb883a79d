// All faces that are known of a clip.
#ifndef RML_PIPELINES_FACES_FACE_LIST_H
#define RML_PIPELINES_FACES_FACE_LIST_H

#include "pipelines/faces/face_choice.h"

// The faces of a clip, those of one frame behind one another. A zeroed list is empty.
typedef struct rml_face_list {
    struct rml_face_record {
        int64_t frame;
        rml_numbered_face face; // number 0: the frame has none
    } * records;
    size_t count, capacity;
    int64_t frames; // 0 .. frames-1 have been looked at
} rml_face_list;

typedef struct rml_face_record rml_face_record;

// Adds a record behind the others; its frame is the last one or the next.
rml_status rml_face_list_push(rml_face_list *list, const rml_face_record *record,
                              const rml_allocator *allocator, rml_error *err);

// Adds what is in frame `frame` >= list->frames; `count` may be 0.
rml_status rml_face_list_add(rml_face_list *list, int64_t frame, double seconds,
                             const rml_numbered_face *faces, int count,
                             const rml_allocator *allocator, rml_error *err);
void rml_face_list_release(rml_face_list *list, const rml_allocator *allocator);

#endif
