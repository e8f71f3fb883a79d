#include "engine/control.h"

#include "engine/control_state.h"
#include "engine/planner.h"

#define MAX_TURNS ((int64_t)1 << 24) // of a loop whose condition never fails

static const rml_node *node_of(const rml_plan *plan, const rml_step *step)
{
    return &plan->graph->nodes[step->node];
}

static bool truth(const rml_tensor *view)
{
    return *(const uint8_t *)view->raw != 0;
}

// One element of the type that the node needs.
static rml_status check_single(const rml_node *node, rml_dtype got, const rml_shape *shape,
                               rml_dtype dtype, rml_error *err)
{
    size_t count = 0;
    rml_shape_count(shape, &count);
    if (got == dtype && count == 1)
        return RML_OK;
    return rml_fail(err, RML_ERR_SHAPE, "%s: %zu elements of %s, expected 1 of %s", node->name,
                    count, rml_dtype_name(got), rml_dtype_name(dtype));
}

static rml_status check_single_input(const rml_node *node, const rml_tensor *view, rml_dtype dtype,
                                     rml_error *err)
{
    const rml_shape shape = rml_tensor_shape(view);
    return check_single(node, view->dtype, &shape, dtype, err);
}

// ---- the graph inside ------------------------------------------------------------------------

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

// A plan for the inputs at hand, pointed into a block of the pool, what is the same in every turn
// bound: at->body. Nothing where the one there still fits.
static rml_status take_body(rml_control *at, rml_context *context, rml_error *err)
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

static rml_place *output_of(const rml_control *at, int k)
{
    return &at->body->places[at->graph->outputs[k]];
}

static void bind_output(const rml_control *at, int k, void *memory)
{
    rml_plan_bind(at->body, at->graph->input_count + (size_t)k, memory);
}

// ---- if ---------------------------------------------------------------------------------------

// Outputs of known shape are computed where the node's lie.
static rml_status enter_branch(rml_plan *plan, const rml_step *step, rml_context *context,
                               rml_error *err)
{
    const rml_node *node = node_of(plan, step);
    rml_control *at = step->control;
    RML_TRY(take_body(at, context, err));
    for (int k = 0; k < node->out_count; k++) {
        const rml_place *from = output_of(at, k);
        const rml_value_id to = node->out + (rml_value_id)k;
        if (from->dynamic)
            continue;
        RML_TRY(rml_value_take(plan, to, from->view.dtype,
                               &at->body->facts[at->graph->outputs[k]].shape, context, err));
        bind_output(at, k, plan->places[to].view.raw);
    }
    at->turn++;
    return RML_OK;
}

static rml_status leave_branch(rml_plan *plan, const rml_step *step, rml_context *context,
                               rml_error *err)
{
    const rml_node *node = node_of(plan, step);
    for (int k = 0; k < node->out_count; k++) {
        rml_place *from = output_of(step->control, k);
        if (!from->dynamic)
            continue;
        RML_TRY(rml_value_set(plan, node->out + (rml_value_id)k, &from->view, from->memory, context,
                              err));
        from->memory = NULL;
    }
    return RML_OK;
}

// ---- loop and scan ------------------------------------------------------------------------------

static void note_states(rml_control *at)
{
    for (int k = 0; k < at->states; k++) {
        at->facts[at->first_in + k].dtype = at->state[k].view.dtype;
        at->facts[at->first_in + k].shape = rml_tensor_shape(&at->state[k].view);
    }
}

// Sets what the body reads and where it writes in this turn.
static rml_status enter_turn(rml_plan *plan, const rml_step *step, rml_context *context,
                             rml_error *err)
{
    const rml_node *node = node_of(plan, step);
    rml_control *at = step->control;
    const int scans = at->first_in + at->states;
    note_states(at);
    RML_TRY(take_body(at, context, err));
    for (int k = 0; k < at->states; k++)
        rml_plan_bind_view(at->body, (size_t)(at->first_in + k), &at->state[k].view);
    for (int k = 0; k < at->scanned_count; k++) {
        rml_control_take_slice(at, node, k);
        rml_plan_bind_view(at->body, (size_t)(scans + k), &at->slice[k].part);
    }
    if (at->first_out && !output_of(at, 0)->dynamic) {
        const rml_fact *fact = &at->body->facts[at->graph->outputs[0]];
        RML_TRY(check_single(node, fact->dtype, &fact->shape, RML_BOOL, err));
        bind_output(at, 0, &at->go_on);
    }
    for (int k = at->first_out; (size_t)k < at->graph->output_count; k++) {
        const rml_place *from = output_of(at, k);
        const rml_shape *shape = &at->body->facts[at->graph->outputs[k]].shape;
        const int state = k - at->first_out, stacked = state - at->states;
        if (from->dynamic)
            continue;
        if (stacked < 0) {
            rml_held *next = &at->next[state];
            next->view = rml_tensor_typed(NULL, from->view.dtype, shape);
            RML_TRY(rml_memory_pool_take(&context->memory, rml_tensor_bytes(&next->view),
                                         &next->memory, err));
            bind_output(at, k, next->memory);
        } else {
            RML_TRY(
                rml_control_make_room(at, node, stacked, shape, from->view.dtype, context, err));
            bind_output(at, k, rml_control_slot(at, node, stacked));
        }
    }
    return RML_OK;
}

