// Regions of images: what of its inputs a part of a step's output reads, and how the step's
// operator runs on that part alone.
//
// A region is a range of rows and one of columns. One that begins and ends at multiples of
// rml_region_unit, or at the end, gets the bits of the whole image.
#ifndef RML_ENGINE_REGION_H
#define RML_ENGINE_REGION_H

#include "engine/plan.h"

#define RML_REGION_MAX_INPUTS 16 // of a node that is run in parts

// Whether a part of the output sees input `index` cut along an axis (RML_ROWS or RML_COLUMNS);
// otherwise whole, or its shape.
bool rml_region_cuts(const rml_plan *plan, const rml_node *node, int index, int axis);

// Of such an input what `out` of the output needs along the axis; inside the input.
rml_range rml_region_reads(const rml_plan *plan, const rml_graph *graph, const rml_step *step,
                           int index, int axis, rml_range out);

// How many rows or columns are computed together.
int64_t rml_region_unit(const rml_plan *plan, const rml_node *node, const rml_step *step, int axis);

// How often a resize repeats rows and columns; false where it does anything else.
bool rml_region_repeats(const rml_plan *plan, const rml_node *node, int64_t times[2]);

// Computes a part of a step's output, which is not a norm's: `in` are views of what it sees of each
// input, `out` is one of the part.
void rml_region_compute(const rml_plan *plan, const rml_graph *graph, const rml_step *step,
                        const rml_region *part, const rml_tensor *in, const rml_tensor *out,
                        char *scratch);

#endif
