// Which pixels of a face's crop are replaced, and how much of each: 0 is the film, 1 the new face.
#ifndef RML_PIPELINES_LIPSYNC_FACE_MASK_H
#define RML_PIPELINES_LIPSYNC_FACE_MASK_H

#include "media/image/resize_opencv.h"

typedef enum rml_mask_kind {
    RML_MASK_MOUTH = 0, // mouth and chin
    RML_MASK_LOWER,     // rows from height / 2 on, which is what Wav2Lip makes
    RML_MASK_BOX        // the whole crop
} rml_mask_kind;

bool rml_mask_kind_parse(const char *name, rml_mask_kind *kind); // mouth, lower or box
const char *rml_mask_kind_name(rml_mask_kind kind);

#define RML_MASK_MARKS 5
#define RML_MASK_FEATHER_DEFAULT 0.1f
#define RML_MASK_FEATHER_MAX 0.5f

// Sides of a crop that lie on the border of the picture: nothing is beyond them.
typedef struct rml_mask_border {
    bool top, bottom, left, right;
} rml_mask_border;

typedef struct rml_mask_settings {
    rml_mask_kind kind;
    // Width of the soft edge inside the shape as a share of the crop's shorter side, 0 to
    // RML_MASK_FEATHER_MAX. 0 is a hard edge: all weights are 0 or 1.
    float feather;
    rml_mask_border border; // the shape has no soft edge there
    // x and y in pixels of the crop of the eye on the left of the picture, the other one, the tip
    // of the nose, the left and the right end of the mouth; NULL: the mouth is where it lies in a
    // face's box. Marks that no face has (not finite, a million and more, less than a pixel
    // apart) are taken as NULL.
    const float (*marks)[2];
} rml_mask_settings;

// Fills `mask`, width x height weights. The soft edge is 3 t^2 - 2 t^3 with t rising from 0 to 1
// over its width, as in media/image/blend.h; edges that would overlap are scaled down to fit. What
// leaves the crop is cut off by a soft edge too. RML_ERR_ARG unless sides are 1..RML_FRAME_MAX_SIDE
// and the feather is in range.
rml_status rml_mask_draw(float *mask, int width, int height, const rml_mask_settings *settings,
                         rml_error *err);

// Outside this part the mask that these settings draw is 0. It may be empty.
rml_part rml_mask_reach(int width, int height, const rml_mask_settings *settings);

// Fills `mask` from a gray picture of any size, stretched over the crop: level / 255.
rml_status rml_mask_stretch(float *mask, int width, int height, rml_pixels gray,
                            const rml_allocator *allocator, rml_error *err);

// The smallest part outside which the mask is 0; of no width and height where all of it is.
rml_part rml_mask_bounds(const float *mask, int width, int height);

// The same and a pixel around it, where there is one: what a seam along its edge looks at.
rml_part rml_mask_surroundings(const float *mask, int width, int height);

#endif
