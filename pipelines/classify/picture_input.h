// What a classifier sees of a picture: a square of it, as numbers.
#ifndef RML_PIPELINES_CLASSIFY_PICTURE_INPUT_H
#define RML_PIPELINES_CLASSIFY_PICTURE_INPUT_H

#include "media/image/picture.h"

#define RML_VIEW_MIN_SIDE 32 // smaller squares do not survive five halvings
#define RML_VIEW_MAX_SIDE 2048

typedef struct rml_view {
    int side;    // of the square, RML_VIEW_MIN_SIDE..RML_VIEW_MAX_SIDE
    int shorter; // the shorter side is scaled to this, and the middle is seen; not less than `side`
    bool stretch; // instead, the whole picture is scaled to the square, whatever its shape
    // A level v of 0..255 becomes (v / full - mean) / deviation, in each of red, green and blue.
    float full, mean[3], deviation[3];
} rml_view;

// torchvision's for weights of ImageNet, at this side: the shorter side becomes 256 where the
// square is 224, and as much larger than it otherwise; mean and deviation of ImageNet's pictures.
rml_view rml_view_default(int side);

// RML_ERR_ARG when a view cannot be had.
rml_status rml_view_check(const rml_view *view, rml_error *err);

// Writes three planes, red, green and blue, of side x side. Gray is repeated, alpha is not looked
// at, and of 16 bits the upper 8 are taken, all as Pillow's conversion to RGB does. Scaling is
// bilinear with antialias, on 8 bits.
rml_status rml_view_picture(const rml_view *view, const rml_picture *picture, float *planes,
                            const rml_allocator *allocator, rml_error *err);

#endif
