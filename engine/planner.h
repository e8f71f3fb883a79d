// Making plans, and lists of them.
#ifndef RML_ENGINE_PLANNER_H
#define RML_ENGINE_PLANNER_H

#include "engine/plan.h"

#define RML_MAX_PLANS 4 // kept for shapes that come back, the latest used first

// `inputs`: one a graph input, in its order; shapes that are not known yet make its readers
// dynamic, elements that are known must outlive the plan. Packs weights that are not packed yet.
// Images are computed in bands where the plan would exceed `limit` bytes (0: none) otherwise;
// RML_ERR_LIMIT when it does all the same.
rml_status rml_plan_create(rml_plan **out, const rml_graph *graph, const rml_fact *inputs,
                           bool nested, size_t limit, const rml_context *context, rml_error *err);
void rml_plan_destroy(rml_plan **plan);

// Chooses the algorithm for the views in step->args and packs its weights. *scratch: bytes it
// needs.
rml_status rml_plan_choose(rml_plan *plan, rml_step *step, const rml_context *context,
                           size_t *scratch, rml_error *err);

// ---- lists of plans -----------------------------------------------------------------------------

// Whether the plan is for inputs of these types and shapes, and what it streams is bound.
bool rml_plan_fits(const rml_plan *plan, const rml_fact *inputs);

// Moves the plan that fits to the front of the list; false when there is none.
bool rml_plan_recall(rml_plan **list, const rml_fact *inputs);
void rml_plan_to_front(rml_plan **list, rml_plan **at); // `at`: in the list
void rml_plan_add(rml_plan **list, rml_plan *plan);
void rml_plan_drop_newest(rml_plan **list);
void rml_plan_forget_oldest(rml_plan **list); // beyond RML_MAX_PLANS

#endif
