#include "graph/passes/passes.h"

rml_status rml_pass_dce(rml_graph *graph, size_t *changed, rml_error *err)
{
    const rml_allocator *allocator = graph->arena.allocator;
    bool *used;
    RML_TRY(rml_make(allocator, &used, graph->value_count + 1, sizeof *used,
                     "the search for dead nodes", err));
    for (size_t i = 0; i < graph->output_count; i++)
        used[graph->outputs[i]] = true;
    for (size_t i = graph->node_count; i-- > 0;) {
        rml_node *node = &graph->nodes[i];
        if (node->dead)
            continue;
        bool wanted = false;
        for (int k = 0; k < node->out_count; k++)
            wanted = wanted || used[node->out + (rml_value_id)k];
        if (!wanted) {
            node->dead = true;
            ++*changed;
            continue;
        }
        for (int k = 0; k < node->in_count; k++)
            if (node->in[k] != RML_NO_VALUE)
                used[node->in[k]] = true;
    }
    rml_free(allocator, used);
    return RML_OK;
}
