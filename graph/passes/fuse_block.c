#include "graph/passes/passes.h"

// The live convolution that computes `value` for nobody else, with constant weights and nothing
// added; NULL otherwise.
static rml_node *sole_convolution(rml_graph *graph, rml_value_id value)
{
    if (value == RML_NO_VALUE || graph->values[value].kind != RML_VALUE_ACTIVATION ||
        graph->values[value].uses != 1 || rml_graph_is_output(graph, value))
        return NULL;
    rml_node *node = &graph->nodes[graph->values[value].producer];
    const bool plain = node->op == RML_OP_CONV && !node->generic && node->in_count <= 3 &&
                       node->attr.conv.act.kind == RML_UNARY_CLAMP;
    return plain ? node : NULL;
}

static bool is_pointwise(const rml_graph *graph, const rml_node *node)
{
    rml_window w;
    if (node->attr.conv.groups != 1 || !rml_graph_window(graph, node, &w))
        return false;
    for (int i = 0; i < 2; i++)
        if (w.kernel[i] != 1 || w.stride[i] != 1 || w.before[i] != 0 || w.after[i] != 0)
            return false;
    return true;
}

// One filter for each channel, more than one tap, no dilation, and padding that is told.
static bool is_depthwise(const rml_graph *graph, const rml_node *node)
{
    const rml_conv_attr *conv = &node->attr.conv;
    const rml_shape *weight = &graph->values[node->in[1]].shape;
    return conv->groups > 1 && conv->groups == weight->dim[0] && weight->dim[1] == 1 &&
           weight->dim[2] * weight->dim[3] > 1 && conv->window.dilation[0] == 1 &&
           conv->window.dilation[1] == 1 && conv->window.auto_pad == RML_AUTO_PAD_NONE;
}

static rml_status fuse(rml_graph *graph, rml_node *project, size_t *changed, rml_error *err)
{
    rml_node *depthwise = sole_convolution(graph, project->in[0]);
    rml_node *expand = depthwise ? sole_convolution(graph, depthwise->in[0]) : NULL;
    if (!expand || !is_pointwise(graph, expand) || !is_depthwise(graph, depthwise) ||
        project->generic || !is_pointwise(graph, project))
        return RML_OK;
    const rml_node *parts[3] = {expand, depthwise, project};
    rml_value_id in[8] = {expand->in[0]};
    for (int k = 0; k < 3; k++) {
        in[1 + k] = parts[k]->in[1];
        in[4 + k] = parts[k]->in_count > 2 ? parts[k]->in[2] : RML_NO_VALUE;
    }
    in[7] = project->in_count > 3 ? project->in[3] : RML_NO_VALUE;
    rml_conv_attr *conv = rml_arena_alloc(&graph->arena, 3, sizeof *conv);
    if (!conv || !rml_graph_set_inputs(graph, project, in, 8))
        return rml_fail_nomem(err, 3 * sizeof *conv, "fusing a block");
    for (int k = 0; k < 3; k++)
        conv[k] = parts[k]->attr.conv;
    project->def = project->def->block;
    project->op = project->def->id;
    project->attr.inverted = (rml_inverted_attr){&conv[0], &conv[1], &conv[2]};
    expand->dead = depthwise->dead = true;
    ++*changed;
    return RML_OK;
}

rml_status rml_pass_fuse_block(rml_graph *graph, size_t *changed, rml_error *err)
{
    rml_graph_count_uses(graph);
    for (size_t i = 0; i < graph->node_count; i++) {
        rml_node *node = &graph->nodes[i];
        if (!node->dead && node->op == RML_OP_CONV)
            RML_TRY(fuse(graph, node, changed, err));
    }
    return RML_OK;
}
