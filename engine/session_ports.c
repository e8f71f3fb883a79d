// Inputs and outputs of a session: where they lie, and the caller's memory for them.
#include "engine/session.h"

#include <string.h>

size_t rml_session_find_input(const rml_session *session, const char *name)
{
    const rml_graph *graph = rml_session_graph(session);
    size_t i = 0;
    while (i < graph->input_count && strcmp(graph->values[graph->inputs[i]].name, name) != 0)
        i++;
    return i;
}

size_t rml_session_find_output(const rml_session *session, const char *name)
{
    const rml_graph *graph = rml_session_graph(session);
    size_t i = 0;
    while (i < graph->output_count && strcmp(graph->output_names[i], name) != 0)
        i++;
    return i;
}

// Ports count the inputs first, then the outputs.
static rml_value_id port_value(const rml_graph *graph, size_t port)
{
    return port < graph->input_count ? graph->inputs[port]
                                     : graph->outputs[port - graph->input_count];
}

size_t rml_session_port_bytes(const rml_session *session, size_t port)
{
    const rml_graph *graph = rml_session_graph(session);
    const rml_fact *fact = &session->plans->facts[port_value(graph, port)];
    size_t count = 0;
    if (port >= graph->input_count && !session->plans->concrete)
        return 0;
    return rml_shape_count(&fact->shape, &count) ? count * rml_dtype_size(fact->dtype) : SIZE_MAX;
}

rml_status rml_session_fail_small(const rml_session *session, size_t port, size_t bytes,
                                  size_t needed, rml_error *err)
{
    const rml_graph *graph = rml_session_graph(session);
    const bool input = port < graph->input_count;
    return rml_fail(err, RML_ERR_LIMIT, "%s %s has %zu bytes, the memory bound to it has %zu",
                    input ? "input" : "output",
                    input ? graph->values[graph->inputs[port]].name
                          : graph->output_names[port - graph->input_count],
                    needed, bytes);
}

void rml_session_point(rml_session *session)
{
    const rml_graph *graph = rml_session_graph(session);
    rml_plan *plan = session->plans;
    session->unfit = SIZE_MAX;
    for (size_t i = 0; i < graph->input_count + graph->output_count; i++) {
        const rml_binding *bound = &session->bound[i];
        plan->places[port_value(graph, i)].bound = bound->data;
        if (bound->data && bound->bytes < rml_session_port_bytes(session, i) &&
            session->unfit == SIZE_MAX)
            session->unfit = i;
    }
    rml_plan_point(plan, graph, session->block);
}

static void *data_of(rml_session *session, const char *name, rml_shape *shape, bool input)
{
    const rml_graph *graph = rml_session_graph(session);
    const size_t index =
        input ? rml_session_find_input(session, name) : rml_session_find_output(session, name);
    if (!session->ready || !rml_session_has_block(session) ||
        index == (input ? graph->input_count : graph->output_count))
        return NULL;
    const size_t port = input ? index : graph->input_count + index;
    const rml_value_id id = port_value(graph, port);
    if (!input && !session->plans->concrete) {
        const rml_tensor *result = &session->results[index];
        if (shape && result->raw)
            *shape = rml_tensor_shape(result);
        return result->raw;
    }
    if (shape)
        *shape = session->plans->facts[id].shape;
    if (session->bound[port].data &&
        session->bound[port].bytes < rml_session_port_bytes(session, port))
        return NULL;
    return session->plans->places[id].view.raw;
}

void *rml_session_input(rml_session *session, const char *name, rml_shape *shape)
{
    return data_of(session, name, shape, true);
}

const void *rml_session_output(rml_session *session, const char *name, rml_shape *shape)
{
    return data_of(session, name, shape, false);
}

rml_status rml_session_bind(rml_session *session, const char *name, void *data, size_t bytes,
                            rml_error *err)
{
    const rml_graph *graph = rml_session_graph(session);
    size_t port = rml_session_find_input(session, name);
    if (port == graph->input_count) {
        const size_t output = rml_session_find_output(session, name);
        if (output == graph->output_count)
            return rml_fail(err, RML_ERR_ARG, "there is no input or output \"%s\"", name);
        port += output;
    }
    // Where other shapes are set, the size that counts is the next plan's.
    if (data && session->ready && rml_session_plan_fits(session, session->plans) &&
        bytes < rml_session_port_bytes(session, port))
        return rml_session_fail_small(session, port, bytes, rml_session_port_bytes(session, port),
                                      err);
    session->bound[port] = (rml_binding){data, bytes};
    if (session->ready)
        rml_session_point(session);
    return RML_OK;
}
