// Values of dynamic steps.
#include "engine/plan.h"

#include <string.h>

// What the plan counts on must come, whatever a file says of a graph inside it.
static rml_status check(const rml_plan *plan, rml_value_id id, rml_dtype dtype,
                        const rml_shape *shape, rml_error *err)
{
    const rml_fact *fact = &plan->facts[id];
    char got[RML_SHAPE_TEXT_BYTES], want[RML_SHAPE_TEXT_BYTES];
    if (dtype == fact->dtype && (plan->places[id].dynamic || rml_shape_equal(shape, &fact->shape)))
        return RML_OK;
    return rml_fail(err, RML_ERR_SHAPE, "%s is %s %s, expected %s %s", plan->graph->values[id].name,
                    rml_dtype_name(dtype), rml_shape_text(shape, got), rml_dtype_name(fact->dtype),
                    rml_shape_text(&fact->shape, want));
}

rml_status rml_value_take(rml_plan *plan, rml_value_id id, rml_dtype dtype, const rml_shape *shape,
                          rml_context *context, rml_error *err)
{
    rml_place *place = &plan->places[id];
    size_t count;
    char text[RML_SHAPE_TEXT_BYTES];
    RML_TRY(check(plan, id, dtype, shape, err));
    if (!place->dynamic)
        return RML_OK;
    if (!rml_shape_count(shape, &count))
        return rml_fail(err, RML_ERR_LIMIT, "a tensor of shape %s is too large",
                        rml_shape_text(shape, text));
    RML_TRY(
        rml_memory_pool_take(&context->memory, count * rml_dtype_size(dtype), &place->memory, err));
    place->view = plan->graph->values[id].layout == RML_LAYOUT_CHANNELS_LAST
                      ? rml_tensor_make(place->memory, shape, RML_LAYOUT_CHANNELS_LAST)
                      : rml_tensor_typed(place->memory, dtype, shape);
    return RML_OK;
}

void rml_value_give(rml_plan *plan, rml_value_id id, rml_context *context)
{
    rml_memory_pool_give(&context->memory, plan->places[id].memory);
    plan->places[id].memory = NULL;
}

rml_status rml_value_set(rml_plan *plan, rml_value_id id, const rml_tensor *view, void *memory,
                         rml_context *context, rml_error *err)
{
    rml_place *place = &plan->places[id];
    const rml_shape shape = rml_tensor_shape(view);
    if (memory && place->dynamic) {
        RML_TRY(check(plan, id, view->dtype, &shape, err));
        place->view = *view;
        place->memory = memory;
        return RML_OK;
    }
    RML_TRY(rml_value_take(plan, id, view->dtype, &shape, context, err));
    if (rml_tensor_bytes(view))
        memcpy(place->view.raw, view->raw, rml_tensor_bytes(view));
    rml_memory_pool_give(&context->memory, memory);
    return RML_OK;
}
