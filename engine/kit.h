// What only some models need of passes and of the engine. A model names its kit, so that a static
// program of one network holds no more than that uses.
#ifndef RML_ENGINE_KIT_H
#define RML_ENGINE_KIT_H

#include "engine/bands.h"
#include "engine/context.h"
#include "graph/passes/passes.h"

struct rml_kit {
    const rml_pass_list *passes;
    // Large images in bands, where a session has a limit that the plain plan does not keep, see
    // bands.h. NULL, all three: such a limit is an error.
    rml_status (*bands_choose)(rml_plan *plan, const rml_graph *graph, size_t limit,
                               rml_error *err);
    size_t (*bands_count)(const rml_plan *plan, const rml_stage *stage);
    rml_status (*bands_sweep)(const rml_plan *plan, const rml_graph *graph, const rml_stage *stage,
                              char *block, rml_watch *watch, rml_error *err);
    // Only a region of an output, see crop.h. NULL, all three: always all.
    rml_status (*crop_plan)(rml_plan *plan, rml_value_id output, const rml_region *region,
                            rml_error *err);
    bool (*crop_run)(const rml_plan *plan, const rml_step *step);
    uint64_t (*crop_macs)(const rml_plan *plan, const rml_step *step);
    // Graphs inside nodes, see control.h. NULL, both: there are none.
    rml_status (*control_begin)(rml_plan *plan, rml_step *step, rml_context *context,
                                rml_error *err);
    rml_status (*control_next)(rml_plan *plan, rml_step *step, rml_context *context,
                               rml_plan **body, rml_error *err);
};

#endif
