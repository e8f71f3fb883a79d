// The plans of a graph inside a node.
#include "engine/control_state.h"
#include "engine/planner.h"

// Where one sees ever other shapes, sizes that were not the same in the last two are left open: a
// plan for all that follow.
static void widen(const rml_control *at, const rml_plan *former)
{
    for (size_t i = 0; i < at->graph->input_count; i++) {
        const rml_shape *before = &former->facts[at->graph->inputs[i]].shape;
        rml_shape *shape = &at->wider[i].shape;
        at->wider[i] = at->facts[i];
        if (before->rank != shape->rank)
            shape->rank = RML_RANK_UNKNOWN;
        for (int k = 0; k < shape->rank; k++)
            if (before->dim[k] != shape->dim[k])
                shape->dim[k] = -1;
    }
}

static rml_status find_plan(rml_control *at, const rml_context *context, rml_error *err)
{
    const rml_fact *facts = at->facts;
    rml_plan *plan;
    int count = 0;
    if (rml_plan_recall(at->plans, facts))
        return RML_OK;
    for (plan = *at->plans; plan; plan = plan->older)
        count++;
    if (count == RML_MAX_PLANS) {
        widen(at, *at->plans);
        facts = at->wider;
    }
    RML_TRY(rml_plan_create(&plan, at->graph, facts, true, rml_memory_pool_room(&context->memory),
                            context, err));
    rml_plan_add(at->plans, plan);
    rml_plan_forget_oldest(at->plans);
    return RML_OK;
}

// Binds what is the same in every turn.
static void bind_all(rml_control *at)
{
    for (size_t i = 0; i < at->graph->input_count; i++)
        if (at->in[i])
            rml_plan_bind_view(at->body, i, at->in[i]);
}

rml_status rml_control_take_body(rml_control *at, rml_context *context, rml_error *err)
{
    if (at->body && rml_plan_fits(at->body, at->facts))
        return RML_OK;
    rml_memory_pool_give(&context->memory, at->block);
    at->block = NULL;
    at->body = NULL;
    RML_TRY(find_plan(at, context, err));
    RML_TRY(rml_memory_pool_take(&context->memory, (*at->plans)->bytes, &at->block, err));
    at->body = *at->plans;
    if (at->body->block != at->block)
        rml_plan_point(at->body, at->block);
    bind_all(at);
    return RML_OK;
}

rml_place *rml_control_output(const rml_control *at, int k)
{
    return &at->body->places[at->graph->outputs[k]];
}

void rml_control_bind_output(const rml_control *at, int k, void *memory)
{
    rml_plan_bind(at->body, at->graph->input_count + (size_t)k, memory);
}