// Takes what the body computed.
static rml_status leave_turn(rml_plan *plan, const rml_step *step, rml_context *context,
                             rml_error *err)
{
    const rml_node *node = node_of(plan, step);
    rml_control *at = step->control;
    if (at->first_out && output_of(at, 0)->dynamic) {
        const rml_tensor *view = &output_of(at, 0)->view;
        RML_TRY(check_single_input(node, view, RML_BOOL, err));
        at->go_on = truth(view);
        rml_value_give(at->body, at->graph->outputs[0], context);
    }
    for (int k = at->first_out; (size_t)k < at->graph->output_count; k++) {
        rml_place *from = output_of(at, k);
        const int state = k - at->first_out, stacked = state - at->states;
        if (stacked < 0) {
            rml_memory_pool_give(&context->memory, at->state[state].memory);
            at->state[state] =
                from->dynamic ? (rml_held){from->view, from->memory} : at->next[state];
            at->state[state].view.raw = from->view.raw;
            from->memory = NULL;
        } else if (from->dynamic) {
            const rml_shape shape = rml_tensor_shape(&from->view);
            RML_TRY(
                rml_control_make_room(at, node, stacked, &shape, from->view.dtype, context, err));
            rml_control_put_slice(at, node, stacked, from->view.raw);
            rml_value_give(at->body, at->graph->outputs[k], context);
        } else if (at->stacks[stacked].part_memory) {
            rml_control_put_slice(at, node, stacked, at->stacks[stacked].part_memory);
        }
    }
    at->go = at->go_on;
    at->turn++;
    return RML_OK;
}

static rml_status end_turns(rml_plan *plan, const rml_step *step, rml_context *context,
                            rml_error *err)
{
    const rml_node *node = node_of(plan, step);
    rml_control *at = step->control;
    if (at->turn == 0) {
        note_states(at);
        RML_TRY(rml_control_describe_unrun(at, node, context, err));
    }
    for (int k = 0; k < at->stack_count; k++)
        RML_TRY(rml_control_give_stack(plan, step, k, context, err));
    for (int k = 0; k < at->states; k++)
        RML_TRY(rml_value_set(plan, node->out + (rml_value_id)k, &at->state[k].view,
                              at->state[k].memory, context, err));
    for (int k = 0; k < at->scanned_count; k++)
        rml_memory_pool_give(&context->memory, at->slice[k].memory);
    return RML_OK;
}

// ---- beginning ----------------------------------------------------------------------------------

static void *take(rml_plan *plan, size_t count, size_t element_bytes)
{
    return rml_arena_alloc(&plan->arena, count ? count : 1, element_bytes);
}

// Room for what a step keeps while it runs, made with its first run.
static rml_status make_control(rml_plan *plan, rml_step *step, rml_error *err)
{
    const rml_node *node = node_of(plan, step);
    const rml_control_attr *attr = &node->attr.control;
    const size_t states = (size_t)attr->states, stacks = (size_t)(node->out_count - attr->states);
    size_t inputs = attr->body[0]->input_count;
    if (attr->body[1] && attr->body[1]->input_count > inputs)
        inputs = attr->body[1]->input_count;
    rml_control *at = take(plan, 1, sizeof *at);
    if (!at)
        return rml_fail_nomem(err, sizeof *at, "a graph inside a node");
    at->facts = take(plan, inputs, sizeof *at->facts);
    at->wider = take(plan, inputs, sizeof *at->wider);
    at->in = take(plan, inputs, sizeof *at->in);
    at->state = take(plan, states, sizeof *at->state);
    at->next = take(plan, states, sizeof *at->next);
    at->slice = take(plan, (size_t)attr->scanned, sizeof *at->slice);
    at->stacks = take(plan, stacks, sizeof *at->stacks);
    if (!at->facts || !at->wider || !at->in || !at->state || !at->next || !at->slice || !at->stacks)
        return rml_fail_nomem(err, inputs * sizeof *at->facts, "a graph inside a node");
    step->control = at;
    return RML_OK;
}

