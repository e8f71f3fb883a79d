// Which part of what a network made of a face a mask lets through.
#ifndef RML_PIPELINES_LIPSYNC_FACE_REACH_H
#define RML_PIPELINES_LIPSYNC_FACE_REACH_H

#include "media/image/frame.h"

// The smallest part outside which all levels are 0; empty where all are.
rml_part rml_levels_bounds(const uint8_t *levels, int width, int height);

// Where `part` of a drawn mask of from_width x from_height may reach once it is stretched over a
// crop (rml_mask_stretch); it may hang over the crop's edges.
rml_part rml_stretched_reach(rml_part part, int from_width, int from_height, int width, int height);

// Of the side x side pixels that a network made, those that `part` of a crop of width x height,
// and the pixels up to `beside` it, are made of: a pixel at least.
rml_part rml_network_reach(rml_part part, int width, int height, int beside, int side);

#endif
