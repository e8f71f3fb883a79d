// Images of a graph file that is one of our networks, where their numbers are other ones.
#include "models/networks.h"

#include <string.h>

// What turns the numbers of one meaning into those of another, plane by plane: factor and offset.
typedef struct change {
    float numbers[6]; // of the graph's arena once it is a constant
    bool scales, shifts, reverses;
    int64_t planes;
} change;

static bool is_gray(const rml_meaning *meaning)
{
    return meaning->colours == RML_COLOURS_GRAY;
}

// `order` says in whose order of planes the numbers are.
static change change_of(const rml_meaning *from, const rml_meaning *to, const rml_meaning *order)
{
    change made = {.reverses = from->colours != to->colours && !is_gray(from) && !is_gray(to),
                   .planes = is_gray(order) ? 1 : 3};
    for (int c = 0; c < made.planes; c++) {
        const int f = made.reverses && order != from ? 2 - c : c;
        const int t = made.reverses && order != to ? 2 - c : c;
        made.numbers[c] = from->deviation[f] / to->deviation[t];
        made.numbers[3 + c] = (from->mean[f] - to->mean[t]) / to->deviation[t];
        made.scales = made.scales || made.numbers[c] != 1;
        made.shifts = made.shifts || made.numbers[3 + c] != 0;
    }
    return made;
}

static rml_value_id changed(rml_graph *graph, rml_value_id x, const change *made, const char *name)
{
    const rml_shape shape = {3, {made->planes, 1, 1}};
    float *numbers = rml_arena_alloc(&graph->arena, 6, sizeof *numbers);
    if (!numbers)
        return rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory while building the graph");
    memcpy(numbers, made->numbers, sizeof made->numbers);
    const rml_stored factor = rml_stored_f32(numbers, &shape);
    const rml_stored offset = rml_stored_f32(numbers + 3, &shape);
    if (made->scales)
        x = rml_graph_binary(graph, RML_BINARY_MUL, x,
                             rml_graph_typed_constant(graph, name, &factor), name);
    if (made->shifts)
        x = rml_graph_binary(graph, RML_BINARY_ADD, x,
                             rml_graph_typed_constant(graph, name, &offset), name);
    return x;
}

static rml_value_id reversed(rml_graph *graph, rml_value_id x, const change *made, const char *name)
{
    const rml_shape *shape = &graph->values[x].shape;
    return made->reverses ? rml_graph_slice(graph, x, shape->rank - 3, 2, INT64_MIN, -1, name) : x;
}

static void change_input(rml_graph *graph, size_t port, const rml_meaning *have,
                         const rml_meaning *want)
{
    const rml_value_id input = graph->inputs[port];
    const char *name = graph->values[input].name;
    const size_t first = graph->node_count;
    const change made = change_of(want, have, have);
    const rml_value_id x = changed(graph, reversed(graph, input, &made, name), &made, name);
    rml_graph_read_instead(graph, input, x, first);
}

static void change_output(rml_graph *graph, size_t port, const rml_meaning *have,
                          const rml_meaning *want)
{
    const char *name = graph->output_names[port];
    const change made = change_of(have, want, have);
    const rml_value_id x = changed(graph, graph->outputs[port], &made, name);
    if (x != RML_NO_VALUE)
        graph->outputs[port] = reversed(graph, x, &made, name);
}

rml_status rml_graph_take_image(rml_graph *graph, bool output, size_t port, const rml_meaning *like,
                                rml_error *err)
{
    const rml_meaning *have = rml_graph_meaning(graph, output, port);
    const rml_shape *shape =
        &graph->values[output ? graph->outputs[port] : graph->inputs[port]].shape;
    if (!like || like->kind != RML_MEANS_IMAGE || shape->rank != 4)
        return RML_OK;
    rml_meaning want = *like;
    const int64_t planes = shape->dim[1];
    want.declared = have && have->declared;
    if (planes == 1) {
        want.colours = RML_COLOURS_GRAY;
    } else if (is_gray(&want)) {
        want.colours = RML_COLOURS_RGB;
        for (int c = 1; c < 3; c++) {
            want.mean[c] = want.mean[0];
            want.deviation[c] = want.deviation[0];
        }
    }
    if (have && have->kind == RML_MEANS_IMAGE)
        (output ? change_output : change_input)(graph, port, have, &want);
    rml_graph_mean(graph, output, port, &want);
    return rml_graph_finish(graph, err);
}
