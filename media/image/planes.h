// A picture in the planes that it was coded in: any depth, chroma of any resolution, RGB, gray,
// alpha. Parts of it are read as R'G'B' floats, and changed by differences of such, so that what is
// not touched keeps its bits.
#ifndef RML_MEDIA_IMAGE_PLANES_H
#define RML_MEDIA_IMAGE_PLANES_H

#include "media/image/colour.h"
#include "media/image/orient.h"

// Where a component lies: sample (x, y) is a number of one or two bytes at data[plane] + y * stride
// + x * step + offset, in which it begins at bit `shift`.
typedef struct rml_component {
    uint8_t plane, step, offset, shift, depth;
} rml_component;

typedef struct rml_plane_layout {
    int components; // 1: Y; 2: Y, alpha; 3: R G B or Y Cb Cr; 4: with alpha
    bool rgb, alpha;
    bool wide;                  // numbers of two bytes, of the machine's order
    uint8_t chroma_x, chroma_y; // log2 of luma samples a chroma sample
    rml_component component[4];
} rml_plane_layout;

// A view: who owns the samples is said elsewhere.
typedef struct rml_planes {
    uint8_t *data[4];
    ptrdiff_t stride[4]; // bytes; may be below 0
    int width, height;   // as coded
    rml_plane_layout layout;
    rml_colour colour;       // the matrix is a known one where the layout is not RGB
    float chroma_at[2];      // x and y of the first chroma sample, in luma samples from the first
    rml_orientation upright; // how it is turned to be shown
} rml_planes;

int rml_planes_width(const rml_planes *planes); // as shown
int rml_planes_height(const rml_planes *planes);

int64_t rml_planes_bytes(const rml_planes *planes); // of its samples

// The part that is shown at `part`, where it lies in the planes.
rml_part rml_planes_coded(const rml_planes *planes, const rml_part *part);

// Reads `part` (as coded, inside the picture) into three planes of part->width * part->height
// floats: R', G', B' as coded, 0..1 where they are legal, not clipped. Chroma of less resolution is
// interpolated between the places where it lies. `scratch` has room for 4 * (part->width + 2)
// floats.
void rml_planes_read(const rml_planes *planes, const rml_part *part, float *rgb, float *scratch);

// Changes the samples of `part` (as coded) by `change`, three planes of differences of R'G'B'.
// Where `mask` (part->width * part->height) is 0 no sample changes; one of chroma changes where any
// of the pixels that it covers does. Results are rounded, and clipped to what the depth holds.
// `scratch` is as large as `change`.
void rml_planes_add(const rml_planes *planes, const rml_part *part, const float *change,
                    const float *mask, float *scratch);

// `part` (as shown) as an upright frame of 8-bit BGR as networks know it (rml_colour_to_network),
// reserved as needed. `part` NULL: all.
rml_status rml_planes_to_frame(const rml_planes *planes, const rml_part *part, rml_frame *frame,
                               const rml_allocator *allocator, rml_error *err);

// Turns `count` planes of floats of width x height, one after another.
void rml_orient_floats(float *dst, const float *src, int width, int height, int count,
                       rml_orientation orientation);
rml_orientation rml_orientation_inverse(rml_orientation orientation);

// BGR of 8 bits as planes.
rml_planes rml_planes_of_frame(const rml_frame *frame);

#endif
