// Inputs and outputs of a session: where they lie, and the caller's memory for them. Ports count
// the inputs first, then the outputs.
#include "engine/session.h"

#define MAX_CHANNELS 4096 // that a view may scale one by one

// As planned.
static const rml_shape *port_shape(const rml_session *session, size_t port)
{
    return &session->plans->facts[rml_port_value(rml_session_graph(session), port)].shape;
}

static const char *port_name(const rml_session *session, size_t port)
{
    const rml_graph *graph = rml_session_graph(session);
    return port < graph->input_count ? graph->values[graph->inputs[port]].name
                                     : graph->output_names[port - graph->input_count];
}

static rml_status fail_port(const rml_session *session, size_t port, rml_status status,
                            const char *what, size_t wants, size_t has, rml_error *err)
{
    return rml_fail(err, status, "%s %s has %zu %s, and what is bound to it has %zu",
                    port < rml_session_graph(session)->input_count ? "input" : "output",
                    port_name(session, port), wants, what, has);
}

// ---- what is bound ------------------------------------------------------------------------------

// Whether a view fits a port of this shape: nothing is read or written outside of its bytes.
static rml_status check_fit(const rml_session *session, size_t port, const rml_tensor_view *view,
                            const rml_shape *shape, rml_error *err)
{
    const int axis = view->channel_axis;
    if (view->rank && view->rank != shape->rank)
        return fail_port(session, port, RML_ERR_SHAPE, "dimensions", (size_t)shape->rank,
                         (size_t)view->rank, err);
    if (view->channels > 1 && (axis >= shape->rank || shape->dim[axis] != view->channels))
        return fail_port(session, port, RML_ERR_SHAPE, "channels",
                         axis < shape->rank ? (size_t)shape->dim[axis] : 0, (size_t)view->channels,
                         err);
    const size_t needed = rml_view_bytes(view, shape);
    if (needed > view->bytes)
        return fail_port(session, port, RML_ERR_LIMIT, "bytes", needed, view->bytes, err);
    return RML_OK;
}

rml_status rml_session_check_unfit(const rml_session *session, rml_error *err)
{
    const size_t port = session->unfit;
    if (port == SIZE_MAX)
        return RML_OK;
    if (!session->bound[port])
        return rml_fail(err, RML_ERR_ARG,
                        "%s was bound when the session was prepared, and nothing is bound to it "
                        "now: prepare it again",
                        port_name(session, port));
    return check_fit(session, port, &session->bound[port]->view, port_shape(session, port), err);
}

static bool is_planned(const rml_session *session, size_t port)
{
    return !session->plans->places[rml_port_value(rml_session_graph(session), port)].dynamic;
}

void rml_session_point(rml_session *session)
{
    const rml_graph *graph = rml_session_graph(session);
    rml_plan *plan = session->plans;
    if (session->pointed)
        return;
    session->unfit = SIZE_MAX;
    session->copied = 0;
    for (size_t i = 0; i < graph->input_count + graph->output_count; i++) {
        const rml_value_id id = rml_port_value(graph, i);
        rml_binding *bound = session->bound[i];
        const bool streamed = plan->places[id].streamed;
        plan->places[id].bound = NULL;
        if (!bound && streamed && session->unfit == SIZE_MAX)
            session->unfit = i;
        if (!bound)
            continue;
        if (!is_planned(session, i)) {
            bound->direct = false;
            session->copied++;
            continue;
        }
        const rml_shape *shape = port_shape(session, i);
        if (check_fit(session, i, &bound->view, shape, NULL) != RML_OK) {
            session->unfit = session->unfit == SIZE_MAX ? i : session->unfit;
            bound->direct = false;
            continue;
        }
        bound->direct = rml_binding_is_direct(bound, plan->facts[id].dtype, shape);
        session->copied += !bound->direct && !streamed;
        if (bound->direct && !streamed)
            plan->places[id].bound = bound->view.data;
    }
    rml_plan_point(plan, session->block);
    session->pointed = true;
}

rml_tensor_view rml_tensor_view_default(void)
{
    return (rml_tensor_view){.size = sizeof(rml_tensor_view)};
}

