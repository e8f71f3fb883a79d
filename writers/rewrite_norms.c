// Norms, as reductions and arithmetic.
#include "writers/rewrite.h"

#define P(part) rml_part_name(l, node, part)

static rml_value_id input(const rml_node *node, int index)
{
    return index < node->in_count ? node->in[index] : RML_NO_VALUE;
}

// y gamma + beta, either of which may be RML_NO_VALUE. The last one has the name of the node; so
// has y, where there is none.
static rml_value_id scaled(rml_lowering *l, const rml_node *node, rml_value_id y,
                           rml_value_id gamma, rml_value_id beta)
{
    if (gamma != RML_NO_VALUE)
        y = rml_lower_binary(l, RML_BINARY_MUL, y, gamma,
                             beta == RML_NO_VALUE ? node->name : P("scaled"));
    if (beta != RML_NO_VALUE)
        y = rml_lower_binary(l, RML_BINARY_ADD, y, beta, node->name);
    return y;
}

// Of x around its mean (with `rms`, around 0): x - mean, the mean, and 1 / sqrt(variance + eps).
static void find_moments(rml_lowering *l, const rml_node *node, rml_value_id x, const int *axes,
                         int count, bool rms, float eps, rml_value_id out[3])
{
    out[0] = x;
    out[1] = RML_NO_VALUE;
    if (!rms) {
        out[1] = rml_lower_reduce(l, RML_REDUCE_MEAN, x, axes, count, P("mean"));
        out[0] = rml_lower_binary(l, RML_BINARY_SUB, x, out[1], P("centred"));
    }
    rml_value_id variance = rml_lower_binary(l, RML_BINARY_MUL, out[0], out[0], P("squares"));
    variance = rml_lower_reduce(l, RML_REDUCE_MEAN, variance, axes, count, P("variance"));
    variance = rml_lower_by_number(l, RML_BINARY_ADD, variance, (double)eps, P("raised"));
    out[2] = rml_lower_unary(l, RML_UNARY_SQRT, variance, P("deviation"));
    out[2] = rml_lower_unary(l, RML_UNARY_RECIPROCAL, out[2], P("factor"));
}

// Layer norm over the last dimensions, channel norm over the channels of an image.
bool rml_rewrite_layer_norm(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    const bool by_channel = node->op == RML_OP_CHANNEL_NORM;
    const rml_layer_norm_attr *attr = &node->attr.layer_norm;
    const int rank = rml_lowered_shape(l, node->in[0]).rank;
    int axes[RML_MAX_RANK] = {1}, count = 1;
    if ((node->op != RML_OP_LAYER_NORM && !by_channel) ||
        (rank < 0 && (by_channel || attr->axis >= 0)))
        return false;
    if (!by_channel) {
        count = attr->axis < 0 ? -attr->axis : rank - attr->axis;
        for (int i = 0; i < count; i++)
            axes[i] = i - count;
    }
    rml_value_id moments[3], weight[2];
    for (int k = 0; k < 2; k++) {
        weight[k] = input(node, 1 + k);
        if (by_channel && weight[k] != RML_NO_VALUE)
            weight[k] = rml_lower_by_channel(l, weight[k], rank, P(k ? "beta" : "gamma"));
    }
    const bool plain = weight[0] == RML_NO_VALUE && weight[1] == RML_NO_VALUE;
    find_moments(l, node, node->in[0], axes, count, attr->rms, attr->eps, moments);
    const rml_value_id y = rml_lower_binary(l, RML_BINARY_MUL, moments[0], moments[2],
                                            plain ? node->name : P("normal"));
    out[0] = scaled(l, node, y, weight[0], weight[1]);
    if (!attr->moments || by_channel)
        return true;
    out[1] = moments[1];
    if (attr->rms) // there is no mean: zeros of its shape
        out[1] = rml_lower_by_number(l, RML_BINARY_MUL, moments[2], 0, P("mean"));
    out[2] = moments[2];
    return true;
}

// ---- group norm ---------------------------------------------------------------------------------

enum { X, GAMMA, BETA, OFFSET };

static rml_value_id without_weights(rml_lowering *l, rml_value_id x, float eps, const char *name)
{
    const rml_op_attr attr = {
        .group_norm = {.groups = 0, .eps = eps, .act = rml_activation_none()}};
    return rml_lower_node(l, RML_OP_GROUP_NORM, &attr, &x, 1, name);
}

// With what is added to x before: (N or 1, C).
static rml_value_id with_offset(rml_lowering *l, const rml_node *node, int rank)
{
    rml_shape shape = {rank, {0, 0, 1, 1, 1, 1, 1, 1}};
    const rml_value_id offset = rml_lower_reshape(
        l, node->in[OFFSET], &shape, rml_lowered_name(l, node->in[OFFSET], P("offset")));
    const rml_value_id in[3] = {
        rml_lower_binary(l, RML_BINARY_ADD, node->in[X], offset, P("moved")), input(node, GAMMA),
        input(node, BETA)};
    return rml_lower_node(l, RML_OP_GROUP_NORM, &node->attr, in, 3, node->name);
}

