// From the outputs of light face detectors to faces: YuNet, and the Ultra-Light-Fast-Generic one.
#ifndef RML_PIPELINES_FACES_LIGHT_DECODE_H
#define RML_PIPELINES_FACES_LIGHT_DECODE_H

#include "tensor/alloc.h"
#include "tensor/status.h"

#define RML_LIGHT_MARKS 5
#define RML_YUNET_LEVELS 3 // strides 8, 16 and 32

// In pixels of the network's input. Corners may lie outside of it.
typedef struct rml_light_face {
    float x, y, width, height, score;
    // The eye on the left of the picture, the other one, the nose, the left and right end of the
    // mouth; YuNet only.
    float marks[RML_LIGHT_MARKS][2];
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

#endif
