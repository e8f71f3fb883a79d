// Reductions, and what sorts or searches along an axis.
#include "writers/coreml/mil.h"

#include "tensor/dtype.h"

static bool axes_of(const rml_graph *graph, const rml_node *node, int64_t *axes, int *count)
{
    const rml_reduce_attr *attr = &node->attr.reduce;
    const int rank = rml_emit_shape(graph, node->in[0])->rank;
    *count = attr->axis_count;
    for (int i = 0; i < *count; i++)
        axes[i] = attr->axes[i];
    if (rml_input_given(node, 1))
        *count = rml_input_list(graph, node, 1, axes, RML_MAX_RANK);
    if (*count < 0)
        return false;
    for (int i = 0; i < *count; i++)
        axes[i] = rml_emit_axis(axes[i], rank);
    if (*count == 0 && !attr->empty_is_no)
        for (*count = 0; *count < rank; (*count)++)
            axes[*count] = *count;
    return true;
}

static const char *reduce_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    int64_t axes[RML_MAX_RANK];
    int count;
    (void)opset;
    return axes_of(graph, node, axes, &count) ? NULL : "its axes are computed in the run";
}

static void emit_reduce(rml_emitter *e, const rml_node *node)
{
    static const char *const types[] = {
        [RML_REDUCE_SUM] = "reduce_sum",         [RML_REDUCE_MEAN] = "reduce_mean",
        [RML_REDUCE_MAX] = "reduce_max",         [RML_REDUCE_MIN] = "reduce_min",
        [RML_REDUCE_PROD] = "reduce_prod",       [RML_REDUCE_L1] = "reduce_l1_norm",
        [RML_REDUCE_L2] = "reduce_l2_norm",      [RML_REDUCE_SUM_SQUARE] = "reduce_sum_square",
        [RML_REDUCE_LOG_SUM] = "reduce_log_sum", [RML_REDUCE_LOG_SUM_EXP] = "reduce_log_sum_exp",
    };
    const rml_operand x = rml_emit_in(e, node, 0), out = rml_emit_out(e, node, 0);
    int64_t axes[RML_MAX_RANK];
    int count;
    if (!axes_of(e->graph, node, axes, &count))
        return;
    if (count == 0) // of each element alone
        rml_emit_unary(e, "identity", x, out);
    else
        rml_emit_reduce(e, types[node->attr.reduce.kind], x, axes, count, node->attr.reduce.keep,
                        out);
}

static const char *arg_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    (void)opset;
    (void)graph;
    return node->attr.arg.last ? "of equal elements it takes the last" : NULL;
}

static void emit_arg(rml_emitter *e, const rml_node *node)
{
    const rml_arg_attr *arg = &node->attr.arg;
    const rml_operand x = rml_emit_in(e, node, 0);
    rml_emit_op op = rml_emit_begin(e, arg->smallest ? "reduce_argmin" : "reduce_argmax",
                                    rml_emit_out(e, node, 0));
    rml_emit_value(&op, "x", x);
    rml_emit_int(&op, "axis", rml_emit_axis(arg->axis, x.shape.rank));
    rml_emit_flag(&op, "keep_dims", arg->keep);
    if (e->opset >= 7)
        rml_emit_text(&op, "output_dtype", "int32");
    rml_emit_end(&op);
}

static const char *cumsum_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    int64_t axis;
    (void)opset;
    if (node->attr.cumsum.product)
        return "products of what came before";
    return rml_input_list(graph, node, 1, &axis, 1) == 1 ? NULL : "its axis is computed in the run";
}

static void emit_cumsum(rml_emitter *e, const rml_node *node)
{
    const rml_operand x = rml_emit_in(e, node, 0);
    int64_t axis = 0;
    rml_input_list(e->graph, node, 1, &axis, 1);
    rml_emit_op op = rml_emit_begin(e, "cumsum", rml_emit_out(e, node, 0));
    rml_emit_value(&op, "x", x);
    rml_emit_int(&op, "axis", rml_emit_axis(axis, x.shape.rank));
    rml_emit_flag(&op, "exclusive", node->attr.cumsum.exclusive);
    rml_emit_flag(&op, "reverse", node->attr.cumsum.reverse);
    rml_emit_end(&op);
}

static const char *topk_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    int64_t k;
    (void)opset;
    return rml_input_list(graph, node, 1, &k, 1) == 1 ? NULL
                                                      : "how many it takes is computed in the run";
}

static void emit_topk(rml_emitter *e, const rml_node *node)
{
    const rml_operand x = rml_emit_in(e, node, 0);
    int64_t k = 0;
    rml_input_list(e->graph, node, 1, &k, 1);
    rml_emit_op op = rml_emit_begin(e, "topk", rml_emit_out(e, node, 0));
    rml_emit_also(&op, rml_emit_out(e, node, 1));
    rml_emit_value(&op, "x", x);
    rml_emit_int(&op, "k", k);
    rml_emit_int(&op, "axis", rml_emit_axis(node->attr.topk.axis, x.shape.rank));
    rml_emit_flag(&op, "ascending", node->attr.topk.smallest);
    if (e->opset >= 6) {
        rml_emit_flag(&op, "sort", true);
        rml_emit_flag(&op, "return_indices", true);
    }
    if (e->opset >= 7)
        rml_emit_text(&op, "output_indices_dtype", "int32");
    rml_emit_end(&op);
}

const rml_emit_row rml_emit_reductions[] = {
    {RML_OP_REDUCE, reduce_lacks, emit_reduce},
    {RML_OP_ARG, arg_lacks, emit_arg},
    {RML_OP_CUMSUM, cumsum_lacks, emit_cumsum},
    {RML_OP_TOPK, topk_lacks, emit_topk},
    {0},
};
