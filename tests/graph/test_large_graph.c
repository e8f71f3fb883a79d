// Graphs as large as a file of some megabytes makes them: built, rewritten and planned within
// seconds. Each took minutes where a step looked through all nodes, names or buffers.
#include "tests/support/net.h"

#define NODES 200000
#define FOLDS 20000
#define PORTS 50000

static const rml_shape row = {1, {4}};

static rml_value_id relu(net *at, rml_value_id x)
{
    return rml_graph_unary(at->graph, x, rml_activation_relu(), "relu");
}

static rml_value_id add(net *at, rml_value_id a, rml_value_id b)
{
    return rml_graph_binary(at->graph, RML_BINARY_ADD, a, b, "add");
}

static rml_value_id chain(net *at)
{
    rml_value_id y = rml_graph_input(at->graph, "x", &row);
    for (int i = 0; i < NODES; i++)
        y = relu(at, y);
    return y;
}

// Sums with values from far back, whose memory lives long.
static rml_value_id residual(net *at)
{
    const rml_value_id x = rml_graph_input(at->graph, "x", &row), first = relu(at, x);
    rml_value_id y = first;
    for (int i = 1; i < NODES; i++)
        y = add(at, y, first + (rml_value_id)(i / 2));
    return y;
}

static rml_value_id alive(net *at)
{
    const rml_value_id x = rml_graph_input(at->graph, "x", &row), first = relu(at, x);
    for (int i = 1; i < NODES / 2; i++)
        relu(at, x);
    rml_value_id y = first;
    for (int i = 1; i < NODES / 2; i++)
        y = add(at, y, first + (rml_value_id)(NODES / 2 - i));
    return y;
}

// What is folded, fused and replaced, over and over; the weights are the same ones.
static rml_value_id convolutions(net *at)
{
    const rml_conv_attr attr = rml_conv_square(1, 1, 0);
    const rml_value_id w = net_random(at, "w", (rml_shape){4, {1, 1, 1, 1}}, 'u');
    const rml_value_id v = net_random(at, "v", (rml_shape){1, {1}}, 'p');
    rml_value_id y = rml_graph_input(at->graph, "x", &(rml_shape){4, {1, 1, 1, 1}});
    for (int i = 0; i < FOLDS; i++) {
        const rml_value_id z = rml_graph_conv(at->graph, y, w, RML_NO_VALUE, &attr, "conv");
        const rml_value_id n = rml_graph_batch_norm(at->graph, z, v, v, v, v, 1e-5f, "norm");
        y = relu(at, add(at, n, y));
    }
    return y;
}

static rml_value_id ports(net *at)
{
    rml_value_id y = RML_NO_VALUE;
    for (int i = 0; i < PORTS; i++) {
        char name[32];
        snprintf(name, sizeof name, "x%d", i);
        y = relu(at, rml_graph_input(at->graph, name, &row));
        snprintf(name, sizeof name, "y%d", i);
        rml_graph_output(at->graph, name, y);
    }
    return relu(at, y);
}

static void check(rml_value_id (*build)(net *at), size_t steps, const char *what)
{
    net at;
    rml_session *session = NULL;
    rml_session_settings settings = rml_session_settings_default();
    settings.threads = 1;
    net_begin(&at, NULL);
    rml_graph_output(at.graph, "y", build(&at));
    if (net_finish(&at, NULL)) {
        size_t live = 0;
        for (size_t i = 0; i < at.graph->node_count; i++)
            live += !at.graph->nodes[i].dead;
        CHECK_MSG(live == steps, "%s: %zu nodes are left, expected %zu", what, live, steps);
        rml_status status = rml_session_create(&session, at.model, &settings, &at.err);
        if (status == RML_OK)
            status = rml_session_prepare(session, &at.err);
        if (status == RML_OK) {
            net_fill_inputs(session, at.model, 3);
            status = rml_session_run(session, &at.err);
        }
        CHECK_MSG(status == RML_OK, "%s: %s", what, at.err.message);
    }
    rml_session_destroy(&session);
    net_end(&at);
}

int main(void)
{
    check(chain, NODES, "a chain");
    check(residual, NODES, "sums with values from far back");
    check(alive, NODES - 1, "values that are all alive at once");
    check(convolutions, FOLDS + 2, "convolutions"); // and two changes of layout
    check(ports, PORTS + 1, "inputs and outputs");
    return check_result();
}
