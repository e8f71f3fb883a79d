// States: what a session keeps from run to run. Each lies in memory of its own, twice, bound to the
// last inputs and outputs of the graph; after a run the two change places.
#include "engine/session.h"

#include "tensor/size.h"

#include <string.h>

// Bytes of one copy of a state, up to where the next may begin.
static bool bytes_of(const rml_graph *graph, size_t index, size_t *bytes)
{
    const rml_value *value =
        &graph->values[graph->inputs[graph->input_count - graph->state_count + index]];
    size_t count;
    if (!rml_shape_count(&value->shape, &count) ||
        !rml_size_mul(count, rml_dtype_size(value->dtype), bytes) || *bytes > SIZE_MAX / 4)
        return false;
    *bytes = rml_round_up(*bytes, RML_ALIGNMENT);
    return true;
}

static rml_status bind(rml_session *session, size_t port, void *data, size_t bytes, rml_error *err)
{
    const rml_graph *graph = rml_session_graph(session);
    rml_tensor_view view = rml_tensor_view_default();
    view.data = data;
    view.bytes = bytes;
    view.dtype = graph->values[rml_port_value(graph, port)].dtype;
    return rml_session_bind_port(session, port, &view, err);
}

rml_status rml_session_make_states(rml_session *session, rml_error *err)
{
    const rml_graph *graph = rml_session_graph(session);
    const size_t first_input = graph->input_count - graph->state_count;
    const size_t first_output = graph->input_count + graph->output_count - graph->state_count;
    size_t bytes, total = 0;
    for (size_t i = 0; i < graph->state_count; i++)
        if (!bytes_of(graph, i, &bytes) || !rml_size_add(total, 2 * bytes, &total))
            return rml_fail(err, RML_ERR_LIMIT, "the states do not fit the address space");
    if (graph->state_count == 0)
        return RML_OK;
    session->states = rml_alloc_zero(session->context.allocator, 1, total + RML_ALIGNMENT);
    if (!session->states)
        return rml_fail_nomem(err, total, "the states");
    session->state_bytes = total;
    char *at = session->states;
    for (size_t i = 0; i < graph->state_count; i++, at += 2 * bytes) {
        bytes_of(graph, i, &bytes);
        RML_TRY(bind(session, first_input + i, at, bytes, err));
        RML_TRY(bind(session, first_output + i, at + bytes, bytes, err));
    }
    return RML_OK;
}

void rml_session_swap_states(rml_session *session)
{
    const rml_graph *graph = rml_session_graph(session);
    for (size_t i = 1; i <= graph->state_count; i++) {
        rml_tensor_view *read = &session->bound[graph->input_count - i]->view;
        rml_tensor_view *written =
            &session->bound[graph->input_count + graph->output_count - i]->view;
        void *data = read->data;
        read->data = written->data;
        written->data = data;
        session->pointed = false;
    }
}

void rml_session_reset_state(rml_session *session)
{
    if (session->states)
        memset(session->states, 0, session->state_bytes);
}
