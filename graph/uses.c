// Who reads a value.
#include "graph/graph.h"

void rml_graph_count_uses(rml_graph *graph)
{
    for (size_t i = 0; i < graph->value_count; i++)
        graph->values[i].uses = graph->values[i].output;
    for (size_t i = 0; i < graph->node_count; i++)
        for (int k = 0; k < graph->nodes[i].in_count && !graph->nodes[i].dead; k++)
            if (graph->nodes[i].in[k] != RML_NO_VALUE)
                graph->values[graph->nodes[i].in[k]].uses++;
}

void rml_graph_replace(rml_graph *graph, const rml_value_id *to, size_t count)
{
    for (size_t i = 0; i < graph->node_count; i++)
        for (int k = 0; k < graph->nodes[i].in_count; k++) {
            const rml_value_id id = graph->nodes[i].in[k];
            if (id < count && to[id] != RML_NO_VALUE) // inputs are owned by our arena
                ((rml_value_id *)(uintptr_t)graph->nodes[i].in)[k] = to[id];
        }
    for (size_t i = 0; i < graph->output_count; i++)
        if (graph->outputs[i] < count && to[graph->outputs[i]] != RML_NO_VALUE) {
            graph->values[graph->outputs[i]].output = false;
            graph->outputs[i] = to[graph->outputs[i]];
            graph->values[graph->outputs[i]].output = true;
        }
}