// Groups become channels of an image that is a row.
static rml_value_id in_groups(rml_lowering *l, const rml_node *node, int rank)
{
    const rml_group_norm_attr *attr = &node->attr.group_norm;
    const int64_t channels = rml_lowered_shape(l, node->in[X]).dim[1];
    rml_value_id x = node->in[X], weight[2] = {input(node, GAMMA), input(node, BETA)};
    bool plain = true;
    if (attr->groups != channels || rank < 3)
        x = rml_lower_reshape(l, x, &(rml_shape){3, {0, attr->groups, -1}}, P("groups"));
    rml_value_id y = without_weights(l, x, attr->eps, P("normal"));
    for (int k = 0; k < 2; k++) {
        if (weight[k] == RML_NO_VALUE)
            continue;
        const char *name = P(k ? "beta" : "gamma");
        const bool of_groups = rml_lowered_shape(l, weight[k]).dim[0] == attr->groups;
        if (of_groups && attr->groups != channels)
            y = rml_lower_binary(l, k ? RML_BINARY_ADD : RML_BINARY_MUL, y,
                                 rml_lower_by_channel(l, weight[k], 3, name),
                                 P(k ? "sum" : "product"));
        else
            plain = false;
        weight[k] = of_groups && attr->groups != channels
                        ? RML_NO_VALUE
                        : rml_lower_by_channel(l, weight[k], rank, name);
    }
    y = rml_lower_reshape_like(l, y, node->in[X], plain ? node->name : P("back"));
    return scaled(l, node, y, weight[0], weight[1]);
}

// Every channel by itself.
static rml_value_id by_moments(rml_lowering *l, const rml_node *node, int rank)
{
    int axes[RML_MAX_RANK];
    rml_value_id moments[3], weight[2];
    for (int i = 2; i < rank; i++)
        axes[i - 2] = i;
    for (int k = 0; k < 2; k++) {
        weight[k] = input(node, GAMMA + k);
        if (weight[k] != RML_NO_VALUE)
            weight[k] = rml_lower_by_channel(l, weight[k], rank, P(k ? "beta" : "gamma"));
    }
    const bool plain = weight[0] == RML_NO_VALUE && weight[1] == RML_NO_VALUE;
    find_moments(l, node, node->in[X], axes, rank - 2, false, node->attr.group_norm.eps, moments);
    const rml_value_id y = rml_lower_binary(l, RML_BINARY_MUL, moments[0], moments[2],
                                            plain ? node->name : P("normal"));
    return scaled(l, node, y, weight[0], weight[1]);
}

bool rml_rewrite_group_norm(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    if (node->op != RML_OP_GROUP_NORM)
        return false;
    const rml_shape x = rml_lowered_shape(l, node->in[X]);
    const int64_t groups = node->attr.group_norm.groups;
    if (x.rank < 2 || (groups && x.dim[1] < 0))
        return false;
    if (input(node, OFFSET) != RML_NO_VALUE)
        out[0] = with_offset(l, node, x.rank);
    else if (groups)
        out[0] = in_groups(l, node, x.rank);
    else if (x.rank > 2)
        out[0] = by_moments(l, node, x.rank);
    else
        return false;
    return true;
}

// Channels of a pixel by the root of the sum of their squares, to which eps is added.
bool rml_rewrite_l2norm(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    const int axis = 1;
    const rml_value_id scale = input(node, 1);
    if (node->op != RML_OP_L2NORM)
        return false;
    rml_value_id norm = rml_lower_reduce(l, RML_REDUCE_L2, node->in[0], &axis, 1, P("norm"));
    norm = rml_lower_by_number(l, RML_BINARY_ADD, norm, (double)node->attr.l2norm.eps, P("raised"));
    const rml_value_id y = rml_lower_binary(l, RML_BINARY_DIV, node->in[0], norm,
                                            scale == RML_NO_VALUE ? node->name : P("normal"));
    const int rank = rml_lowered_shape(l, node->in[0]).rank;
    out[0] =
        scale == RML_NO_VALUE
            ? y
            : scaled(l, node, y, rml_lower_by_channel(l, scale, rank, P("scale")), RML_NO_VALUE);
    return true;
}

// All dimensions from the axis on as one.
bool rml_rewrite_softmax(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    if (node->op != RML_OP_SOFTMAX || !node->attr.softmax.flat)
        return false;
    rml_op_attr attr = node->attr;
    const int rank = rml_lowered_shape(l, node->in[0]).rank;
    attr.softmax.flat = false;
    if (attr.softmax.axis == -1 || attr.softmax.axis == rank - 1) {
        out[0] = rml_lower_node(l, RML_OP_SOFTMAX, &attr, node->in, 1, node->name);
        return true;
    }
    const rml_op_attr flat = {.axis = {.axis = attr.softmax.axis}};
    attr.softmax.axis = 1;
    rml_value_id x = rml_lower_node(l, RML_OP_FLATTEN, &flat, node->in, 1, P("flat"));
    x = rml_lower_node(l, RML_OP_SOFTMAX, &attr, &x, 1, P("rows"));
    out[0] = rml_lower_reshape_like(l, x, node->in[0], node->name);
    return true;
}
