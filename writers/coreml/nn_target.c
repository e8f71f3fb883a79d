// What neural networks have layers for.
#include "tensor/dtype.h"
#include "writers/coreml/nn.h"

static const rml_net_rule *const tables[] = {
    rml_net_activation_rules, rml_net_elementwise_rules, rml_net_image_rules,
    rml_net_index_rules,      rml_net_norm_rules,        rml_net_product_rules,
    rml_net_recurrent_rules,  rml_net_reduction_rules,   rml_net_resize_rules,
    rml_net_shape_rules,
};

static const rml_net_rule *find_rule(rml_op_id op)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const rml_net_rule *rule = tables[i]; rule->op != RML_OP_COUNT; rule++)
            if (rule->op == op)
                return rule;
    return NULL;
}

// What no blob can be.
static const char *lacks_value(rml_dtype dtype, const rml_shape *shape)
{
    if (shape->rank < 0)
        return "a number of dimensions that only a run tells";
    if (shape->rank > RML_NET_MAX_RANK)
        return "more than 5 dimensions";
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] == 0)
            return "a value without elements";
    if (dtype == RML_F64)
        return "numbers of 64 bits";
    return !rml_dtype_is_float(dtype) && dtype != RML_BOOL && dtype != RML_I64 && dtype != RML_I32
               ? "a type that floats are not"
               : NULL;
}

static const char *lacks(const void *user, const rml_graph *graph, const rml_node *node)
{
    rml_fact out[RML_MAX_OUTPUTS];
    const rml_net_rule *rule = find_rule(node->op);
    const char *why = NULL;
    (void)user;
    if (!rule)
        return "no layer does this";
    if (rml_graph_infer_here(graph, node, out, NULL) != RML_OK)
        return "its shape is not known";
    for (int i = 0; i < node->in_count && !why; i++)
        if (rml_net_given(node, i) && graph->values[node->in[i]].kind != RML_VALUE_CONSTANT)
            why = lacks_value(graph->values[node->in[i]].dtype, &graph->values[node->in[i]].shape);
    for (int k = 0; k < node->out_count && !why; k++)
        why = lacks_value(out[k].dtype, &out[k].shape);
    const rml_net_node n = {.graph = graph, .node = node, .attr = &node->attr, .out = out[0]};
    return why ? why : rule->lacks ? rule->lacks(&n) : NULL;
}

rml_target rml_net_target(void)
{
    return (rml_target){.name = "a neural network of iOS 13", .lacks = lacks};
}

void rml_net_emit_node(rml_net_emitter *e, const rml_node *node)
{
    e->node = node;
    find_rule(node->op)->emit(e, node);
}
