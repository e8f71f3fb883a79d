// Running a session.
#include "engine/bands.h"
#include "engine/eager.h"
#include "engine/session.h"

static rml_observer observer_of(const rml_session *session)
{
    return (rml_observer){session->settings.observe, session->settings.observe_user};
}

// Without a plan: outputs get the memory they turn out to need, and are copied where bound.
static rml_status run_eagerly(rml_session *session, rml_error *err)
{
    const rml_graph *graph = rml_session_graph(session);
    const rml_eager eager = {session->model,
                             session->allocator,
                             &session->kernels,
                             session->pool,
                             rml_pool_threads(session->pool),
                             observer_of(session)};
    rml_tensor *in = rml_alloc(session->allocator, (graph->input_count + 1) * sizeof *in);
    if (!in)
        return rml_fail_nomem(err, graph->input_count * sizeof *in, "a run");
    for (size_t i = 0; i < graph->input_count; i++)
        in[i] = session->plans->places[graph->inputs[i]].view;
    rml_session_forget_results(session);
    rml_status status = rml_eager_run(&eager, graph, in, session->results, err);
    rml_free(session->allocator, in);
    for (size_t i = 0; i < graph->output_count && status == RML_OK; i++)
        status = rml_session_store_result(session, i, &session->results[i], err);
    return status;
}

static rml_status tell(const rml_session *session, const rml_step *step, rml_error *err)
{
    const rml_observer observer = observer_of(session);
    const rml_graph *graph = rml_session_graph(session);
    return rml_observe(&observer, graph, &graph->nodes[step->node], step->args.out,
                       session->allocator, err);
}

// Indices that only this run tells: inference refuses those that are out of range.
static rml_status check_elements(const rml_session *session, const rml_step *step, rml_error *err)
{
    enum { FEW = 8 };
    const rml_graph *graph = rml_session_graph(session);
    const rml_node *node = &graph->nodes[step->node];
    rml_fact in[FEW], out[RML_MAX_OUTPUTS];
    if (!rml_op_get(node->op)->checks_elements || node->in_count > FEW)
        return RML_OK;
    for (int k = 0; k < node->in_count; k++) {
        const rml_tensor *view = &step->args.in[k];
        in[k] =
            (rml_fact){.dtype = view->dtype, .shape = rml_tensor_shape(view), .data = view->raw};
    }
    return rml_graph_infer_node(graph, node, in, out, err);
}

static rml_status run_step(rml_session *session, const rml_step *step, rml_error *err)
{
    const double start = session->times ? rml_clock_ms() : 0;
    RML_TRY(check_elements(session, step, err));
    step->algorithm->run(&step->args);
    if (session->times) {
        rml_node_time *time = &session->times[step->node];
        time->total_ms += rml_clock_ms() - start;
        time->macs += step->macs;
        time->runs++;
    }
    return tell(session, step, err);
}

static rml_status run_sweep(rml_session *session, const rml_stage *stage, rml_error *err)
{
    const rml_plan *plan = session->plans;
    const rml_graph *graph = rml_session_graph(session);
    rml_bands_sweep(plan, graph, stage, session->block, session->times);
    for (size_t i = 0; i < plan->step_count; i++)
        if (stage->member[i] == RML_MEMBER_COMPUTE &&
            !plan->bands->banded[graph->nodes[plan->steps[i].node].out])
            RML_TRY(tell(session, &plan->steps[i], err));
    return RML_OK;
}

static rml_status run(rml_session *session, rml_error *err)
{
    const rml_plan *plan = session->plans;
    rml_session_load_inputs(session);
    if (!plan->concrete)
        return run_eagerly(session, err);
    const rml_bands *bands = plan->bands;
    for (size_t i = 0; i < (bands ? bands->stage_count : plan->step_count); i++)
        if (bands && bands->stages[i].sweep)
            RML_TRY(run_sweep(session, &bands->stages[i], err));
        else
            RML_TRY(run_step(session, &plan->steps[bands ? bands->stages[i].step : i], err));
    rml_session_store_outputs(session);
    return RML_OK;
}

rml_status rml_session_run(rml_session *session, rml_error *err)
{
    if (!session->ready)
        return rml_fail(err, RML_ERR_ARG, "the session is not prepared");
    if (!rml_session_has_block(session))
        return rml_fail(err, RML_ERR_ARG,
                        "the memory that the session shares has moved: prepare it again");
    rml_session_point(session);
    RML_TRY(rml_session_check_unfit(session, err));
    rml_pool_enter(session->pool);
    const rml_status status = run(session, err);
    rml_pool_leave(session->pool);
    return status;
}