static rml_status check_view(const rml_session *session, size_t port, const rml_tensor_view *view,
                             rml_error *err)
{
    const rml_graph *graph = rml_session_graph(session);
    const bool input = port < graph->input_count;
    const rml_dtype dtype = graph->values[rml_port_value(graph, port)].dtype;
    bool ok = view->rank >= 0 && view->rank <= RML_MAX_RANK && rml_dtype_size(view->dtype) > 0 &&
              view->channels >= 0 && view->channels <= MAX_CHANNELS && view->channel_axis >= 0;
    for (int k = 0; ok && k < view->rank; k++)
        ok = view->stride[k] >= 0 && (uint64_t)view->stride[k] <= SIZE_MAX;
    if (!ok)
        return rml_fail(err, RML_ERR_ARG,
                        "a view has a rank to %d, strides from 0, a type, and 0 to %d channels",
                        RML_MAX_RANK, MAX_CHANNELS);
    if (view->normalize && (dtype != RML_F32 || (view->dtype != RML_U8 && view->dtype != RML_U16)))
        return rml_fail(
            err, RML_ERR_ARG, "a view of %s at %s, which is %s: u8 and u16 are normalized to f32",
            rml_dtype_name(view->dtype), port_name(session, port), rml_dtype_name(dtype));
    if (!input && ((view->dtype != dtype && !view->normalize) || view->channels))
        return rml_fail(err, RML_ERR_ARG, "output %s is %s, and is not converted to %s%s",
                        port_name(session, port), rml_dtype_name(dtype),
                        rml_dtype_name(view->dtype), view->channels ? " with a scale" : "");
    return RML_OK;
}

rml_status rml_session_bind_port(rml_session *session, size_t port, const rml_tensor_view *given,
                                 rml_error *err)
{
    rml_binding **at = &session->bound[port];
    rml_tensor_view view;
    RML_TRY(rml_settings_take(&view, sizeof view, given, "rml_tensor_view", err));
    const size_t channels = view.data ? (size_t)view.channels : 0;
    if (view.data)
        RML_TRY(check_view(session, port, &view, err));
    // Where other shapes are set, the size that counts is the next plan's.
    if (view.data && session->ready && is_planned(session, port) &&
        rml_plan_fits(session->plans, session->inputs))
        RML_TRY(check_fit(session, port, &view, port_shape(session, port), err));
    if (view.data && !(*at && (size_t)(*at)->view.channels == channels)) {
        const size_t bytes = sizeof **at + 2 * channels * sizeof(float);
        rml_binding *made = rml_alloc(session->context.allocator, bytes);
        if (!made)
            return rml_fail_nomem(err, bytes, "what is bound");
        rml_free(session->context.allocator, *at);
        *at = made;
    }
    for (size_t c = 0; c < channels; c++) {
        (*at)->factors[c] = view.scale ? view.scale[c] : 1.0f;
        (*at)->factors[channels + c] = view.bias ? view.bias[c] : 0.0f;
    }
    if (view.data) {
        (*at)->view = view;
    } else {
        rml_free(session->context.allocator, *at);
        *at = NULL;
    }
    session->pointed = false;
    return RML_OK;
}

rml_status rml_session_bind_input(rml_session *session, size_t index, const rml_tensor_view *view,
                                  rml_error *err)
{
    const size_t count = rml_model_input_count(session->context.model);
    if (index >= count)
        return rml_fail(err, RML_ERR_ARG, "input %zu is bound, and there are %zu", index, count);
    return rml_session_bind_port(session, index, view, err);
}

rml_status rml_session_bind_output(rml_session *session, size_t index, const rml_tensor_view *view,
                                   rml_error *err)
{
    const size_t count = rml_model_output_count(session->context.model);
    if (index >= count)
        return rml_fail(err, RML_ERR_ARG, "output %zu is bound, and there are %zu", index, count);
    return rml_session_bind_port(session, rml_session_graph(session)->input_count + index, view,
                                 err);
}

