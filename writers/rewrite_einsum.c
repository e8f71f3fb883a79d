// Einsum as transposes, reshapes and matrix products: operands are joined from left to right, as
// the operator does it.
#include "ops/matmul/einsum_equation.h"
#include "writers/rewrite.h"

#include <string.h>

#define P(part) rml_part_name(l, e->node, part)

enum { BATCH = RML_EINSUM_BATCH, M = RML_EINSUM_M, N = RML_EINSUM_N, K = RML_EINSUM_K };

typedef struct einsum {
    const rml_node *node;
    rml_einsum eq;
} einsum;

typedef struct operand {
    rml_value_id value;
    rml_einsum_term labels;
} operand;

static void append(rml_einsum_term *to, const rml_einsum_term *from)
{
    memcpy(to->label + to->rank, from->label, (size_t)from->rank);
    to->rank += from->rank;
}

// Diagonals and repeated sizes have no such form.
static bool is_plain(const rml_einsum *eq)
{
    for (int k = 0; k < eq->operands; k++)
        for (int i = 0; i < eq->in[k].rank; i++) {
            const int label = eq->in[k].label[i];
            if (eq->size_of[k][i] != eq->size[label] ||
                memchr(eq->in[k].label, label, (size_t)i) != NULL)
                return false;
        }
    return true;
}

// ---- steps --------------------------------------------------------------------------------------

// What computes a value of these labels is called so: as the node, if that is all that is wanted.
static const char *name_of(rml_lowering *l, const einsum *e, const rml_einsum_term *labels,
                           int next, const char *part)
{
    const rml_einsum_term *out = &e->eq.out;
    const bool done = next == e->eq.operands && labels->rank == out->rank &&
                      memcmp(labels->label, out->label, (size_t)out->rank) == 0;
    return done ? e->node->name : P(part);
}

// Sums over what no one reads any more, neither `other` (or NULL) nor the operands from `next` on.
static void sum_unread(rml_lowering *l, const einsum *e, operand *x, const rml_einsum_term *other,
                       int next)
{
    rml_op_attr attr = {.reduce = {.kind = RML_REDUCE_SUM}};
    rml_einsum_term left = {0};
    for (int i = 0; i < x->labels.rank; i++) {
        const int label = x->labels.label[i];
        if (rml_einsum_keeps(&e->eq, label, next) || (other && rml_einsum_has(other, label)))
            left.label[left.rank++] = (uint8_t)label;
        else
            attr.reduce.axes[attr.reduce.axis_count++] = i;
    }
    if (attr.reduce.axis_count)
        x->value = rml_lower_node(l, RML_OP_REDUCE, &attr, &x->value, 1,
                                  other ? P("sum") : name_of(l, e, &left, next, "sum"));
    x->labels = left;
}

static rml_value_id in_order(rml_lowering *l, const operand *x, const rml_einsum_term *order,
                             const char *name)
{
    int axes[RML_MAX_RANK];
    bool same = true;
    for (int i = 0; i < order->rank; i++) {
        const uint8_t *at = memchr(x->labels.label, order->label[i], (size_t)x->labels.rank);
        axes[i] = (int)(at - x->labels.label);
        same = same && axes[i] == i;
    }
    return same ? x->value : rml_lower_transpose(l, x->value, axes, order->rank, name);
}

static bool is_merged(const rml_einsum_joining *j, int part)
{
    return j->part[part].rank != 1;
}

// The operand as matrices (BATCH, a, b).
static rml_value_id matrices(rml_lowering *l, const einsum *e, const rml_einsum_joining *j,
                             const operand *x, int a, int b, const char *part)
{
    const char *name = rml_lowered_name(l, x->value, P(part));
    rml_einsum_term order = j->part[BATCH];
    rml_shape shape = {.rank = order.rank + 2};
    append(&order, &j->part[a]);
    append(&order, &j->part[b]);
    const rml_value_id turned = in_order(l, x, &order, name);
    if (!is_merged(j, a) && !is_merged(j, b))
        return turned;
    for (int i = 0; i < j->part[BATCH].rank; i++)
        shape.dim[i] = e->eq.size[j->part[BATCH].label[i]];
    shape.dim[shape.rank - 2] = (int64_t)j->size[a];
    shape.dim[shape.rank - 1] = (int64_t)j->size[b];
    return rml_lower_reshape(l, turned, &shape, name);
}

// x becomes its product with y.
static void join(rml_lowering *l, const einsum *e, operand *x, operand *y, int next)
{
    rml_einsum_joining j;
    rml_shape shape = {0};
    sum_unread(l, e, x, &y->labels, next);
    sum_unread(l, e, y, &x->labels, next);
    if (!rml_einsum_join(&e->eq, &x->labels, &y->labels, next, &j)) {
        rml_graph_fail(l->to, RML_ERR_LIMIT, "%s makes too large tensors", e->node->name);
        return;
    }
    const rml_einsum_term labels = rml_einsum_joined(&j);
    const bool merged = is_merged(&j, M) || is_merged(&j, N);
    const char *name = name_of(l, e, &labels, next, "product");
    const rml_op_attr attr = {.matmul = rml_matmul_plain(false, false)};
    const rml_value_id in[2] = {matrices(l, e, &j, x, M, K, "left"),
                                matrices(l, e, &j, y, K, N, "right")};
    x->value = rml_lower_node(l, RML_OP_MATMUL, &attr, in, 2, merged ? P("product") : name);
    x->labels = labels;
    if (!merged)
        return;
    for (int i = 0; i < labels.rank; i++)
        shape.dim[shape.rank++] = e->eq.size[labels.label[i]];
    x->value = rml_lower_reshape(l, x->value, &shape, name);
}

// Whether all fits: known sizes, and ranks that tensors may have.
static bool fits(const rml_einsum *eq)
{
    int labels = 0;
    for (int label = 0; label < RML_EINSUM_ALL; label++) {
        bool used = false;
        for (int k = 0; k < eq->operands; k++)
            used = used || rml_einsum_has(&eq->in[k], label);
        labels += used;
        if (used && eq->size[label] < 1)
            return false;
    }
    return labels <= RML_MAX_RANK - 2;
}

bool rml_rewrite_einsum(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    rml_shape in[RML_EINSUM_OPERANDS];
    einsum e = {.node = node};
    if (node->op != RML_OP_EINSUM || node->in_count > RML_EINSUM_OPERANDS)
        return false;
    for (int k = 0; k < node->in_count; k++)
        in[k] = rml_lowered_shape(l, node->in[k]);
    if (!rml_einsum_parse(node->attr.einsum.equation, in, node->in_count, &e.eq) ||
        !is_plain(&e.eq) || !fits(&e.eq))
        return false;
    operand x = {node->in[0], e.eq.in[0]};
    for (int k = 1; k < e.eq.operands; k++) {
        operand y = {node->in[k], e.eq.in[k]};
        join(l, &e, &x, &y, k + 1);
    }
    sum_unread(l, &e, &x, NULL, e.eq.operands);
    out[0] = in_order(l, &x, &e.eq.out, node->name);
    if (out[0] == node->in[0]) { // an output of the graph is one of a node
        const rml_op_attr same = {.cast = {.to = l->to->values[out[0]].dtype}};
        out[0] = rml_lower_node(l, RML_OP_CAST, &same, out, 1, node->name);
    }
    return true;
}
