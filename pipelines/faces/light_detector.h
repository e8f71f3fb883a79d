// From the outputs of light face detectors to faces: YuNet, and the Ultra-Light-Fast-Generic one.
#ifndef RML_PIPELINES_FACES_LIGHT_DETECTOR_H
#define RML_PIPELINES_FACES_LIGHT_DETECTOR_H

#include "tensor/alloc.h"
#include "media/image/resize_opencv.h"
#include "pipelines/faces/face_track.h"

#define RML_YUNET_LEVELS 3 // strides 8, 16 and 32

// In pixels of the network's input. Corners may lie outside of it.
typedef struct rml_light_face {
    float x, y, width, height, score;
    float marks[RML_FACE_MARKS][2]; // as in rml_face; YuNet only
} rml_light_face;

// One level: a cell for each stride x stride pixels, row by row. All values are as the network
// gives them, behind its sigmoids.
typedef struct rml_yunet_level {
    const float *cls, *obj, *box, *marks; // 1, 1, 4 and 10 values a cell
    int rows, columns;
} rml_yunet_level;

// A face's score is the root of class times object. Faces with `least_score` and more that survive
// suppression, best score first, at most `capacity`; equal to OpenCV's FaceDetectorYN with an
// overlap of 0.3. Numbers that are not finite give no face.
rml_status rml_yunet_decode(const rml_yunet_level levels[RML_YUNET_LEVELS], float least_score,
                            rml_light_face *faces, int capacity, int *count,
                            const rml_allocator *allocator, rml_error *err);

// `scores` is (count,2), background first; `corners` is (count,4): x1 y1 x2 y2 in 0..1 of the
// input's size. The same otherwise.
rml_status rml_ulfd_decode(const float *scores, const float *corners, int boxes, int width,
                           int height, float least_score, rml_light_face *faces, int capacity,
                           int *count, const rml_allocator *allocator, rml_error *err);

// Pictures are scaled down so far that looking is quick and faces stay findable.

// Where the network fixes no size: the picture's longer side becomes the first of these, and where
// no face is found there the second; the surroundings of a face become the third. A picture is
// never scaled up.
#define RML_LIGHT_LOOKS 3

// The network at one size. Sizes keep their own plans, since a clip goes back and forth between
// them.
typedef struct rml_light_look {
    rml_session *session;
    int side;          // longest of what is looked at
    int width, height; // of the network's input as it is planned
} rml_light_look;

typedef struct rml_light_detector {
    const rml_allocator *allocator;
    rml_model *model;
    rml_session_settings settings;
    bool yunet; // else Ultra-Light-Fast-Generic
    const char *input;
    int fixed_width, fixed_height; // of the network's input; 0: any
    rml_light_look looks[RML_LIGHT_LOOKS];
    rml_resizer *resizer;
    rml_frame scaled;
} rml_light_detector;

// A zeroed detector is empty and may be released. `model` must outlive it.
rml_status rml_light_detector_init(rml_light_detector *out, rml_model *model, bool yunet,
                                   const rml_session_settings *settings, rml_error *err);
void rml_light_detector_release(rml_light_detector *detector);

// The faces of a picture, the best first, those of YuNet with marks. `around`: it shows the
// surroundings of one face. Corners are rounded to whole pixels and may lie outside the picture to
// the right and below.
rml_status rml_light_detect(rml_light_detector *detector, const rml_frame *frame, bool around,
                            rml_face *faces, int capacity, int *count, rml_error *err);

#endif
