// Pictures as inputs and outputs of a network whose ports are images.
#ifndef RML_PIPELINES_IMAGES_PORT_PICTURE_H
#define RML_PIPELINES_IMAGES_PORT_PICTURE_H

#include "media/image/picture.h"

// Whether the file begins like an image of any kind; what a .npy file begins like is none.
rml_status rml_is_picture(const char *path, bool *out, rml_error *err);

// Whether `path` ends like an image.
bool rml_names_picture(const char *path);

// What a level v of 0..255 becomes, (v - mean) / deviation: MEAN/DEVIATION, for all colours or
// R,G,B/R,G,B, or a name: imagenet (mean and deviation of its pictures), unit (0..1), signed
// (-1..1: v/128 - 1), raw (0..255). False when the text is neither.
bool rml_values_parse(const char *text, float mean[3], float deviation[3]);

// An image of `channels` planes of such values: RGB or gray.
rml_meaning rml_values_meaning(int64_t channels, const float mean[3], const float deviation[3]);

// How many planes a port of this shape would have as an image: 1 or 3, or 0 where it is none. Sizes
// in front of them are 1 or free.
int rml_port_planes(const rml_shape *shape);

// Loads a picture for an input of this shape (-1: any size) as 8 bits, gray or RGB as the meaning
// has it: colours become gray as 0.299 R + 0.587 G + 0.114 B, gray is repeated, alpha is not looked
// at, and of 16 bits the upper 8 are taken. A picture of another size is scaled with `resize`
// (bilinear, averaging what it shrinks) and is an error without. `name` of the input is for
// messages. `out` must be empty.
rml_status rml_port_picture_load(rml_picture *out, const char *path, const char *name,
                                 const rml_shape *shape, const rml_meaning *meaning, bool resize,
                                 const rml_allocator *allocator, rml_error *err);

// Its planes, as numbers of the meaning, to planes[channels][height][width].
void rml_port_picture_planes(const rml_picture *picture, const rml_meaning *meaning, float *planes);

// Writes an output as the kind of image that `path` names: levels are rounded, halves to even, cut
// to 0..255, and 0 for what is no number. Refuses shapes that are not one image of the meaning's
// planes. Path and name are in front of messages.
rml_status rml_port_picture_save(const char *path, const char *name, const float *planes,
                                 const rml_shape *shape, const rml_meaning *meaning,
                                 const rml_allocator *allocator, rml_error *err);

#endif
