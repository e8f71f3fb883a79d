// Running a session.
#include "engine/executor.h"
#include "engine/session.h"

static rml_status run(rml_session *session, rml_error *err)
{
    session->ran = false;
    if (session->plans->grows)
        rml_memory_pool_reset(&session->context.memory);
    rml_watch *watch = &session->context.watch;
    watch->done = 0;
    watch->depth = 0;
    watch->total = rml_plan_parts(session->plans);
    RML_TRY(rml_watch_go_on(watch, err));
    rml_session_load_inputs(session);
    RML_TRY(rml_plan_run(session->plans, &session->context, err));
    session->ran = true;
    return rml_session_store_outputs(session, err);
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
    rml_pool_enter(session->context.pool);
    const rml_status status = run(session, err);
    rml_pool_leave(session->context.pool);
    if (status == RML_ERR_CANCELLED)
        atomic_store(&session->cancelled, false);
    return status;
}

void rml_session_cancel(rml_session *session, bool cancel)
{
    atomic_store(&session->cancelled, cancel);
}
