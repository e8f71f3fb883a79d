// What the numbers of a graph's inputs and outputs stand for.
#include "graph/graph.h"

#include <string.h>

const rml_meaning *rml_graph_meaning(const rml_graph *graph, bool output, size_t port)
{
    const struct rml_port_meanings *meanings = &graph->meanings[output];
    return port < meanings->count ? meanings->at[port] : NULL;
}

void rml_graph_mean(rml_graph *graph, bool output, size_t port, const rml_meaning *meaning)
{
    struct rml_port_meanings *meanings = &graph->meanings[output];
    if (graph->error.status != RML_OK)
        return;
    rml_meaning *copy = rml_arena_alloc(&graph->arena, 1, sizeof *copy);
    const rml_meaning **at = copy ? rml_grow(graph->arena.allocator, (void *)meanings->at,
                                             &meanings->capacity, port + 1, sizeof *at)
                                  : NULL;
    if (!at) {
        rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory while building the graph");
        return;
    }
    *copy = *meaning;
    meanings->at = at;
    while (meanings->count <= port)
        at[meanings->count++] = NULL;
    at[port] = copy;
}

void rml_graph_mean_image(rml_graph *graph, bool output, int64_t channels, rml_colours colours,
                          const float mean[3], const float deviation[3])
{
    rml_meaning meaning = {.kind = RML_MEANS_IMAGE,
                           .colours = channels == 1 ? RML_COLOURS_GRAY : colours};
    memcpy(meaning.mean, mean, sizeof meaning.mean);
    memcpy(meaning.deviation, deviation, sizeof meaning.deviation);
    if (channels == 1 || channels == 3)
        rml_graph_mean(graph, output, 0, &meaning);
}
