// What picks, scatters and makes elements by index.
#include "writers/coreml/mil.h"

static rml_emit_op begin(rml_emitter *e, const rml_node *node, const char *type, const char *x)
{
    rml_emit_op op = rml_emit_begin(e, type, rml_emit_out(e, node, 0));
    rml_emit_value(&op, x, rml_emit_in(e, node, 0));
    rml_emit_value(&op, "indices", rml_emit_in(e, node, 1));
    return op;
}

// Arguments that newer opsets have.
static void end(rml_emit_op *op, bool batches, int64_t batch)
{
    if (batches && op->e->opset >= 6)
        rml_emit_int(op, "batch_dims", batch);
    if (op->e->opset >= 7)
        rml_emit_flag(op, "validate_indices", false);
    rml_emit_end(op);
}

static const char *gather_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    (void)opset;
    return graph->values[node->in[0]].dtype == RML_BOOL ? "there is no operation for it of bools"
                                                        : NULL;
}

static void emit_gather(rml_emitter *e, const rml_node *node)
{
    rml_emit_op op = rml_emit_begin(e, "gather", rml_emit_out(e, node, 0));
    const rml_operand x = rml_emit_weight(e, node, 0);
    rml_emit_value(&op, "x", x);
    rml_emit_value(&op, "indices", rml_emit_in(e, node, 1));
    rml_emit_int(&op, "axis", rml_emit_axis(node->attr.axis.axis, x.shape.rank));
    end(&op, true, 0);
}

static void emit_gather_along(rml_emitter *e, const rml_node *node)
{
    rml_emit_op op = begin(e, node, "gather_along_axis", "x");
    rml_emit_int(&op, "axis",
                 rml_emit_axis(node->attr.axis.axis, rml_emit_in(e, node, 0).shape.rank));
    end(&op, false, 0);
}

static const char *gather_nd_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    if (node->attr.gather_nd.batch && opset < 6)
        return "leading dimensions that data and indices share, which need ios16";
    return gather_lacks(opset, graph, node);
}

static void emit_gather_nd(rml_emitter *e, const rml_node *node)
{
    if (node->attr.gather_nd.batch)
        rml_emit_need(e, 6);
    rml_emit_op op = begin(e, node, "gather_nd", "x");
    end(&op, true, node->attr.gather_nd.batch);
}

static const char *const modes[] = {
    [RML_SCATTER_SET] = "update", [RML_SCATTER_ADD] = "add", [RML_SCATTER_MUL] = "mul",
    [RML_SCATTER_MIN] = "min",    [RML_SCATTER_MAX] = "max", [RML_SCATTER_DIV] = "div"};

static void emit_scatter(rml_emitter *e, const rml_node *node)
{
    const bool along = node->op == RML_OP_SCATTER_ELEMENTS;
    rml_emit_op op = begin(e, node, along ? "scatter_along_axis" : "scatter_nd", "data");
    rml_emit_value(&op, "updates", rml_emit_in(e, node, 2));
    if (along)
        rml_emit_int(&op, "axis",
                     rml_emit_axis(node->attr.scatter.axis, rml_emit_in(e, node, 0).shape.rank));
    rml_emit_text(&op, "mode", modes[node->attr.scatter.kind]);
    end(&op, false, 0);
}

// [n,rank] there, [rank,n] here.
static void emit_nonzero(rml_emitter *e, const rml_node *node)
{
    static const int perm[] = {1, 0};
    const rml_operand x = rml_emit_in(e, node, 0), out = rml_emit_out(e, node, 0);
    const rml_shape places = {2, {-1, x.shape.rank}};
    rml_emit_transpose(
        e, rml_emit_unary(e, "non_zero", x, rml_emit_part(e, &out, "places", &places)), perm, out);
}

static const char *one_hot_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    int64_t depth;
    (void)opset;
    return rml_input_list(graph, node, 1, &depth, 1) == 1 && rml_emit_constant(graph, node, 2)
               ? NULL
               : "its size or its values are computed in the run";
}

