// A graph file that is one of our networks, under names and in an order of its own.
#include "models/networks.h"

#include <string.h>

typedef struct port {
    const char *name;
    const rml_shape *shape;
} port;

static port input_of(const rml_graph *graph, size_t index)
{
    const rml_value *value = &graph->values[graph->inputs[index]];
    return (port){value->name, &value->shape};
}

static port output_of(const rml_graph *graph, size_t index)
{
    return (port){graph->output_names[index], &graph->values[graph->outputs[index]].shape};
}

// 2: ranks agree and sizes that both fix; 1: ranks agree; 0: neither.
static int likeness(const rml_shape *a, const rml_shape *b)
{
    if (a->rank < 0 || b->rank < 0)
        return 1;
    if (a->rank != b->rank)
        return 0;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] > 0 && b->dim[i] > 0 && a->dim[i] != b->dim[i])
            return 1;
    return 2;
}

// For each port of `like` the port of `graph` that takes its place, in place[]: by name, then by
// rank and sizes, then by rank alone, in their order. False when one finds none.
static bool match(const rml_graph *graph, size_t count, const rml_graph *like, size_t like_count,
                  port (*port_of)(const rml_graph *, size_t), size_t *place)
{
    for (size_t i = 0; i < like_count; i++)
        place[i] = SIZE_MAX;
    for (int least = 3; least >= 1; least--)
        for (size_t i = 0; i < like_count; i++)
            for (size_t j = 0; j < count && place[i] == SIZE_MAX; j++) {
                const port want = port_of(like, i), have = port_of(graph, j);
                const int found = likeness(want.shape, have.shape);
                bool fits =
                    least == 3 ? found && strcmp(want.name, have.name) == 0 : found >= least;
                for (size_t k = 0; k < like_count && fits; k++)
                    fits = place[k] != j;
                if (fits)
                    place[i] = j;
            }
    for (size_t i = 0; i < like_count; i++)
        if (place[i] == SIZE_MAX)
            return false;
    return true;
}

static rml_status refuse(const rml_graph *graph, const rml_graph *like, const char *what,
                         rml_error *err)
{
    char have[512] = "", want[512] = "";
    for (int side = 0; side < 2; side++) {
        const rml_graph *from = side ? like : graph;
        char *text = side ? want : have, shape[RML_SHAPE_TEXT_BYTES];
        const bool inputs = strcmp(what, "inputs") == 0;
        const size_t count = inputs ? from->input_count : from->output_count;
        for (size_t i = 0; i < count; i++) {
            const port at = inputs ? input_of(from, i) : output_of(from, i);
            const char *known = at.shape->rank < 0 ? "(?)" : rml_shape_text(at.shape, shape);
            if (strlen(text) + strlen(at.name) + strlen(known) + 4 < sizeof have)
                strcat(strcat(strcat(strcat(text, i ? ", " : ""), at.name), " "), known);
        }
    }
    return rml_fail(err, RML_ERR_SHAPE, "its %s are %s, and this network has %s", what, have, want);
}

// Who runs one of our networks writes and reads its elements as they are there.
static rml_status check_type(const rml_value *have, const rml_value *want, const char *what,
                             rml_error *err)
{
    if (have->dtype == want->dtype)
        return RML_OK;
    return rml_fail(err, RML_ERR_UNSUPPORTED,
                    "its %s \"%s\" is %s, and that of this network is %s (run-model exec "
                    "takes it as it is)",
                    what, have->name, rml_dtype_name(have->dtype), rml_dtype_name(want->dtype));
}

