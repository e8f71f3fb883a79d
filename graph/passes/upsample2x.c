#include "graph/passes/passes.h"

// Repeats every pixel exactly twice. With a second input, whose size the result takes, the last
// ones may be cut.
static bool repeats(const rml_node *node)
{
    const rml_resize_attr *resize = &node->attr.resize;
    return node->op == RML_OP_RESIZE2D && resize->kind == RML_RESIZE_NEAREST &&
           (node->in_count < 2 || node->in[1] == RML_NO_VALUE) && resize->size[0] == 0 &&
           resize->size[1] == 0 && resize->scale[0] == 2 && resize->scale[1] == 2;
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
        if (x->kind != RML_VALUE_ACTIVATION || !repeats(&graph->nodes[x->producer]))
            continue;
        node->attr.conv.twice = true;
        ++*changed;
    }
    return RML_OK;
}
