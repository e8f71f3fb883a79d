// Brings the colours and the light of a new face to those of the film along the edge of its mask.
#ifndef RML_PIPELINES_LIPSYNC_SEAM_H
#define RML_PIPELINES_LIPSYNC_SEAM_H

#include "pipelines/lipsync/face_mask.h"

// Keeps its room for the next face. One is used by one thread at a time.
typedef struct rml_seam rml_seam;

rml_status rml_seam_create(rml_seam **out, const rml_allocator *allocator, rml_error *err);
void rml_seam_destroy(rml_seam **seam);

// Adds a membrane to `made` where the mask is above 0: the solution of Laplace's equation that is
// old - made on the edge. The edge is the pixels of mask 0 that touch others, and the outermost
// pixels of the crop, except on sides that lie on the border of the picture (`border`): there the
// membrane is free, because nothing is beyond to differ from. So a difference that is the same
// everywhere is gone, one that rises evenly is down to a few hundredths of itself, and what differs
// inside only is left as it is: `old` and `made` are compared on the edge alone.
// `made` and `old` are three planes of width x height each, `mask` is one. An empty mask, or one
// without any edge, changes nothing. The work is proportional to the pixels of the mask's bounds.
// RML_ERR_ARG unless sides are 1..RML_FRAME_MAX_SIDE.
// `step`, or NULL: the mean of |old - made| over the pixels and colours of the edge; 0 without any.
rml_status rml_seam_match(rml_seam *seam, float *made, const float *old, const float *mask,
                          int width, int height, rml_mask_border border, float *step,
                          rml_error *err);

#endif
