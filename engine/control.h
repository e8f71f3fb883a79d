// Nodes that run graphs inside them, by the rules of ONNX: if, loop, scan. What runs is told one
// graph after the other, so that whoever runs plans runs these too. The graph inside is closed:
// what it reads from outside comes as further inputs of the node, behind its own.
#ifndef RML_ENGINE_CONTROL_H
#define RML_ENGINE_CONTROL_H

#include "engine/plan.h"

// The step's inputs are there: step->args.in.
rml_status rml_control_begin(rml_plan *plan, rml_step *step, rml_context *context, rml_error *err);

// The plan to run now, its pointers set; or NULL: the outputs' values are set. To be called again
// after each run. A body is planned for the shapes it gets, and again only where they change.
rml_status rml_control_next(rml_plan *plan, rml_step *step, rml_context *context, rml_plan **body,
                            rml_error *err);

#endif
