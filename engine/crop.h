// Computing only a region of an output: of each value no more than what is read for it.
//
// Plan, memory and algorithms are those of whole images, and regions are computed in the units in
// which an algorithm rounds together: what is computed has the bits of a whole run. The rest of a
// value holds anything.
#ifndef RML_ENGINE_CROP_H
#define RML_ENGINE_CROP_H

#include "engine/plan.h"

// What the next run computes of each value, from the region wanted of one output, which lies inside
// it. All, where steps are dynamic or go by bands.
rml_status rml_crop_plan(rml_plan *plan, rml_value_id output, const rml_region *region,
                         rml_error *err);

// Runs a static step on the region that is wanted of its output; false where that is all.
bool rml_crop_run(const rml_plan *plan, const rml_step *step);

// Multiplications of a step in the run at hand, from those of the whole.
uint64_t rml_crop_macs(const rml_plan *plan, const rml_step *step);

#endif
