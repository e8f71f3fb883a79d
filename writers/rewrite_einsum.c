// Einsum as transposes, reshapes and matrix products: operands are joined from left to right, as
// the operator does it.
#include "ops/matmul/einsum_equation.h"
#include "writers/rewrite.h"

#include <string.h>

#define P(part) rml_part_name(l, e->node, part)

enum { BATCH = RML_EINSUM_BATCH, M = RML_EINSUM_M, N = RML_EINSUM_N, K = RML_EINSUM_K };

typedef struct einsum {
    const rml_node *node;
    rml_einsum eq; // of which unknown sizes are 1, to be joined
    bool unknown[RML_EINSUM_ALL];
    rml_value_id size[RML_EINSUM_ALL]; // of those that are not known: (1)
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

// ---- operands -----------------------------------------------------------------------------------

// Of a label that is there twice, the elements where both places are one: as the last two
// dimensions, which are one then, every so many.
static bool take_diagonal(rml_lowering *l, const einsum *e, operand *x, int a, int b)
{
    const rml_shape shape = rml_lowered_shape(l, x->value);
    const int64_t n = shape.dim[a];
    const int rank = shape.rank;
    rml_shape merged = {.rank = rank - 1};
    rml_einsum_term left = {0};
    int order[RML_MAX_RANK], kept = 0, unknown = 0;
    if (n < 1 || n != shape.dim[b] || n > INT32_MAX)
        return false;
    for (int i = 0; i < rank; i++) {
        if (i == a || i == b)
            continue;
        unknown += shape.dim[i] < 0;
        merged.dim[kept] = shape.dim[i];
        left.label[left.rank++] = x->labels.label[i];
        order[kept++] = i;
    }
    if (unknown > 1)
        return false;
    left.label[left.rank++] = x->labels.label[a];
    order[kept] = a;
    order[kept + 1] = b;
    merged.dim[kept] = n * n;
    const rml_op_attr every = {.slice = {kept, 0, n * n, n + 1}};
    const rml_value_id last = rml_lower_transpose(l, x->value, order, rank, P("pairs"));
    const rml_value_id row = rml_lower_reshape(l, last, &merged, P("row"));
    *x = (operand){rml_lower_node(l, RML_OP_SLICE, &every, &row, 1, P("diagonal")), left};
    return true;
}

// A size of 1 that others repeat: it is not there.
static bool leave_out(rml_lowering *l, const einsum *e, operand *x, int axis)
{
    rml_shape shape = rml_lowered_shape(l, x->value);
    int unknown = 0;
    shape.rank--;
    x->labels.rank--;
    for (int i = axis; i < shape.rank; i++) {
        shape.dim[i] = shape.dim[i + 1];
        x->labels.label[i] = x->labels.label[i + 1];
    }
    for (int i = 0; i < shape.rank; i++)
        unknown += shape.dim[i] < 0;
    x->value = rml_lower_reshape(l, x->value, &shape, P("once"));
    return unknown <= 1;
}

// An operand in which each label is there once, with its size.
static bool make_plain(rml_lowering *l, const einsum *e, operand *x)
{
    for (int b = 1; b < x->labels.rank; b++) {
        const uint8_t *a = memchr(x->labels.label, x->labels.label[b], (size_t)b);
        if (!a)
            continue;
        if (!take_diagonal(l, e, x, (int)(a - x->labels.label), b))
            return false;
        b = 0; // again
    }
    for (int i = x->labels.rank; i-- > 0;) {
        const int label = x->labels.label[i];
        const int64_t dim = rml_lowered_shape(l, x->value).dim[i];
        if (dim == 1 && (e->unknown[label] || e->eq.size[label] != 1) && !leave_out(l, e, x, i))
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

// The size of a label, or of all of a part: -1 where it is not known.
static int64_t size_of(const einsum *e, int label)
{
    return e->unknown[label] ? -1 : e->eq.size[label];
}

static int64_t merged_size(const einsum *e, const rml_einsum_joining *j, int part)
{
    for (int i = 0; i < j->part[part].rank; i++)
        if (e->unknown[j->part[part].label[i]])
            return -1;
    return (int64_t)j->size[part];
}

// The size of all labels of a part, as the run tells it.
static rml_value_id computed_size(rml_lowering *l, const einsum *e, const rml_einsum_term *labels)
{
    int64_t known = 1;
    rml_value_id size = RML_NO_VALUE;
    for (int i = 0; i < labels->rank; i++) {
        const int label = labels->label[i];
        if (!e->unknown[label])
            known *= e->eq.size[label];
        else if (size == RML_NO_VALUE)
            size = e->size[label];
        else
            size = rml_lower_binary(l, RML_BINARY_MUL, size, e->size[label], P("size"));
    }
    if (size == RML_NO_VALUE)
        return rml_lower_ints(l, &known, 1, P("size"));
    return known == 1 ? size
                      : rml_lower_by_number(l, RML_BINARY_MUL, size, (double)known, P("size"));
}

// To a dimension for each of `parts`. A reshape can tell one size that is not known; of several the
// run computes them all.
static rml_value_id reshaped(rml_lowering *l, const einsum *e, rml_value_id x,
                             const rml_shape *shape, const rml_einsum_term *parts, const char *name)
{
    const rml_op_attr first = {.concat = {0}};
    rml_value_id sizes[RML_MAX_RANK];
    int unknown = 0;
    for (int i = 0; i < shape->rank; i++)
        unknown += shape->dim[i] < 0;
    if (unknown <= 1)
        return rml_lower_reshape(l, x, shape, name);
    for (int i = 0; i < shape->rank; i++)
        sizes[i] = computed_size(l, e, &parts[i]);
    const rml_value_id in[2] = {
        x, rml_lower_node(l, RML_OP_CONCAT, &first, sizes, shape->rank, P("sizes"))};
    const rml_value_id y = rml_lower_node(l, RML_OP_RESHAPE, NULL, in, 2, name);
    if (y != RML_NO_VALUE)
        l->to->values[y].shape = *shape; // of which a list in the run says nothing
    return y;
}

static rml_einsum_term only(int label)
{
    return (rml_einsum_term){.label = {(uint8_t)label}, .rank = 1};
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
    rml_einsum_term parts[RML_MAX_RANK];
    for (int i = 0; i < j->part[BATCH].rank; i++) {
        shape.dim[i] = size_of(e, j->part[BATCH].label[i]);
        parts[i] = only(j->part[BATCH].label[i]);
    }
    parts[shape.rank - 2] = j->part[a];
    parts[shape.rank - 1] = j->part[b];
    shape.dim[shape.rank - 2] = merged_size(e, j, a);
    shape.dim[shape.rank - 1] = merged_size(e, j, b);
    return reshaped(l, e, turned, &shape, parts, name);
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
    rml_einsum_term parts[RML_MAX_RANK];
    for (int i = 0; i < labels.rank; i++) {
        parts[i] = only(labels.label[i]);
        shape.dim[shape.rank++] = size_of(e, labels.label[i]);
    }
    x->value = reshaped(l, e, x->value, &shape, parts, name);
}

// Whether all fits the ranks that tensors may have; notes which sizes are not known.
static bool fits(einsum *e)
{
    rml_einsum *eq = &e->eq;
    int labels = 0;
    for (int label = 0; label < RML_EINSUM_ALL; label++) {
        bool used = false;
        for (int k = 0; k < eq->operands; k++)
            used = used || rml_einsum_has(&eq->in[k], label);
        labels += used;
        if (used && eq->size[label] == 0)
            return false;
        e->unknown[label] = used && eq->size[label] < 0;
        if (e->unknown[label])
            eq->size[label] = 1;
    }
    return labels <= RML_MAX_RANK - 2;
}

// Where a label stands in an operand, its size is that of the operand.
static void find_sizes(rml_lowering *l, einsum *e, const operand *x)
{
    const rml_node *node = e->node;
    for (int k = 0; k < e->eq.operands; k++)
        for (int i = 0; i < x[k].labels.rank; i++) {
            const int label = x[k].labels.label[i];
            if (e->unknown[label] && e->size[label] == RML_NO_VALUE)
                e->size[label] =
                    rml_lower_sizes(l, x[k].value, i, i + 1, rml_part_name(l, node, "size"));
        }
}

bool rml_rewrite_einsum(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    rml_shape in[RML_EINSUM_OPERANDS];
    operand x[RML_EINSUM_OPERANDS];
    einsum e = {.node = node};
    if (node->op != RML_OP_EINSUM || node->in_count > RML_EINSUM_OPERANDS)
        return false;
    memset(e.size, 0xff, sizeof e.size); // RML_NO_VALUE
    for (int k = 0; k < node->in_count; k++)
        in[k] = rml_lowered_shape(l, node->in[k]);
    if (!rml_einsum_parse(node->attr.einsum.equation, in, node->in_count, &e.eq) || !fits(&e))
        return false;
    for (int k = 0; k < e.eq.operands; k++) {
        x[k] = (operand){node->in[k], e.eq.in[k]};
        if (!make_plain(l, &e, &x[k]))
            return false;
        e.eq.in[k] = x[k].labels;
    }
    find_sizes(l, &e, x);
    for (int k = 1; k < e.eq.operands; k++)
        join(l, &e, &x[0], &x[k], k + 1);
    sum_unread(l, &e, &x[0], NULL, e.eq.operands);
    out[0] = in_order(l, &x[0], &e.eq.out, node->name);
    if (out[0] == node->in[0]) { // an output of the graph is one of a node
        const rml_op_attr same = {.cast = {.to = l->to->values[out[0]].dtype}};
        out[0] = rml_lower_node(l, RML_OP_CAST, &same, out, 1, node->name);
    }
    return true;
}
