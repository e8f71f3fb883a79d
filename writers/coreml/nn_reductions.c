// Reductions, and what searches, sorts or sums along an axis.
#include "writers/coreml/nn.h"

static const uint32_t layers[] = {
    [RML_REDUCE_L1] = RML_NET_REDUCE_L1,
    [RML_REDUCE_L2] = RML_NET_REDUCE_L2,
    [RML_REDUCE_MAX] = RML_NET_REDUCE_MAX,
    [RML_REDUCE_MIN] = RML_NET_REDUCE_MIN,
    [RML_REDUCE_SUM] = RML_NET_REDUCE_SUM,
    [RML_REDUCE_PROD] = RML_NET_REDUCE_PROD,
    [RML_REDUCE_MEAN] = RML_NET_REDUCE_MEAN,
    [RML_REDUCE_LOG_SUM] = RML_NET_REDUCE_LOG_SUM,
    [RML_REDUCE_SUM_SQUARE] = RML_NET_REDUCE_SUM_SQUARE,
    [RML_REDUCE_LOG_SUM_EXP] = RML_NET_REDUCE_LOG_SUM_EXP,
};

int rml_net_reduced(const rml_graph *graph, const rml_node *node, int64_t *axes)
{
    const rml_reduce_attr *reduce = &node->attr.reduce;
    if (rml_input_given(node, 1))
        return rml_input_list(graph, node, 1, axes, RML_MAX_RANK);
    for (int i = 0; i < reduce->axis_count; i++)
        axes[i] = reduce->axes[i];
    return reduce->axis_count;
}

static const char *lacks_reduce(const rml_net_node *n)
{
    int64_t axes[RML_MAX_RANK];
    return rml_net_reduced(n->graph, n->node, axes) < 0 ? "axes that are computed" : NULL;
}

static void emit_reduce(rml_net_emitter *e, const rml_node *node)
{
    int64_t axes[RML_MAX_RANK];
    const int count = rml_net_reduced(e->graph, node, axes);
    if ((count == 0 && node->attr.reduce.empty_is_no) || rml_net_shape(e, 0)->rank == 0) {
        rml_net_same(e, 0, 0);
        return;
    }
    rml_net_one(e, layers[node->attr.reduce.kind], rml_net_in(e, 0), rml_net_out(e, 0));
    rml_fields_ints(&e->m, 1, axes, (size_t)count);
    rml_net_int(e, 2, node->attr.reduce.keep);
    rml_net_int(e, 3, count == 0);
    rml_net_end(e);
}

static const char *lacks_arg(const rml_net_node *n)
{
    return n->attr->arg.last ? "the last of equal elements" : NULL;
}

static void emit_arg(rml_net_emitter *e, const rml_node *node)
{
    rml_net_one(e, node->attr.arg.smallest ? RML_NET_ARG_MIN : RML_NET_ARG_MAX, rml_net_in(e, 0),
                rml_net_out(e, 0));
    rml_net_int(e, 1, node->attr.arg.axis);
    rml_net_int(e, 2, !node->attr.arg.keep);
    rml_net_end(e);
}

static const char *lacks_cumsum(const rml_net_node *n)
{
    double axis;
    if (n->attr->cumsum.product)
        return "running products";
    return rml_input_number(n->graph, n->node, 1, &axis) ? NULL : "an axis that is computed";
}

static void emit_cumsum(rml_net_emitter *e, const rml_node *node)
{
    double axis = 0;
    rml_input_number(e->graph, node, 1, &axis);
    rml_net_needs(e, 5);
    rml_net_one(e, RML_NET_CUMSUM, rml_net_in(e, 0), rml_net_out(e, 0));
    rml_net_int(e, 1, (int64_t)axis);
    rml_net_int(e, 2, node->attr.cumsum.exclusive);
    rml_net_int(e, 3, node->attr.cumsum.reverse);
    rml_net_end(e);
}

static const char *lacks_topk(const rml_net_node *n)
{
    double count;
    return rml_input_number(n->graph, n->node, 1, &count) ? NULL : "a number that is computed";
}

static void emit_topk(rml_net_emitter *e, const rml_node *node)
{
    double count = 0;
    const char *in = rml_net_in(e, 0);
    const char *const out[] = {rml_net_out(e, 0), rml_net_out(e, 1)};
    rml_input_number(e->graph, node, 1, &count);
    rml_net_layer(e, RML_NET_TOP_K, &in, 1, out, 2);
    rml_net_int(e, 1, node->attr.topk.axis);
    rml_net_int(e, 2, (int64_t)count);
    rml_net_int(e, 3, node->attr.topk.smallest);
    rml_net_end(e);
}

const rml_net_rule rml_net_reduction_rules[] = {
    {RML_OP_REDUCE, lacks_reduce, emit_reduce},
    {RML_OP_ARG, lacks_arg, emit_arg},
    {RML_OP_CUMSUM, lacks_cumsum, emit_cumsum},
    {RML_OP_TOPK, lacks_topk, emit_topk},
    {RML_OP_COUNT, NULL, NULL},
};
