// Einsum as transposes, reshapes and matrix products: operands are joined from left to right, as
// the operator does it.
#include "ops/matmul/einsum_equation.h"
#include "writers/rewrite.h"

#include <string.h>

// The labels of one joining: those in both operands and kept, in the first only, in the second
// only, and summed over.
enum { BATCH, M, N, K, PARTS };

typedef struct joining {
    const rml_einsum *eq;
    rml_einsum_term part[PARTS];
} joining;

typedef struct operand {
    rml_value_id value;
    rml_einsum_term labels;
} operand;

static bool has(const rml_einsum_term *of, int label)
{
    return memchr(of->label, label, (size_t)of->rank) != NULL;
}

static void append(rml_einsum_term *to, const rml_einsum_term *from)
{
    memcpy(to->label + to->rank, from->label, (size_t)from->rank);
    to->rank += from->rank;
}

// Whether the output, or an operand from `next` on, has the label.
static bool is_kept(const rml_einsum *eq, int label, int next)
{
    bool kept = has(&eq->out, label);
    for (int k = next; k < eq->operands && !kept; k++)
        kept = has(&eq->in[k], label);
    return kept;
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

// Sums over what no one reads any more.
static void sum_unread(rml_lowering *l, const rml_einsum *eq, operand *x,
                       const rml_einsum_term *other, int next, const char *name)
{
    rml_op_attr attr = {.reduce = {.kind = RML_REDUCE_SUM}};
    rml_einsum_term left = {0};
    for (int i = 0; i < x->labels.rank; i++) {
        const int label = x->labels.label[i];
        if (is_kept(eq, label, next) || (other && has(other, label)))
            left.label[left.rank++] = (uint8_t)label;
        else
            attr.reduce.axes[attr.reduce.axis_count++] = i;
    }
    if (attr.reduce.axis_count)
        x->value = rml_lower_node(l, RML_OP_REDUCE, &attr, &x->value, 1, name);
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

static int64_t size_of(const joining *j, int part)
{
    int64_t size = 1;
    for (int i = 0; i < j->part[part].rank; i++)
        size *= j->eq->size[j->part[part].label[i]];
    return size;
}

static bool is_merged(const joining *j, int part)
{
    return j->part[part].rank != 1;
}

// The operand as matrices (BATCH, a, b).
static rml_value_id matrices(rml_lowering *l, const joining *j, const operand *x, int a, int b,
                             const char *name)
{
    rml_einsum_term order = j->part[BATCH];
    rml_shape shape = {.rank = order.rank + 2};
    append(&order, &j->part[a]);
    append(&order, &j->part[b]);
    const rml_value_id turned = in_order(l, x, &order, name);
    if (!is_merged(j, a) && !is_merged(j, b))
        return turned;
    for (int i = 0; i < j->part[BATCH].rank; i++)
        shape.dim[i] = j->eq->size[j->part[BATCH].label[i]];
    shape.dim[shape.rank - 2] = size_of(j, a);
    shape.dim[shape.rank - 1] = size_of(j, b);
    return rml_lower_reshape(l, turned, &shape, name);
}

static void find_parts(joining *j, const operand *x, const operand *y, int next)
{
    for (int i = 0; i < x->labels.rank + y->labels.rank; i++) {
        const int label =
            i < x->labels.rank ? x->labels.label[i] : y->labels.label[i - x->labels.rank];
        const bool both = has(&x->labels, label) && has(&y->labels, label);
        const int part = !both                         ? has(&x->labels, label) ? M : N
                         : is_kept(j->eq, label, next) ? BATCH
                                                       : K;
        if (!has(&j->part[part], label))
            j->part[part].label[j->part[part].rank++] = (uint8_t)label;
    }
}

// x becomes its product with y.
static void join(rml_lowering *l, const rml_node *node, const rml_einsum *eq, operand *x,
                 operand *y, int next)
{
    joining j = {.eq = eq};
    rml_shape shape = {0};
    const char *product = rml_part_name(l, node, "product");
    sum_unread(l, eq, x, &y->labels, next, rml_part_name(l, node, "sum"));
    sum_unread(l, eq, y, &x->labels, next, rml_part_name(l, node, "sum"));
    find_parts(&j, x, y, next);
    const rml_op_attr attr = {.matmul = rml_matmul_plain(false, false)};
    const rml_value_id in[2] = {
        matrices(l, &j, x, M, K, rml_lowered_name(l, x->value, rml_part_name(l, node, "left"))),
        matrices(l, &j, y, K, N, rml_lowered_name(l, y->value, rml_part_name(l, node, "right")))};
    x->value = rml_lower_node(l, RML_OP_MATMUL, &attr, in, 2, product);
    x->labels = j.part[BATCH];
    append(&x->labels, &j.part[M]);
    append(&x->labels, &j.part[N]);
    if (!is_merged(&j, M) && !is_merged(&j, N))
        return;
    for (int i = 0; i < x->labels.rank; i++)
        shape.dim[shape.rank++] = eq->size[x->labels.label[i]];
    x->value = rml_lower_reshape(l, x->value, &shape, product);
}

// Whether all fits: known sizes, and ranks that tensors may have.
static bool fits(const rml_einsum *eq)
{
    int labels = 0;
    for (int label = 0; label < RML_EINSUM_ALL; label++) {
        bool used = false;
        for (int k = 0; k < eq->operands; k++)
            used = used || has(&eq->in[k], label);
        labels += used;
        if (used && eq->size[label] < 1)
            return false;
    }
    return labels <= RML_MAX_RANK - 2;
}

bool rml_rewrite_einsum(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    rml_shape in[RML_EINSUM_OPERANDS];
    rml_einsum eq;
    if (node->op != RML_OP_EINSUM || node->in_count > RML_EINSUM_OPERANDS)
        return false;
    for (int k = 0; k < node->in_count; k++)
        in[k] = rml_lowered_shape(l, node->in[k]);
    if (!rml_einsum_parse(node->attr.einsum.equation, in, node->in_count, &eq) || !is_plain(&eq) ||
        !fits(&eq))
        return false;
    operand x = {node->in[0], eq.in[0]};
    for (int k = 1; k < eq.operands; k++) {
        operand y = {node->in[k], eq.in[k]};
        join(l, node, &eq, &x, &y, k + 1);
    }
    sum_unread(l, &eq, &x, NULL, eq.operands, rml_part_name(l, node, "sum"));
    out[0] = in_order(l, &x, &eq.out, node->name);
    return true;
}
