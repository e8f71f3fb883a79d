// Preparing a session: a plan for the shapes set, and memory for it.
#include "engine/session.h"
#include "tensor/format.h"

rml_status rml_session_resize(rml_session *session, const char *input, rml_shape shape,
                              rml_error *err)
{
    const size_t index = rml_model_find_input(session->context.model, input);
    if (index == RML_NO_PORT)
        return rml_fail(err, RML_ERR_ARG, "there is no input \"%s\"", input);
    return rml_session_resize_at(session, index, shape, err);
}

rml_status rml_session_resize_at(rml_session *session, size_t index, rml_shape shape,
                                 rml_error *err)
{
    const rml_graph *graph = rml_session_graph(session);
    char got[RML_SHAPE_TEXT_BYTES], want[RML_SHAPE_TEXT_BYTES];
    if (index >= rml_model_input_count(session->context.model))
        return rml_fail(err, RML_ERR_ARG, "input %zu is set, and there are %zu", index,
                        rml_model_input_count(session->context.model));
    const rml_value *input = &graph->values[graph->inputs[index]];
    const rml_shape *declared = &input->shape;
    bool fits = shape.rank >= 0 && shape.rank <= RML_MAX_RANK &&
                (declared->rank == RML_RANK_UNKNOWN || shape.rank == declared->rank);
    for (int i = 0; i < declared->rank && fits; i++)
        fits = shape.dim[i] >= 0 && (declared->dim[i] < 0 || declared->dim[i] == shape.dim[i]);
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "input %s is %s, expected %s", input->name,
                        rml_shape_text(&shape, got), rml_shape_text(declared, want));
    RML_TRY(rml_value_check_limits(input, &shape, err));
    session->inputs[index].shape = shape;
    return RML_OK;
}

bool rml_session_has_block(const rml_session *session)
{
    return !session->settings.shared || session->block == session->settings.shared->data;
}

// A block for the plan: kept while it is large enough and not more than twice as large.
static rml_status make_block(rml_session *session, const rml_plan *plan, rml_error *err)
{
    const size_t bytes = plan->bytes ? plan->bytes : RML_ALIGNMENT;
    if (session->settings.memory) {
        if (plan->bytes > session->settings.memory_bytes)
            return rml_fail(err, RML_ERR_LIMIT,
                            "the plan needs %zu bytes, the memory given has %zu", plan->bytes,
                            session->settings.memory_bytes);
        session->block = session->settings.memory;
        session->block_bytes = session->settings.memory_bytes;
        return RML_OK;
    }
    if (session->settings.shared) {
        RML_TRY(rml_shared_block_reserve(session->settings.shared, bytes, err));
        session->block = session->settings.shared->data;
        session->block_bytes = session->settings.shared->bytes;
        return RML_OK;
    }
    if (session->block && bytes <= session->block_bytes && session->block_bytes / 2 <= bytes)
        return RML_OK;
    char *block = rml_alloc(session->context.allocator, bytes);
    if (!block)
        return rml_fail_nomem(err, bytes, "activations and scratch");
    if (session->block_owned)
        rml_free(session->context.allocator, session->block);
    session->block = block;
    session->block_bytes = bytes;
    session->block_owned = true;
    return RML_OK;
}

static void log_plan(const rml_session *session, const rml_plan *plan)
{
    char line[160];
    rml_format(
        line, sizeof line,
        "planned %zu steps, %.3f GMAC, %zu bytes of activations and scratch, %zu bytes of packed "
        "weights, %s, %d threads",
        plan->step_count, (double)plan->macs * 1e-9, plan->bytes, plan->packed_bytes,
        rml_cpu_level_name(session->kernels.level), session->context.threads);
    session->settings.log(session->settings.log_user, line);
}

// Plans for the shapes set; the plan becomes the first of the list.
static rml_status add_plan(rml_session *session, rml_error *err)
{
    rml_plan *plan;
    RML_TRY(rml_plan_create(&plan, rml_session_graph(session), session->inputs, false,
                            session->settings.memory_limit, &session->context, err));
    rml_plan_add(&session->plans, plan);
    if (session->settings.log)
        log_plan(session, plan);
    return RML_OK;
}

// After a failure: the former plan and its shapes, for which the block still fits.
static void go_back(rml_session *session, const rml_plan *former)
{
    const rml_graph *graph = rml_session_graph(session);
    if (!former)
        return;
    for (size_t i = 0; i < graph->input_count; i++)
        session->inputs[i].shape = former->facts[graph->inputs[i]].shape;
    for (rml_plan **at = &session->plans; *at; at = &(*at)->older)
        if (*at == former) {
            rml_plan_to_front(&session->plans, at);
            break;
        }
}

rml_status rml_session_prepare(rml_session *session, rml_error *err)
{
    const rml_graph *graph = rml_session_graph(session);
    const rml_plan *former = session->ready ? session->plans : NULL;
    if (former && rml_plan_fits(former, session->inputs) && rml_session_has_block(session))
        return RML_OK;
    for (size_t i = 0; i < graph->input_count; i++)
        if (!rml_shape_known(&session->inputs[i].shape)) {
            char text[RML_SHAPE_TEXT_BYTES];
            return rml_fail(err, RML_ERR_SHAPE, "input %s has shape %s: set its size first",
                            graph->values[graph->inputs[i]].name,
                            rml_shape_text(&session->inputs[i].shape, text));
        }
    const bool recalled = rml_plan_recall(&session->plans, session->inputs);
    rml_status status = RML_OK;
    if (!recalled) {
        rml_pool_enter(session->context.pool);
        status = add_plan(session, err);
        rml_pool_leave(session->context.pool);
    }
    if (status == RML_OK) {
        status = make_block(session, session->plans, err);
        if (status != RML_OK && !recalled)
            rml_plan_drop_newest(&session->plans);
    }
    if (status != RML_OK) {
        go_back(session, former);
        return status;
    }
    rml_plan_forget_oldest(&session->plans);
    session->ready = true;
    session->ran = false;
    session->context.memory.planned = session->plans->bytes;
    rml_memory_pool_reset(&session->context.memory);
    session->pointed = false;
    rml_session_point(session);
    return RML_OK;
}
