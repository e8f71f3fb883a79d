// Norms and softmax.
#include "writers/coreml/mil.h"

#include "tensor/tensor.h"

static rml_operand part_of(rml_emitter *e, const rml_operand *out, const char *part)
{
    return rml_emit_part(e, out, part, &out->shape);
}

static bool constants(const rml_graph *graph, const rml_node *node, int first, int last)
{
    bool all = true;
    for (int i = first; i <= last; i++)
        all = all && (!rml_input_given(node, i) || rml_emit_constant(graph, node, i));
    return all;
}

static const char runs[] = "its weights are computed in the run";

// A constant with a number for each channel, (C,1,1..) for axis 1 of `rank` dimensions.
static rml_operand per_channel(rml_emitter *e, const rml_node *node, int index, int rank,
                               const rml_operand *out)
{
    static const char *const names[] = {"x", "gamma", "beta", "mean", "variance"};
    size_t count = 0;
    const float *data = rml_emit_elements(e, node, index, &count);
    rml_shape shape = {.rank = rank - 1, .dim = {(int64_t)count}};
    for (int i = 1; i < shape.rank; i++)
        shape.dim[i] = 1;
    return rml_emit_floats(e, rml_emit_joined(e, out->name, names[index]), data, &shape, e->real);
}

// x * gamma + beta by channels; inputs 1 and 2 may be absent.
static void emit_affine(rml_emitter *e, const rml_node *node, rml_operand x, rml_operand out)
{
    const bool has_beta = rml_input_given(node, 2);
    if (rml_input_given(node, 1))
        x = rml_emit_binary(e, "mul", x, per_channel(e, node, 1, out.shape.rank, &out),
                            has_beta ? part_of(e, &out, "scaled") : out);
    if (has_beta)
        rml_emit_binary(e, "add", x, per_channel(e, node, 2, out.shape.rank, &out), out);
}

// (x - mean) / sqrt(variance + eps) over axes; of a mean of 0, too.
static rml_operand normalised(rml_emitter *e, rml_operand x, const int64_t *axes, int count,
                              float eps, bool rms, rml_operand out)
{
    rml_shape kept = x.shape;
    for (int i = 0; i < count; i++)
        kept.dim[axes[i]] = 1;
    if (!rms)
        x = rml_emit_binary(e, "sub", x,
                            rml_emit_reduce(e, "reduce_mean", x, axes, count, true,
                                            rml_emit_part(e, &out, "mean", &kept)),
                            rml_emit_part(e, &out, "centred", &x.shape));
    const rml_operand square =
        rml_emit_unary(e, "square", x, rml_emit_part(e, &out, "square", &x.shape));
    rml_operand root = rml_emit_reduce(e, "reduce_mean", square, axes, count, true,
                                       rml_emit_part(e, &out, "variance", &kept));
    root = rml_emit_with(e, "add", root, (double)eps, rml_emit_part(e, &out, "raised", &kept));
    root = rml_emit_unary(e, "sqrt", root, rml_emit_part(e, &out, "root", &kept));
    return rml_emit_binary(e, "real_div", x, root, out);
}

// ---- by statistics of the weights ---------------------------------------------------------------

static const char *batch_norm_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    (void)opset;
    return constants(graph, node, 1, 4) ? NULL : runs;
}

static void emit_batch_norm(rml_emitter *e, const rml_node *node)
{
    static const char *const keys[] = {"x", "gamma", "beta", "mean", "variance"};
    const rml_operand out = rml_emit_out(e, node, 0);
    rml_operand x = rml_emit_in(e, node, 0);
    const rml_shape image = {3, {out.shape.dim[0], out.shape.dim[1], 1}};
    const bool flat = out.shape.rank == 2; // the operation wants 3 dimensions
    if (flat)
        x = rml_emit_reshape(e, x, rml_emit_part(e, &out, "image", &image));
    rml_emit_op op =
        rml_emit_begin(e, "batch_norm", flat ? rml_emit_part(e, &out, "norm", &image) : out);
    rml_emit_value(&op, "x", x);
    for (int i = 1; i < 5; i++)
        if (rml_input_given(node, i))
            rml_emit_value(&op, keys[i], rml_emit_in(e, node, i));
    rml_emit_real(&op, "epsilon", (double)node->attr.batch_norm.eps);
    x = rml_emit_end(&op);
    if (flat)
        rml_emit_reshape(e, x, out);
}

// ---- by statistics of the value -----------------------------------------------------------------

