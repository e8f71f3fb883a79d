// Detected faces as a JSON file: to look at, to correct by hand, and to use again with another
// voice.
//
//   {"format": "run-model faces 1",
//    "clip": {"id": "<16 hex digits of the file's contents>", "width": 1080, "height": 1920,
//             "resize_factor": 1, "rotate": false, "crop": [0, -1, 0, -1]},
//    "faces": [
//     {"frame": 0, "time": 0.000, "box": [1, 2, 55, 64], "score": 0.99, "source": "detected",
//      "marks": [20, 25.5, 38, 25, 30, 37, 22, 46, 37, 45.75]},
//     {"frame": 1, "time": 0.040, "box": null, "score": 0, "source": "none"}]}
//
// One record for each source frame, in order, none left out. Of several faces each has a record,
// with its "number" from 1 on, those of one frame behind one another; the format is "run-model
// faces 2" then. A missing number is 1. Boxes are x1 y1 x2 y2 before padding and smoothing, in
// pixels of the picture after resizing, turning and cropping. "marks", which may be missing or
// null, are x and y of both eyes, the nose and the ends of the mouth, in pixels too.
#ifndef RML_PIPELINES_FACES_FACES_FILE_H
#define RML_PIPELINES_FACES_FACES_FILE_H

#include "pipelines/lipsync/clip.h"
#include "pipelines/faces/face_list.h"

#define RML_FACES_FORMAT "run-model faces 1"
#define RML_FACES_FORMAT_OF_SEVERAL "run-model faces 2"
#define RML_FACES_MAX_FRAMES (INT64_C(1) << 24) // 77 hours at 60 frames a second

// What the boxes belong to: boxes of another clip or of another size make no sense.
typedef struct rml_faces_key {
    char id[17];
    int width, height, resize_factor;
    bool rotate;
    int crop[4];
} rml_faces_key;

// The id is a hash of the file's size and of pieces spread over its contents.
rml_status rml_faces_key_make(rml_faces_key *key, const rml_clip_settings *settings,
                              const rml_clip_info *info, rml_error *err);

// Into an empty list. RML_ERR_ARG, in a sentence, when the file belongs to another clip or to other
// settings.
rml_status rml_faces_read(rml_face_list *list, const char *path, const rml_faces_key *key,
                          const rml_allocator *allocator, rml_error *err);

// The file appears under its name when it is whole.
rml_status rml_faces_write(const char *path, const rml_faces_key *key, const rml_face_list *list,
                           const rml_allocator *allocator, rml_error *err);

#endif
