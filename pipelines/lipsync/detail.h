// Keeps the fine detail of the film, which a small network cannot make, where the network left the
// face as it was.
#ifndef RML_PIPELINES_LIPSYNC_DETAIL_H
#define RML_PIPELINES_LIPSYNC_DETAIL_H

#include "media/image/resample.h"

// Keeps its room for the next face. One is used by one thread at a time.
typedef struct rml_detail rml_detail;

rml_status rml_detail_create(rml_detail **out, const rml_allocator *allocator, rml_error *err);
void rml_detail_destroy(rml_detail **detail);

// What the network was given and what it made of it, three planes of width x height each.
typedef struct rml_detail_net {
    const float *in, *gen;
    int width, height;
} rml_detail_net;

// made += k * (old - smooth), in place, with three planes of part->width x part->height each:
//   made     gen scaled up to the size of the crop, width x height, and of it the part
//   old      the film
//   smooth   in scaled up the same way, so that old - smooth is what the network could not see
//   k        1 - (3 t^2 - 2 t^3), t = d / RML_DETAIL_REACH up to 1, d = the largest |gen - in| of
//            the three colours, low-passed at the network's size; then scaled up by `up` and
//            clamped to 0..1
// Where the network returns what it was given the result is the film; where it moved the mouth
// nothing of the old one is left. `up` is the resampler that scaled gen up: the sizes are the same.
#define RML_DETAIL_REACH (8.0f / 255.0f)
rml_status rml_detail_keep(rml_detail *detail, rml_image_resampler *up, const rml_detail_net *net,
                           float *made, const float *old, const float *smooth, int width,
                           int height, const rml_part *part, rml_error *err);

// How many pixels of the network's size the low pass reaches.
int rml_detail_reach(int net_width);

#endif
