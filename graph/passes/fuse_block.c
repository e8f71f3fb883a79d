#include "graph/passes/passes.h"

// The live convolution that computes `value` for nobody else, with constant weights and nothing
// added; NULL otherwise.
static rml_node *sole_convolution(rml_graph *graph, rml_value_id value)
{
    if (value == RML_NO_VALUE || graph->values[value].kind != RML_VALUE_ACTIVATION ||
        rml_graph_use_count(graph, value) != 1 || rml_graph_is_output(graph, value))
        return NULL;
    rml_node *node = &graph->nodes[graph->values[value].producer];
    const bool plain = node->op == RML_OP_CONV2D && node->in_count <= 3 &&
                       graph->values[node->in[1]].kind == RML_VALUE_CONSTANT &&
                       node->attr.conv.act.kind == RML_UNARY_CLAMP;
    return plain ? node : NULL;
}

static bool is_pointwise(const rml_conv_attr *conv)
{
    return conv->groups == 1 && conv->kernel[0] == 1 && conv->kernel[1] == 1 &&
           conv->stride[0] == 1 && conv->stride[1] == 1 && conv->pad[0] == 0 && conv->pad[1] == 0 &&
           conv->pad[2] == 0 && conv->pad[3] == 0;
}

// One filter for each channel, more than one tap, and no dilation.
static bool is_depthwise(const rml_graph *graph, const rml_node *node)
{
    const rml_conv_attr *conv = &node->attr.conv;
    const rml_shape *weight = &graph->values[node->in[1]].shape;
    return conv->groups > 1 && conv->groups == weight->dim[0] && weight->dim[1] == 1 &&
           conv->kernel[0] * conv->kernel[1] > 1 && conv->dilation[0] == 1 &&
           conv->dilation[1] == 1;
}

static rml_status fuse(rml_graph *graph, rml_node *project, size_t *changed, rml_error *err)
{
    rml_node *depthwise = sole_convolution(graph, project->in[0]);
    rml_node *expand = depthwise ? sole_convolution(graph, depthwise->in[0]) : NULL;
    if (!expand || !is_pointwise(&expand->attr.conv) || !is_depthwise(graph, depthwise) ||
        !is_pointwise(&project->attr.conv) ||
        graph->values[project->in[1]].kind != RML_VALUE_CONSTANT)
        return RML_OK;
    const rml_node *parts[3] = {expand, depthwise, project};
    rml_value_id in[8] = {expand->in[0]};
    for (int k = 0; k < 3; k++) {
        in[1 + k] = parts[k]->in[1];
        in[4 + k] = parts[k]->in_count > 2 ? parts[k]->in[2] : RML_NO_VALUE;
    }
    in[7] = project->in_count > 3 ? project->in[3] : RML_NO_VALUE;
    const rml_inverted_attr attr = {expand->attr.conv, depthwise->attr.conv, project->attr.conv};
    if (!rml_graph_set_inputs(graph, project, in, 8))
        return rml_fail_nomem(err, sizeof in, "fusing a block");
    project->op = RML_OP_INVERTED_RESIDUAL;
    project->attr.inverted = attr;
    expand->dead = depthwise->dead = true;
    ++*changed;
    return RML_OK;
}

rml_status rml_pass_fuse_block(rml_graph *graph, size_t *changed, rml_error *err)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        rml_node *node = &graph->nodes[i];
        if (!node->dead && node->op == RML_OP_CONV2D)
            RML_TRY(fuse(graph, node, changed, err));
    }
    return RML_OK;
}