static const char *group_norm_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    const rml_shape *x = rml_emit_shape(graph, node->in[0]);
    int unknown = 0;
    (void)opset;
    if (!rml_activation_is_none(&node->attr.group_norm.act))
        return "an activation of its own";
    if (rml_input_given(node, 3))
        return "an offset of its own";
    if (!constants(graph, node, 1, 2))
        return runs;
    for (int i = 1; i <= 2; i++)
        if (rml_input_given(node, i) && rml_emit_shape(graph, node->in[i])->dim[0] != x->dim[1])
            return "its weights are those of groups";
    for (int i = 0; i < x->rank; i++)
        unknown += x->dim[i] < 0;
    return unknown > 1 || x->dim[1] < 0 ? "several sizes are not known before a run" : NULL;
}

static void emit_group_norm(rml_emitter *e, const rml_node *node)
{
    static const char *const keys[] = {"x", "gamma", "beta"};
    static const int64_t last = 2;
    const rml_group_norm_attr *attr = &node->attr.group_norm;
    const rml_operand out = rml_emit_out(e, node, 0);
    rml_operand x = rml_emit_in(e, node, 0);
    if (attr->groups == 0 && (x.shape.rank == 3 || x.shape.rank == 4)) {
        rml_emit_op op = rml_emit_begin(e, "instance_norm", out);
        for (int i = 0; i < 3; i++)
            if (rml_input_given(node, i))
                rml_emit_value(&op, keys[i], rml_emit_in(e, node, i));
        rml_emit_real(&op, "epsilon", (double)attr->eps);
        rml_emit_end(&op);
        return;
    }
    const bool affine = rml_input_given(node, 1) || rml_input_given(node, 2);
    rml_shape groups = {3, {x.shape.dim[0], attr->groups ? attr->groups : x.shape.dim[1], 1}};
    for (int i = 1; i < x.shape.rank; i++)
        groups.dim[2] =
            groups.dim[2] < 0 || x.shape.dim[i] < 0 ? -1 : groups.dim[2] * x.shape.dim[i];
    if (groups.dim[2] > 0)
        groups.dim[2] /= groups.dim[1];
    x = rml_emit_reshape(e, x, rml_emit_part(e, &out, "groups", &groups));
    x = normalised(e, x, &last, 1, attr->eps, false, rml_emit_part(e, &out, "norm", &groups));
    x = rml_emit_reshape(e, x, affine ? part_of(e, &out, "image") : out);
    emit_affine(e, node, x, out);
}

static const char *layer_norm_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    (void)opset;
    if (node->attr.layer_norm.moments)
        return "it also gives mean and deviation";
    return constants(graph, node, 1, 2) ? NULL : runs;
}

static void emit_layer_norm(rml_emitter *e, const rml_node *node)
{
    static const char *const keys[] = {"x", "gamma", "beta"};
    const rml_layer_norm_attr *attr = &node->attr.layer_norm;
    const rml_operand out = rml_emit_out(e, node, 0), x = rml_emit_in(e, node, 0);
    int64_t axes[RML_MAX_RANK];
    int count = 0;
    for (int i = rml_emit_axis(attr->axis, x.shape.rank); i < x.shape.rank; i++)
        axes[count++] = i;
    if (attr->rms) {
        const bool scales = rml_input_given(node, 1);
        const rml_operand norm =
            normalised(e, x, axes, count, attr->eps, true, scales ? part_of(e, &out, "norm") : out);
        if (scales)
            rml_emit_binary(e, "mul", norm, rml_emit_in(e, node, 1), out);
        return;
    }
    rml_emit_op op = rml_emit_begin(e, "layer_norm", out);
    for (int i = 0; i < 3; i++)
        if (rml_input_given(node, i))
            rml_emit_value(&op, keys[i], rml_emit_in(e, node, i));
    rml_emit_ints(&op, "axes", axes, count);
    rml_emit_real(&op, "epsilon", (double)attr->eps);
    rml_emit_end(&op);
}

static void emit_channel_norm(rml_emitter *e, const rml_node *node)
{
    static const int64_t channels = 1;
    const rml_layer_norm_attr *attr = &node->attr.layer_norm;
    const rml_operand out = rml_emit_out(e, node, 0), x = rml_emit_in(e, node, 0);
    const bool affine = rml_input_given(node, 1) || rml_input_given(node, 2);
    emit_affine(e, node,
                normalised(e, x, &channels, 1, attr->eps, attr->rms,
                           affine ? part_of(e, &out, "norm") : out),
                out);
}