static rml_status take(rml_graph *graph, const rml_graph *like, bool inputs, bool keep_types,
                       rml_error *err)
{
    enum { MOST = 64 };
    size_t place[MOST];
    const rml_meaning *meanings[MOST];
    rml_value_id ids[MOST], *ports = inputs ? graph->inputs : graph->outputs;
    const rml_value_id *wanted = inputs ? like->inputs : like->outputs;
    const size_t have = inputs ? graph->input_count : graph->output_count;
    const size_t count = inputs ? like->input_count : like->output_count;
    // What the file gives beside that, nobody here asks for.
    if ((inputs && have != count) || count > MOST ||
        !match(graph, have, like, count, inputs ? input_of : output_of, place))
        return refuse(graph, like, inputs ? "inputs" : "outputs", err);
    for (size_t i = 0; i < count; i++) {
        ids[i] = ports[place[i]];
        meanings[i] = rml_graph_meaning(graph, !inputs, place[i]);
        if (!keep_types)
            RML_TRY(check_type(&graph->values[ids[i]], &like->values[wanted[i]],
                               inputs ? "input" : "output", err));
    }
    for (size_t i = 0; i < count; i++) {
        const char **name = inputs ? &graph->values[ids[i]].name : &graph->output_names[i];
        ports[i] = ids[i];
        *name = rml_arena_text(&graph->arena, (inputs ? input_of : output_of)(like, i).name);
        if (!*name)
            return rml_fail_nomem(err, 64, "a name");
    }
    graph->meanings[!inputs].count = 0; // they are in another order
    for (size_t i = 0; i < count; i++)
        if (meanings[i])
            rml_graph_mean(graph, !inputs, i, meanings[i]);
    for (size_t i = 0; i < count; i++)
        RML_TRY(rml_graph_take_image(graph, !inputs, i, rml_graph_meaning(like, !inputs, i), err));
    return rml_graph_finish(graph, err);
}

// The scores of a classifier, (classes) of its only image or all in a row, are (N,classes).
static rml_status rows_of_scores(rml_graph *graph, rml_error *err)
{
    for (size_t k = 0; k < graph->output_count; k++) {
        const rml_meaning *meaning = rml_graph_meaning(graph, true, k);
        if (!meaning || meaning->kind != RML_MEANS_SCORES ||
            graph->values[graph->outputs[k]].shape.rank != 1)
            continue;
        const rml_shape rows = meaning->label_count
                                   ? (rml_shape){2, {-1, (int64_t)meaning->label_count}}
                                   : (rml_shape){2, {1, -1}};
        graph->outputs[k] =
            rml_graph_reshape(graph, graph->outputs[k], &rows, graph->output_names[k]);
        RML_TRY(rml_graph_finish(graph, err));
    }
    return RML_OK;
}

rml_status rml_graph_take_ports(rml_graph *graph, const rml_graph *like, bool keep_types,
                                rml_error *err)
{
    RML_TRY(rows_of_scores(graph, err));
    RML_TRY(rml_graph_take_shapes(graph, like, err));
    RML_TRY(take(graph, like, true, keep_types, err));
    RML_TRY(take(graph, like, false, keep_types, err));
    graph->output_count = like->output_count;
    return rml_graph_ports_changed(graph, err);
}

// The node that computes the first output, behind which there are only moves and casts; or NULL.
static const rml_node *last_node(const rml_graph *graph)
{
    rml_value_id at = graph->outputs[0];
    while (graph->values[at].kind == RML_VALUE_ACTIVATION) {
        const rml_node *node = &graph->nodes[graph->values[at].producer];
        if (node->op != RML_OP_RESHAPE && node->op != RML_OP_CAST && node->op != RML_OP_TRANSPOSE)
            return node;
        at = node->in[0];
    }
    return NULL;
}

// The softmax that the first output ends in, or NULL.
static const rml_node *last_softmax(const rml_graph *graph)
{
    const rml_node *node = last_node(graph);
    return node && node->op == RML_OP_SOFTMAX ? node : NULL;
}

void rml_graph_doubt_image(rml_graph *graph)
{
    const rml_meaning *meaning = rml_graph_meaning(graph, true, 0);
    const rml_node *node = last_node(graph);
    if (meaning && meaning->kind == RML_MEANS_IMAGE && !meaning->declared &&
        meaning->mean[0] == 0 && node && node->op == RML_OP_UNARY &&
        node->attr.unary.kind == RML_UNARY_TANH)
        graph->meanings[true].at[0] = NULL;
}

rml_status rml_graph_end_in_logits(rml_graph *graph, rml_error *err)
{
    const rml_node *softmax = last_softmax(graph);
    if (!softmax)
        return RML_OK;
    const rml_value *logits = &graph->values[softmax->in[0]];
    if (logits->kind == RML_VALUE_ACTIVATION && logits->shape.rank == 2)
        graph->outputs[0] = softmax->in[0];
    return rml_graph_ports_changed(graph, err);
}

rml_status rml_graph_end_in_softmax(rml_graph *graph, rml_error *err)
{
    if (last_softmax(graph))
        return RML_OK;
    const rml_value_id out = rml_graph_softmax(graph, graph->outputs[0], 1, "softmax");
    RML_TRY(rml_graph_finish(graph, err));
    graph->outputs[0] = out;
    return rml_graph_ports_changed(graph, err);
}
