// Faces that lie tilted in a picture, as upright crops, and what changes in those back in the
// picture. Sizes stay the same, so that Lanczos-3 aliases nothing; scaling is media/image/resample.
#ifndef RML_PIPELINES_LIPSYNC_FACE_TURN_H
#define RML_PIPELINES_LIPSYNC_FACE_TURN_H

#include "media/image/frame.h"
#include "pipelines/faces/face_track.h"

#define RML_TURN_REACH 3 // of the filter, in pixels
#define RML_TURN_PHASES 512
#define RML_TURN_LANES 4 // of a pixel, three of them used

typedef struct rml_turn_filter {
    float weight[RML_TURN_PHASES + 1][2 * RML_TURN_REACH];
} rml_turn_filter;

void rml_turn_filter_init(rml_turn_filter *filter);

typedef struct rml_turn {
    int width, height; // of the crop
    rml_part part; // of the picture as shown: all that it and the filter reach, at least a pixel
    float x, y;    // the middle of the crop, in pixels of the part
    float cosine, sine;
} rml_turn;

// `box` turned clockwise by `angle` about its middle, in a picture of so many pixels as shown.
rml_turn rml_turn_of(rml_box box, float angle, int picture_width, int picture_height);

// The same of a part of the crop.
rml_turn rml_turn_within(const rml_turn *turn, const rml_part *within_crop, int picture_width,
                         int picture_height);

// A place in the picture as one in the crop.
void rml_turn_point(const rml_turn *turn, const float in[2], float out[2]);

// `src`: three planes of turn->part; `dst`: three of the crop. What lies beyond the part is as its
// edge. `scratch`: RML_TURN_LANES numbers for each pixel of `src`.
void rml_turn_upright(const rml_turn *turn, const rml_turn_filter *filter, const float *src,
                      float *scratch, float *dst);

// The way back of a change (three planes of the crop): `dst` is `old` (three planes of the part)
// and the change, up to RML_TURN_REACH around the crop, where the seam looks at it; elsewhere
// `old`. `scratch`: RML_TURN_LANES numbers for each pixel of the crop.
void rml_turn_back(const rml_turn *turn, const rml_turn_filter *filter, const float *change,
                   const float *old, float *scratch, float *dst);

// The mask of the crop as one of the part, interpolated linearly: 0 where nothing of it is within a
// pixel.
void rml_turn_mask(const rml_turn *turn, const float *mask, float *spread);

#endif