// x / (norm + eps) * scale, by channels.
static void emit_l2norm(rml_emitter *e, const rml_node *node)
{
    static const int64_t channels = 1;
    const rml_operand out = rml_emit_out(e, node, 0), x = rml_emit_in(e, node, 0);
    rml_shape kept = x.shape;
    kept.dim[1] = 1;
    rml_operand norm = rml_emit_reduce(e, "reduce_l2_norm", x, &channels, 1, true,
                                       rml_emit_part(e, &out, "norm", &kept));
    norm = rml_emit_with(e, "add", norm, (double)node->attr.l2norm.eps,
                         rml_emit_part(e, &out, "raised", &kept));
    emit_affine(e, node,
                rml_emit_binary(e, "real_div", x, norm,
                                rml_input_given(node, 1) ? part_of(e, &out, "unit") : out),
                out);
}

static void emit_lrn(rml_emitter *e, const rml_node *node)
{
    const rml_lrn_attr *attr = &node->attr.lrn;
    rml_emit_op op = rml_emit_begin(e, "local_response_norm", rml_emit_out(e, node, 0));
    rml_emit_value(&op, "x", rml_emit_in(e, node, 0));
    rml_emit_int(&op, "size", attr->size);
    rml_emit_real(&op, "alpha", (double)attr->alpha);
    rml_emit_real(&op, "beta", (double)attr->beta);
    rml_emit_real(&op, "k", (double)attr->bias);
    rml_emit_end(&op);
}

// ---- softmax ------------------------------------------------------------------------------------

static const char *softmax_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    const rml_softmax_attr *attr = &node->attr.softmax;
    const int rank = rml_emit_shape(graph, node->in[0])->rank;
    (void)opset;
    if (attr->kind == RML_SOFTMAX_HARD)
        return "there is no operation for it";
    return attr->flat && rml_emit_axis(attr->axis, rank) != rank - 1 &&
                   !rml_shape_known(rml_emit_shape(graph, node->in[0]))
               ? "sizes are not known before a run"
               : NULL;
}

// Over one axis; the logarithm by the sum, which keeps small numbers.
static void emit_softmax_of(rml_emitter *e, const rml_softmax_attr *attr, rml_operand x, int axis,
                            rml_operand out)
{
    const int64_t along = axis;
    if (attr->kind == RML_SOFTMAX_LOG) {
        rml_shape kept = x.shape;
        kept.dim[axis] = 1;
        rml_emit_binary(e, "sub", x,
                        rml_emit_reduce(e, "reduce_log_sum_exp", x, &along, 1, true,
                                        rml_emit_part(e, &out, "sum", &kept)),
                        out);
        return;
    }
    rml_emit_op op = rml_emit_begin(e, "softmax", out);
    rml_emit_value(&op, "x", x);
    rml_emit_int(&op, "axis", axis);
    rml_emit_end(&op);
}

static void emit_softmax(rml_emitter *e, const rml_node *node)
{
    const rml_softmax_attr *attr = &node->attr.softmax;
    const rml_operand out = rml_emit_out(e, node, 0), x = rml_emit_in(e, node, 0);
    const int axis = rml_emit_axis(attr->axis, x.shape.rank);
    if (!attr->flat || axis == x.shape.rank - 1) {
        emit_softmax_of(e, attr, x, axis, out);
        return;
    }
    rml_shape rows = {2, {1, 1}};
    for (int i = 0; i < x.shape.rank; i++)
        rows.dim[i >= axis] *= x.shape.dim[i];
    const rml_operand flat = rml_emit_reshape(e, x, rml_emit_part(e, &out, "rows", &rows)),
                      part = rml_emit_part(e, &out, "softmax", &rows);
    emit_softmax_of(e, attr, flat, 1, part);
    rml_emit_reshape(e, part, out);
}

const rml_emit_row rml_emit_norms[] = {
    {RML_OP_BATCH_NORM, batch_norm_lacks, emit_batch_norm},
    {RML_OP_GROUP_NORM, group_norm_lacks, emit_group_norm},
    {RML_OP_LAYER_NORM, layer_norm_lacks, emit_layer_norm},
    {RML_OP_CHANNEL_NORM, layer_norm_lacks, emit_channel_norm},
    {RML_OP_L2NORM, batch_norm_lacks, emit_l2norm},
    {RML_OP_LRN, NULL, emit_lrn},
    {RML_OP_SOFTMAX, softmax_lacks, emit_softmax},
    {0},
};
