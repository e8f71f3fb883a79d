// What neural networks have layers for.
#include "tensor/dtype.h"
#include "writers/coreml/nn.h"

static const rml_net_rule *const tables[] = {
    rml_net_activation_rules, rml_net_control_rules,   rml_net_elementwise_rules,
    rml_net_image_rules,      rml_net_index_rules,     rml_net_norm_rules,
    rml_net_product_rules,    rml_net_recurrent_rules, rml_net_reduction_rules,
    rml_net_resize_rules,     rml_net_shape_rules,
};

static const rml_net_rule *const old_tables[] = {rml_net_old_rules, rml_net_old_shape_rules};

// Those whose layers serve both targets, where they get images.
static bool is_for_both(rml_op_id op)
{
    return op == RML_OP_UNARY || op == RML_OP_CONV || op == RML_OP_CONV_TRANSPOSE ||
           op == RML_OP_POOL || op == RML_OP_BATCH_NORM || op == RML_OP_GROUP_NORM ||
           op == RML_OP_LRN || op == RML_OP_SPACE_TO_DEPTH || op == RML_OP_DEPTH_TO_SPACE;
}

static const rml_net_rule *find_in(const rml_net_rule *const *list, size_t count, rml_op_id op)
{
    for (size_t i = 0; i < count; i++)
        for (const rml_net_rule *rule = list[i]; rule->op != RML_OP_COUNT; rule++)
            if (rule->op == op)
                return rule;
    return NULL;
}

static const rml_net_rule *find_rule(rml_op_id op, bool old)
{
    return old && !is_for_both(op) ? find_in(old_tables, sizeof old_tables / sizeof *old_tables, op)
                                   : find_in(tables, sizeof tables / sizeof *tables, op);
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

// iOS 12: what is no image, or no vector of channels, has no place among (Seq,B,C,H,W).
static const char *lacks_old_value(rml_dtype dtype, const rml_shape *shape)
{
    if (dtype != RML_F32)
        return dtype == RML_BOOL ? "truth, and its numbers are f32 alone"
                                 : "numbers of another type than f32";
    if (!rml_shape_known(shape))
        return "a size that may change";
    if (shape->rank > 4)
        return "more than 4 dimensions, as with a sequence in front of the batch";
    return (shape->rank == 4 || shape->rank == 2) && shape->dim[0] != 1 ? "a batch of several"
                                                                        : NULL;
}

static const char *lacks(const void *user, const rml_graph *graph, const rml_node *node)
{
    rml_fact out[RML_MAX_OUTPUTS];
    const bool old = *(const bool *)user;
    const rml_net_rule *rule = find_rule(node->op, old);
    const char *(*const check)(rml_dtype, const rml_shape *) = old ? lacks_old_value : lacks_value;
    const char *why = NULL;
    if (!rule)
        return old && find_rule(node->op, false) ? "this is written for iOS 13 alone"
                                                 : "no layer does this";
    if (rml_graph_infer_here(graph, node, out, NULL) != RML_OK)
        return "its shape is not known";
    for (int i = 0; i < node->in_count && !why; i++)
        if (rml_input_given(node, i) && graph->values[node->in[i]].kind != RML_VALUE_CONSTANT)
            why = check(graph->values[node->in[i]].dtype, &graph->values[node->in[i]].shape);
    for (int k = 0; k < node->out_count && !why; k++)
        why = check(out[k].dtype, &out[k].shape);
    if (old && !why && node->op != RML_OP_UNARY && is_for_both(node->op) && out[0].shape.rank != 4)
        why = "images of this number of dimensions";
    const rml_net_node n = {
        .graph = graph, .node = node, .attr = &node->attr, .out = out[0], .old = old};
    return why ? why : rule->lacks ? rule->lacks(&n) : NULL;
}

static const bool is_old[] = {false, true};
static const rml_target targets[] = {{.name = "a neural network of iOS 13",
                                      .lacks = lacks,
                                      .user = &is_old[0],
                                      .fixed_weights = true,
                                      .float_codes = true},
                                     {.name = "a neural network of iOS 12",
                                      .lacks = lacks,
                                      .user = &is_old[1],
                                      .fixed_weights = true,
                                      .float_codes = true,
                                      .later = &targets[0]}};

const rml_target *rml_net_target(bool old)
{
    return &targets[old];
}

void rml_net_emit_nodes(rml_net_emitter *e)
{
    for (size_t i = 0; i < e->graph->node_count && e->status == RML_OK; i++) {
        e->node = &e->graph->nodes[i];
        if (!e->node->dead)
            find_rule(e->node->op, e->old)->emit(e, e->node);
    }
    e->node = NULL;
}
