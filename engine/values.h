// The outputs of dynamic steps.
#ifndef RML_ENGINE_VALUES_H
#define RML_ENGINE_VALUES_H

#include "engine/plan.h"

// Makes room for a value: where it is planned, otherwise from the pool. Sets its view.
rml_status rml_value_take(rml_plan *plan, rml_value_id id, rml_dtype dtype, const rml_shape *shape,
                          rml_context *context, rml_error *err);

// Gives back what a dynamic value has of the pool.
void rml_value_give(rml_plan *plan, rml_value_id id, rml_context *context);

// Makes the elements of a plain view the value's. `memory`, of the pool, holds them and goes over
// to the value; NULL: they are copied.
rml_status rml_value_set(rml_plan *plan, rml_value_id id, const rml_tensor *view, void *memory,
                         rml_context *context, rml_error *err);

#endif
