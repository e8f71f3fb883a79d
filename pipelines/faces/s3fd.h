// From the twelve maps of S3FD to faces: anchors, softmax, thresholds, non-maximum suppression.
#ifndef RML_PIPELINES_FACES_S3FD_H
#define RML_PIPELINES_FACES_S3FD_H

#include "tensor/alloc.h"
#include "media/image/frame.h"
#include "pipelines/faces/face_track.h"

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

// Faces are found in pictures as the original Wav2Lip does, its quirks included.

#define RML_S3FD_MOST_FACES 64
#define RML_S3FD_MIN_SIDE 32 // smaller pictures do not survive the fifth pooling

// The faces of the picture, the best first, at most `capacity`. Corners below 0 become 0, and all
// are cut to whole numbers; the right and bottom ones may lie outside the picture. `session` runs
// the network "s3fd" and is prepared for the size of the picture as needed.
rml_status rml_s3fd_detect(rml_session *session, const rml_frame *frame, rml_face *faces,
                           int capacity, int *count, const rml_allocator *allocator,
                           rml_error *err);

// Writes the picture as the network's input, (3,height,width): RGB planes with the means
// subtracted.
void rml_s3fd_input(const rml_frame *frame, float *input);

#endif
