// From the twelve maps of S3FD to faces: anchors, softmax, thresholds, non-maximum suppression.
#ifndef RML_PIPELINES_FACES_S3FD_DECODE_H
#define RML_PIPELINES_FACES_S3FD_DECODE_H

#include "tensor/alloc.h"
#include "tensor/status.h"

#define RML_S3FD_LEVELS 6

// One level of one image, plain C order: cls (2,height,width) before softmax, background first;
// reg (4,height,width).
typedef struct rml_s3fd_level {
    const float *cls, *reg;
    int height, width;
} rml_s3fd_level;

// Corners in pixels of the image; they may lie outside of it.
typedef struct rml_s3fd_face {
    float x1, y1, x2, y2, score;
} rml_s3fd_face;

// The faces with a score above 0.5 that survive suppression, best score first (equal scores: lower
// level first, then row by row); at most `capacity`. Numbers that are not finite give no face.
rml_status rml_s3fd_decode(const rml_s3fd_level levels[RML_S3FD_LEVELS], rml_s3fd_face *faces,
                           int capacity, int *count, const rml_allocator *allocator,
                           rml_error *err);

#endif
