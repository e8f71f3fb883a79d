// Finds faces in pictures with S3FD, as the original Wav2Lip does, its quirks included.
#ifndef RML_PIPELINES_FACES_S3FD_DETECT_H
#define RML_PIPELINES_FACES_S3FD_DETECT_H

#include "media/image/frame.h"
#include "pipelines/faces/face_track.h"

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