// What a body reads from outside, from its input `to` on: inputs `from` on of the node.
static void capture(rml_plan *plan, const rml_step *step, size_t to, int from)
{
    rml_control *at = step->control;
    for (; to < at->graph->input_count; to++, from++) {
        const rml_tensor *view = &step->args.in[from];
        const rml_fact *known = &plan->facts[node_of(plan, step)->in[from]];
        at->in[to] = view;
        at->facts[to] = (rml_fact){.dtype = view->dtype,
                                   .shape = rml_tensor_shape(view),
                                   .data = known->data,
                                   .constant = known->constant};
    }
}

static rml_status begin_loop(rml_control *at, const rml_node *node, const rml_tensor *own,
                             rml_error *err)
{
    const rml_shape one = {0};
    at->limit = INT64_MAX;
    at->go = 1;
    at->first_in = 2;
    at->first_out = 1;
    if (own[0].rank >= 0) {
        RML_TRY(check_single_input(node, &own[0], RML_I64, err));
        at->limit = *(const int64_t *)own[0].raw;
    }
    if (own[1].rank >= 0) {
        RML_TRY(check_single_input(node, &own[1], RML_BOOL, err));
        at->go = truth(&own[1]);
    }
    at->scalar[0] = rml_tensor_typed(&at->turn, RML_I64, &one);
    at->scalar[1] = rml_tensor_typed(&at->go, RML_BOOL, &one);
    for (int k = 0; k < 2; k++) {
        at->in[k] = &at->scalar[k];
        at->facts[k] = (rml_fact){.dtype = at->scalar[k].dtype};
    }
    return RML_OK;
}

rml_status rml_control_begin(rml_plan *plan, rml_step *step, rml_context *context, rml_error *err)
{
    const rml_node *node = node_of(plan, step);
    const rml_control_attr *attr = &node->attr.control;
    const rml_tensor *own = step->args.in;
    if (!step->control)
        RML_TRY(make_control(plan, step, err));
    rml_control *at = step->control;
    *at = (rml_control){.facts = at->facts,
                        .wider = at->wider,
                        .in = at->in,
                        .state = at->state,
                        .next = at->next,
                        .slice = at->slice,
                        .stacks = at->stacks};
    bool then = true;
    if (node->op == RML_OP_IF) {
        RML_TRY(check_single_input(node, &own[0], RML_BOOL, err));
        then = truth(&own[0]);
    }
    at->graph = attr->body[then ? 0 : 1];
    at->plans = &step->bodies[then ? 0 : 1];
    if (node->op == RML_OP_IF) {
        capture(plan, step, 0, 1 + (then ? 0 : (int)attr->body[0]->input_count));
        return RML_OK;
    }
    at->states = attr->states;
    at->stack_count = node->out_count - attr->states;
    at->scanned_count = attr->scanned;
    if (node->op == RML_OP_LOOP)
        RML_TRY(begin_loop(at, node, own, err));
    for (int k = 0; k < at->states; k++) {
        at->state[k] = (rml_held){.view = own[at->first_in + k]};
        if (at->state[k].view.rank < 0)
            return rml_fail(err, RML_ERR_SHAPE, "%s: state %d is not there", node->name, k);
        at->in[at->first_in + k] = NULL;
        at->facts[at->first_in + k] = (rml_fact){0};
    }
    for (int k = 0; k < at->stack_count; k++)
        at->stacks[k] = (rml_stack){0};
    const int scans = at->first_in + at->states;
    RML_TRY(rml_control_begin_slices(at, node, own + scans, context, err));
    for (int k = 0; k < at->scanned_count; k++) {
        at->in[scans + k] = NULL;
        at->facts[scans + k] = (rml_fact){.dtype = at->slice[k].part.dtype,
                                          .shape = rml_tensor_shape(&at->slice[k].part)};
    }
    capture(plan, step, (size_t)(scans + at->scanned_count), scans + at->scanned_count);
    return RML_OK;
}

rml_status rml_control_next(rml_plan *plan, rml_step *step, rml_context *context, rml_plan **body,
                            rml_error *err)
{
    const rml_node *node = node_of(plan, step);
    rml_control *at = step->control;
    const bool branch = node->op == RML_OP_IF, loop = node->op == RML_OP_LOOP;
    *body = NULL;
    if (at->body)
        RML_TRY(branch ? leave_branch(plan, step, context, err)
                       : leave_turn(plan, step, context, err));
    const bool more = branch ? at->turn == 0 : at->turn < at->limit && (at->go || !loop);
    if (!more) {
        if (!branch)
            RML_TRY(end_turns(plan, step, context, err));
        rml_memory_pool_give(&context->memory, at->block);
        return RML_OK;
    }
    if (loop && at->turn == MAX_TURNS)
        return rml_fail(err, RML_ERR_LIMIT, "%s: more than %lld turns", node->name,
                        (long long)MAX_TURNS);
    RML_TRY(branch ? enter_branch(plan, step, context, err) : enter_turn(plan, step, context, err));
    *body = at->body;
    return RML_OK;
}
