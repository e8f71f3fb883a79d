// Running a plan: its steps one after the other, or stage by stage where it has bands.
#ifndef RML_ENGINE_EXECUTOR_H
#define RML_ENGINE_EXECUTOR_H

#include "engine/plan.h"

// The plan's pointers are set. Dynamic outputs lie in their places until the pool is reset, as does
// what a run that failed had taken.
rml_status rml_plan_run(rml_plan *plan, rml_context *context, rml_error *err);

// What a run's watch counts: steps, and the bands of sweeps.
size_t rml_plan_parts(const rml_plan *plan);

#endif
