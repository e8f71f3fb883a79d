// Running a plan: its steps one after the other, or stage by stage where it has bands.
#include "engine/kit.h"
#include "engine/planner.h"

// ---- what a step asks of its inputs' elements ---------------------------------------------------

// What is known of a step's inputs: everything, where they are plain and there.
static const rml_fact *facts_of(const rml_plan *plan, const rml_step *step)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    for (int k = 0; k < node->in_count; k++) {
        const rml_tensor *in = &step->args.in[k];
        rml_fact *fact = &plan->in_facts[k];
        *fact = (rml_fact){.shape.rank = -1};
        if (node->in[k] == RML_NO_VALUE)
            continue;
        *fact = (rml_fact){.dtype = in->dtype,
                           .shape = rml_tensor_shape(in),
                           .constant = step->args.constants[k] != NULL};
        if (plan->graph->values[node->in[k]].layout == RML_LAYOUT_PLAIN)
            fact->data = in->raw;
    }
    return plan->in_facts;
}

static rml_status infer(const rml_plan *plan, const rml_step *step, rml_error *err)
{
    return rml_graph_infer_node(plan->graph, &plan->graph->nodes[step->node], facts_of(plan, step),
                                plan->out_facts, err);
}

// Indices that only this run tells: inference refuses those that are out of range. Constants are
// looked at once.
static rml_status check_elements(const rml_plan *plan, rml_step *step, rml_error *err)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    bool constant = true;
    if (step->checked)
        return RML_OK;
    RML_TRY(infer(plan, step, err));
    for (int k = 1; k < node->in_count; k++)
        constant = constant && (node->in[k] == RML_NO_VALUE || step->args.constants[k]);
    step->checked = constant;
    return RML_OK;
}

// ---- steps --------------------------------------------------------------------------------------

// Shapes, memory, algorithm and weights as planning finds them, from what is there by now.
static rml_status compute(rml_plan *plan, rml_step *step, rml_context *context, rml_error *err)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    rml_tensor *out = (rml_tensor *)(uintptr_t)step->args.out; // in the plan's arena, as `in`
    void *scratch = NULL;
    size_t bytes;
    RML_TRY(infer(plan, step, err));
    for (int k = 0; k < node->out_count; k++) {
        const rml_fact *fact = &plan->out_facts[k];
        const rml_value_id id = node->out + (rml_value_id)k;
        RML_TRY(rml_value_take(plan, id, fact->dtype, &fact->shape, context, err));
        out[k] = plan->places[id].view;
    }
    if (rml_op_writes_nothing(&step->args, node->out_count))
        return RML_OK;
    RML_TRY(rml_plan_choose(plan, step, context, &bytes, err));
    if (bytes)
        RML_TRY(rml_memory_pool_take(&context->memory, bytes, &scratch, err));
    step->args.scratch = scratch;
    step->algorithm->run(&step->args);
    rml_memory_pool_give(&context->memory, scratch);
    return RML_OK;
}

static rml_status run_bodies(rml_plan *plan, rml_step *step, rml_context *context, rml_error *err)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    rml_plan *body;
    RML_TRY(context->model->kit->control_begin(plan, step, context, err));
    for (;;) {
        RML_TRY(context->model->kit->control_next(plan, step, context, &body, err));
        if (!body)
            break;
        context->watch.depth++;
        RML_TRY(rml_plan_run(body, context, err));
        context->watch.depth--;
    }
    for (int k = 0; k < node->out_count; k++)
        ((rml_tensor *)(uintptr_t)step->args.out)[k] =
            plan->places[node->out + (rml_value_id)k].view;
    return RML_OK;
}

static rml_status run_dynamic(rml_plan *plan, rml_step *step, rml_context *context, rml_error *err)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    rml_tensor *in = (rml_tensor *)(uintptr_t)step->args.in;
    for (int k = 0; k < node->in_count; k++)
        if (node->in[k] != RML_NO_VALUE)
            in[k] = plan->places[node->in[k]].view;
    return node->def->control ? run_bodies(plan, step, context, err)
                              : compute(plan, step, context, err);
}

