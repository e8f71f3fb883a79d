// Pasting a picture onto another with soft edges.
#ifndef RML_MEDIA_IMAGE_BLEND_H
#define RML_MEDIA_IMAGE_BLEND_H

#include "media/image/frame.h"
#include "media/image/resize_opencv.h"

// Width in pixels of the soft edge on each side, inside the box; 0 is a hard edge (right where the
// box touches the border of the picture). Opposite margins that overlap are scaled down to fit.
typedef struct rml_feather {
    int top, bottom, left, right;
} rml_feather;

// Keeps the weights of the last box size. One blender is used by one thread at a time.
typedef struct rml_blender rml_blender;

rml_status rml_blender_create(rml_blender **out, const rml_allocator *allocator, rml_error *err);
void rml_blender_destroy(rml_blender **blender);

// Pastes the BGR `patch` with its corner at (x, y) of `canvas`. Parts outside the canvas are left
// out.
//   out = (canvas * (255 - w) + patch * w) / 255, rounded to nearest, w in 0..255
// w is the rounded product of a horizontal and a vertical ramp 255 * (3 t^2 - 2 t^3), t = (d + 0.5)
// / margin for the pixel d pixels away from the edge, 255 inside. So where w = 255 the patch is
// copied exactly, and no pixel outside the box changes. All margins 0: a plain copy.
rml_status rml_blend_paste(rml_blender *blender, rml_frame *canvas, int x, int y, rml_pixels patch,
                           rml_feather feather, rml_error *err);

#endif