static void emit_one_hot(rml_emitter *e, const rml_node *node)
{
    const rml_operand out = rml_emit_out(e, node, 0);
    int64_t depth = 0;
    size_t count;
    rml_input_list(e->graph, node, 1, &depth, 1);
    const float *values = rml_emit_elements(e, node, 2, &count);
    if (!values || count != 2)
        return;
    rml_emit_op op = rml_emit_begin(e, "one_hot", out);
    rml_emit_value(&op, "indices", rml_emit_in(e, node, 0));
    rml_emit_int(&op, "one_hot_vector_size", depth);
    rml_emit_int(&op, "axis", rml_emit_axis(node->attr.axis.axis, out.shape.rank));
    rml_emit_value(&op, "on_value",
                   rml_emit_number(e, rml_emit_joined(e, out.name, "on_value_0"), (double)values[1],
                                   out.dtype));
    rml_emit_value(&op, "off_value",
                   rml_emit_number(e, rml_emit_joined(e, out.name, "off_value_0"),
                                   (double)values[0], out.dtype));
    rml_emit_end(&op);
}

static void emit_range(rml_emitter *e, const rml_node *node)
{
    rml_emit_op op = rml_emit_begin(e, "range_1d", rml_emit_out(e, node, 0));
    rml_emit_value(&op, "start", rml_emit_in(e, node, 0));
    rml_emit_value(&op, "end", rml_emit_in(e, node, 1));
    rml_emit_value(&op, "step", rml_emit_in(e, node, 2));
    rml_emit_end(&op);
}

static int64_t diagonal_of(const rml_graph *graph, const rml_node *node, bool *known)
{
    int64_t diagonal = 0;
    *known = !rml_input_given(node, 1) || rml_input_list(graph, node, 1, &diagonal, 1) == 1;
    return diagonal;
}

static const char *trilu_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    bool known;
    const int64_t diagonal = diagonal_of(graph, node, &known);
    (void)opset;
    if (!known)
        return "its diagonal is computed in the run";
    return (node->attr.trilu.upper ? diagonal > 0 : diagonal < 0)
               ? "the main diagonal does not stay"
               : NULL;
}

static void emit_trilu(rml_emitter *e, const rml_node *node)
{
    bool known;
    const int64_t diagonal = diagonal_of(e->graph, node, &known);
    const bool upper = node->attr.trilu.upper;
    rml_emit_op op = rml_emit_begin(e, "band_part", rml_emit_out(e, node, 0));
    rml_emit_value(&op, "x", rml_emit_in(e, node, 0));
    rml_emit_int(&op, "lower", upper ? -diagonal : -1);
    rml_emit_int(&op, "upper", upper ? -1 : diagonal);
    rml_emit_end(&op);
}

static void emit_reverse_sequence(rml_emitter *e, const rml_node *node)
{
    rml_emit_op op = rml_emit_begin(e, "reverse_sequence", rml_emit_out(e, node, 0));
    rml_emit_value(&op, "x", rml_emit_in(e, node, 0));
    rml_emit_value(&op, "lengths", rml_emit_in(e, node, 1));
    rml_emit_int(&op, "seq_axis", node->attr.reverse.time_axis);
    rml_emit_int(&op, "batch_axis", node->attr.reverse.batch_axis);
    rml_emit_end(&op);
}

const rml_emit_row rml_emit_index[] = {
    {RML_OP_GATHER, gather_lacks, emit_gather},
    {RML_OP_GATHER_ELEMENTS, gather_lacks, emit_gather_along},
    {RML_OP_GATHER_ND, gather_nd_lacks, emit_gather_nd},
    {RML_OP_SCATTER_ELEMENTS, gather_lacks, emit_scatter},
    {RML_OP_SCATTER_ND, gather_lacks, emit_scatter},
    {RML_OP_NONZERO, NULL, emit_nonzero},
    {RML_OP_ONE_HOT, one_hot_lacks, emit_one_hot},
    {RML_OP_RANGE, NULL, emit_range},
    {RML_OP_TRILU, trilu_lacks, emit_trilu},
    {RML_OP_REVERSE_SEQUENCE, NULL, emit_reverse_sequence},
    {0},
};