// Dynamic values that nobody reads any more.
static void give_back(rml_plan *plan, const rml_step *step, rml_context *context)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    for (int k = 0; k < node->out_count; k++)
        if (plan->last[node->out + (rml_value_id)k] == step->node)
            rml_value_give(plan, node->out + (rml_value_id)k, context);
    for (int k = 0; k < node->in_count; k++)
        if (node->in[k] != RML_NO_VALUE && plan->last[node->in[k]] == step->node)
            rml_value_give(plan, node->in[k], context);
}

static rml_status observe(const rml_plan *plan, const rml_step *step, const rml_context *context,
                          rml_error *err)
{
    return rml_observe(&context->observer, plan->graph, &plan->graph->nodes[step->node],
                       step->args.out, context->allocator, err);
}

// Time since `start`, without that of nodes inside, which count their own.
static void count_time(const rml_plan *plan, const rml_step *step, double start, double inside,
                       rml_context *context)
{
    rml_node_time *time = &plan->times[step->node];
    const double elapsed = rml_clock_ms() - start;
    time->total_ms += elapsed - (context->measured_ms - inside);
    time->macs +=
        context->model->kit->crop_macs ? context->model->kit->crop_macs(plan, step) : step->macs;
    time->runs++;
    context->measured_ms = inside + elapsed;
}

static rml_status run_step(rml_plan *plan, rml_step *step, rml_context *context, rml_error *err)
{
    const double start = plan->times ? rml_clock_ms() : 0, inside = context->measured_ms;
    if (step->dynamic) {
        RML_TRY(run_dynamic(plan, step, context, err));
    } else {
        if (plan->graph->nodes[step->node].def->checks_elements)
            RML_TRY(check_elements(plan, step, err));
        const rml_kit *kit = context->model->kit;
        if (!kit->crop_run || !kit->crop_run(plan, step))
            step->algorithm->run(&step->args);
    }
    if (plan->times)
        count_time(plan, step, start, inside, context);
    RML_TRY(observe(plan, step, context, err));
    if (step->dynamic)
        give_back(plan, step, context);
    return RML_OK;
}

static rml_status run_sweep(const rml_plan *plan, const rml_stage *stage, rml_context *context,
                            rml_error *err)
{
    const double start = plan->times ? rml_clock_ms() : 0;
    RML_TRY(context->model->kit->bands_sweep(plan, plan->graph, stage, plan->block, &context->watch,
                                             err));
    if (plan->times)
        context->measured_ms += rml_clock_ms() - start;
    for (size_t i = 0; i < plan->step_count; i++)
        if (stage->member[i] == RML_MEMBER_COMPUTE &&
            !plan->bands->banded[plan->graph->nodes[plan->steps[i].node].out])
            RML_TRY(observe(plan, &plan->steps[i], context, err));
    return RML_OK;
}

size_t rml_plan_parts(const rml_plan *plan, const rml_kit *kit)
{
    size_t parts = 0;
    if (!plan->bands)
        return plan->step_count;
    for (size_t i = 0; i < plan->bands->stage_count; i++)
        parts += plan->bands->stages[i].sweep ? kit->bands_count(plan, &plan->bands->stages[i]) : 1;
    return parts;
}

rml_status rml_plan_run(rml_plan *plan, rml_context *context, rml_error *err)
{
    const rml_bands *bands = plan->bands;
    for (size_t i = 0; i < (bands ? bands->stage_count : plan->step_count); i++)
        if (bands && bands->stages[i].sweep) {
            RML_TRY(run_sweep(plan, &bands->stages[i], context, err));
        } else {
            RML_TRY(rml_watch_go_on(&context->watch, err));
            RML_TRY(run_step(plan, &plan->steps[bands ? bands->stages[i].step : i], context, err));
            rml_watch_done(&context->watch);
        }
    return RML_OK;
}