rml_status rml_session_bind(rml_session *session, const char *name, void *data, size_t bytes,
                            rml_error *err)
{
    const rml_graph *graph = rml_session_graph(session);
    size_t port = rml_model_find_input(session->context.model, name);
    if (port == RML_NO_PORT) {
        port = rml_model_find_output(session->context.model, name);
        if (port == RML_NO_PORT)
            return rml_fail(err, RML_ERR_ARG, "there is no input or output \"%s\"", name);
        port += graph->input_count;
    }
    rml_tensor_view view = rml_tensor_view_default();
    view.data = data;
    view.bytes = bytes;
    view.dtype = graph->values[rml_port_value(graph, port)].dtype;
    return rml_session_bind_port(session, port, &view, err);
}

// ---- copying ------------------------------------------------------------------------------------

static rml_place *port_place(const rml_session *session, size_t port)
{
    return &session->plans->places[rml_port_value(rml_session_graph(session), port)];
}

// Whether a run copies the port as a whole. Those that are streamed are copied by sweeps.
static bool is_copied(const rml_session *session, size_t port)
{
    return session->bound[port] && !session->bound[port]->direct &&
           !port_place(session, port)->streamed;
}

void rml_session_load_inputs(const rml_session *session)
{
    const size_t end = rml_session_graph(session)->input_count;
    for (size_t port = 0; port < end && session->copied; port++)
        if (is_copied(session, port))
            rml_binding_copy(session->bound[port], port_shape(session, port), 0, 0,
                             &port_place(session, port)->view, false, session->context.pool);
}

rml_status rml_session_store_outputs(const rml_session *session, rml_error *err)
{
    const rml_graph *graph = rml_session_graph(session);
    const size_t end = graph->input_count + graph->output_count;
    for (size_t port = graph->input_count; port < end && session->copied; port++) {
        const rml_tensor *view = &port_place(session, port)->view;
        const rml_shape shape = rml_tensor_shape(view);
        if (!is_copied(session, port))
            continue;
        if (!is_planned(session, port))
            RML_TRY(check_fit(session, port, &session->bound[port]->view, &shape, err));
        rml_binding_copy(session->bound[port], &shape, 0, 0, view, true, session->context.pool);
    }
    return RML_OK;
}

// ---- the session's memory -----------------------------------------------------------------------

static void *data_of(rml_session *session, size_t port, rml_shape *shape)
{
    const rml_graph *graph = rml_session_graph(session);
    if (!session->ready || !rml_session_has_block(session))
        return NULL;
    rml_session_point(session);
    if (!is_planned(session, port)) {
        const rml_tensor *result = &port_place(session, port)->view;
        if (shape && session->ran)
            *shape = rml_tensor_shape(result);
        return session->ran ? result->raw : NULL;
    }
    const rml_shape *planned = port_shape(session, port);
    if (shape)
        *shape = *planned;
    // What a view is copied into, or what does not fit, is no place to write or read.
    const rml_binding *bound = session->bound[port];
    if (bound && ((port < graph->input_count && !bound->direct) ||
                  check_fit(session, port, &bound->view, planned, NULL) != RML_OK))
        return NULL;
    if (port_place(session, port)->streamed)
        return bound && bound->direct ? bound->view.data : NULL;
    return port_place(session, port)->view.raw;
}

void *rml_session_input_at(rml_session *session, size_t index, rml_shape *shape)
{
    return index < rml_model_input_count(session->context.model) ? data_of(session, index, shape)
                                                                 : NULL;
}

const void *rml_session_output_at(rml_session *session, size_t index, rml_shape *shape)
{
    return index < rml_model_output_count(session->context.model)
               ? data_of(session, rml_session_graph(session)->input_count + index, shape)
               : NULL;
}

void *rml_session_input(rml_session *session, const char *name, rml_shape *shape)
{
    return rml_session_input_at(session, rml_model_find_input(session->context.model, name), shape);
}

const void *rml_session_output(rml_session *session, const char *name, rml_shape *shape)
{
    return rml_session_output_at(session, rml_model_find_output(session->context.model, name),
                                 shape);
}
