// What lies in front of a face (hands, microphones, hair), as a network of the user's sees it.
#ifndef RML_PIPELINES_LIPSYNC_OCCLUDER_H
#define RML_PIPELINES_LIPSYNC_OCCLUDER_H

#include "pipelines/lipsync/picture_net.h"

#define RML_OCCLUDER_SIDE 256 // of networks that leave it open

// Keeps its room for the next face. One is used by one thread at a time.
typedef struct rml_occluder rml_occluder;

// `net` gives masks, 1 where the face is to be replaced and 0 where something is in front of it,
// and must outlive the occluder.
rml_status rml_occluder_create(rml_occluder **out, rml_picture_net *net,
                               const rml_allocator *allocator, rml_error *err);
void rml_occluder_destroy(rml_occluder **occluder);

// `result`: the mask times what the network sees of `film`, three planes R', G', B' of width x
// height. Up to a quarter is in front, from three quarters on is face; the edge between is softened
// by a pixel, towards the face alone: what is in front has weight 0.
rml_status rml_occlude(rml_occluder *occluder, const float *film, const float *mask, int width,
                       int height, float *result, rml_error *err);

#endif
