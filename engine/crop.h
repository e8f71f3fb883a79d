// Computing only some rows of an output: of each value no more than what is read for them.
//
// Plan, memory and algorithms are those of whole images, and rows are computed in the units in
// which an algorithm rounds together: what is computed has the bits of a whole run. The other rows
// of a value hold anything.
#ifndef RML_ENGINE_CROP_H
#define RML_ENGINE_CROP_H

#include "engine/plan.h"

// What the next run computes of each value, from the rows wanted of one output, which lie inside
// it. All, where steps are dynamic or go by bands.
rml_status rml_crop_plan(rml_plan *plan, rml_value_id output, rml_rows rows, rml_error *err);

// Runs a static step on the rows that are wanted of its output; false where those are all.
bool rml_crop_run(const rml_plan *plan, const rml_step *step);

// Multiplications of a step in the run at hand, from those of all rows.
uint64_t rml_crop_macs(const rml_plan *plan, const rml_step *step);

#endif
