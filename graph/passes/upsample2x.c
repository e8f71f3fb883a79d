#include "graph/passes/passes.h"

#include "ops/image/resize.h"

// Repeats every pixel exactly twice. Where another image gives the size, the last ones may be cut.
static bool repeats(const rml_graph *graph, const rml_node *node)
{
    enum { LIKE = 4, MOST };
    rml_fact in[MOST];
    int64_t times[2];
    for (int k = 0; k < node->in_count && k < MOST; k++)
        in[k] = node->in[k] == RML_NO_VALUE ? (rml_fact){.shape.rank = -1}
                                            : rml_graph_fact(graph, node->in[k]);
    return node->op == RML_OP_RESIZE &&
           (node->in_count <= LIKE || node->in[LIKE] == RML_NO_VALUE) &&
           rml_resize_repeats(&node->attr.resize, in, node->in_count, times) && times[0] == 2 &&
           times[1] == 2;
}

static bool meets_pairs(const rml_graph *graph, const rml_node *node)
{
    rml_window w;
    if (node->generic || !rml_graph_window(graph, node, &w))
        return false;
    for (int i = 0; i < 2; i++)
        if (w.kernel[i] != 3 || w.before[i] != 1 || w.stride[i] != 1 || w.dilation[i] != 1)
            return false;
    return true;
}

rml_status rml_pass_upsample2x(rml_graph *graph, size_t *changed, rml_error *err)
{
    (void)err;
    for (size_t i = 0; i < graph->node_count; i++) {
        rml_node *node = &graph->nodes[i];
        if (node->dead || node->op != RML_OP_CONV || !meets_pairs(graph, node))
            continue;
        const rml_value *x = &graph->values[node->in[0]];
        if (x->kind != RML_VALUE_ACTIVATION || !repeats(graph, &graph->nodes[x->producer]))
            continue;
        node->attr.conv.twice = true;
        ++*changed;
    }
    return RML_OK;
}
