// Matrix products and attention.
#include "writers/rewrite.h"

#include <math.h>
#include <string.h>

#define P(part) rml_part_name(l, node, part)

static rml_value_id turned(rml_lowering *l, rml_value_id x, const char *name)
{
    int order[RML_MAX_RANK];
    const int rank = rml_lowered_shape(l, x).rank;
    for (int i = 0; i < rank; i++)
        order[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    return rank < 2 ? x : rml_lower_transpose(l, x, order, rank, rml_lowered_name(l, x, name));
}

// act(alpha a b + beta c + residual): products without factors, of operands that lie as they
// should.
bool rml_rewrite_matmul(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    if (node->op != RML_OP_MATMUL)
        return false;
    const rml_matmul_attr *attr = &node->attr.matmul;
    const bool turns[2] = {attr->transpose_a, attr->transpose_b};
    const rml_value_id c = node->in_count > 2 ? node->in[2] : RML_NO_VALUE;
    const rml_value_id residual = node->in_count > 3 ? node->in[3] : RML_NO_VALUE;
    const bool plain =
        !turns[0] && !turns[1] && attr->alpha == 1 && c == RML_NO_VALUE && residual == RML_NO_VALUE;
    rml_value_id in[2] = {node->in[0], node->in[1]};
    for (int k = 0; k < 2; k++)
        if (turns[k] && rml_lowered_shape(l, in[k]).rank < 0)
            return false;
    if (plain || !rml_activation_is_none(&attr->act))
        return false;
    for (int k = 0; k < 2; k++)
        if (turns[k])
            in[k] = turned(l, in[k], P(k ? "b" : "a"));
    const rml_op_attr product = {.matmul = rml_matmul_plain(false, false)};
    const bool scales = attr->alpha != 1, adds = c != RML_NO_VALUE, more = residual != RML_NO_VALUE;
    rml_value_id y = rml_lower_node(l, RML_OP_MATMUL, &product, in, 2,
                                    scales || adds || more ? P("product") : node->name);
    if (scales)
        y = rml_lower_by_number(l, RML_BINARY_MUL, y, (double)attr->alpha,
                                adds || more ? P("scaled") : node->name);
    if (adds) {
        const rml_value_id term =
            attr->beta == 1
                ? c
                : rml_lower_by_number(l, RML_BINARY_MUL, c, (double)attr->beta, P("term"));
        y = rml_lower_binary(l, RML_BINARY_ADD, y, term, more ? P("sum") : node->name);
    }
    if (more)
        y = rml_lower_binary(l, RML_BINARY_ADD, y, residual, node->name);
    out[0] = y;
    return true;
}

// ---- attention ----------------------------------------------------------------------------------

enum { Q, K, V, MASK, PAST, LENGTHS };

typedef struct heads {
    rml_value_id in[3]; // [B,heads,rows,depth]
    int64_t count[3];   // of heads
    int64_t depth;      // of q
} heads;

static rml_value_id input(const rml_node *node, int index)
{
    return index < node->in_count ? node->in[index] : RML_NO_VALUE;
}

// How many heads there are, before anything is made. False: that is not known.
static bool find_heads(const rml_lowering *l, const rml_node *node, heads *h)
{
    const rml_attention_attr *attr = &node->attr.attention;
    for (int k = Q; k <= V; k++) {
        const rml_shape shape = rml_lowered_shape(l, node->in[k]);
        const int64_t flat = k == Q || !attr->key_heads ? attr->heads : attr->key_heads;
        if (shape.rank != 3 && shape.rank != 4)
            return false;
        h->count[k] = shape.rank == 4 ? shape.dim[1] : flat;
        if (h->count[k] < 1)
            return false;
        if (k == Q)
            h->depth = shape.rank == 4 ? shape.dim[3] : shape.dim[2] / h->count[k];
    }
    return h->count[K] == h->count[V] && h->count[Q] % h->count[K] == 0 && h->depth > 0;
}

static void split_heads(rml_lowering *l, const rml_node *node, heads *h)
{
    static const char *const names[3] = {"q", "k", "v"};
    static const int heads_first[4] = {0, 2, 1, 3};
    const int64_t groups = h->count[K], group = h->count[Q] / groups;
    for (int k = Q; k <= V; k++) {
        h->in[k] = node->in[k];
        if (rml_lowered_shape(l, node->in[k]).rank == 3) {
            const rml_shape shape = {4, {0, 0, h->count[k], -1}};
            h->in[k] = rml_lower_reshape(l, node->in[k], &shape, P(names[k]));
            h->in[k] = rml_lower_transpose(l, h->in[k], heads_first, 4, P(names[k]));
        }
        if (group == 1)
            continue;
        // Heads that share keys: queries [B,G,H/G,L,D], keys [B,G,1,S,D].
        const int64_t depth = rml_lowered_shape(l, h->in[k]).dim[3];
        const rml_shape shape = {5, {0, groups, k == Q ? group : 1, -1, depth}};
        h->in[k] = rml_lower_reshape(l, h->in[k], &shape, P(names[k]));
    }
}

// What a query sees by its place: a constant bool [L,S], RML_NO_VALUE: all. `queries` and `keys`
// are known where there is anything to tell.
static rml_value_id places(rml_lowering *l, const rml_node *node, int64_t queries, int64_t keys)
{
    const rml_attention_attr *attr = &node->attr.attention;
    const rml_value_id past = input(node, PAST);
    const int64_t offset = past == RML_NO_VALUE ? 0 : rml_lowered_shape(l, past).dim[2];
    const rml_shape shape = {2, {queries, keys}};
    if (!attr->causal && !attr->window[0] && !attr->window[1])
        return RML_NO_VALUE;
    uint8_t *seen = rml_arena_alloc(&l->to->arena, (size_t)(queries * keys + 1), 1);
    if (!seen)
        return rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for a mask");
    for (int64_t i = 0; i < queries; i++)
        for (int64_t j = 0; j < keys; j++) {
            const int64_t at = i + offset;
            seen[i * keys + j] = !(attr->causal && j > at) &&
                                 !(attr->window[0] && j < at - attr->side[0]) &&
                                 !(attr->window[1] && j > at + attr->side[1]);
        }
    const rml_stored stored = rml_stored_plain(seen, RML_BOOL, &shape);
    return rml_graph_typed_constant(l->to, P("seen"), &stored);
}

static rml_value_id choose(rml_lowering *l, rml_value_id which, rml_value_id x, double other,
                           const char *name, const char *number)
{
    const rml_value_id in[3] = {which, x, rml_lower_number(l, x, other, number)};
    return rml_lower_node(l, RML_OP_WHERE, NULL, in, 3, name);
}

// The scores of every stage to stage[RML_ATTENTION_SCALED ..]; the last one is the weights.
static void make_scores(rml_lowering *l, const rml_node *node, const heads *h, int64_t queries,
                        int64_t keys, rml_value_id *stage)
{
    const rml_attention_attr *attr = &node->attr.attention;
    rml_op_attr product = {.matmul = rml_matmul_plain(false, true)};
    product.matmul.alpha = attr->scale != 0 ? attr->scale : (float)(1 / sqrt((double)h->depth));
    rml_value_id x = rml_lower_node(l, RML_OP_MATMUL, &product, h->in, 2, P("scores"));
    if (h->count[Q] != h->count[K]) {
        const rml_shape shape = {4, {0, h->count[Q], -1, keys}};
        x = rml_lower_reshape(l, x, &shape, P("heads"));
    }
    stage[RML_ATTENTION_SCALED] = x;
    if (attr->softcap != 0) {
        x = rml_lower_by_number(l, RML_BINARY_DIV, x, (double)attr->softcap, P("small"));
        x = rml_lower_unary(l, RML_UNARY_TANH, x, P("tanh"));
        x = rml_lower_by_number(l, RML_BINARY_MUL, x, (double)attr->softcap, P("capped"));
    }
    stage[RML_ATTENTION_CAPPED] = x;
    const rml_value_id mask = input(node, MASK);
    const bool is_bool = mask != RML_NO_VALUE && l->to->values[mask].dtype == RML_BOOL;
    rml_value_id seen = places(l, node, queries, keys);
    if (is_bool)
        seen = seen == RML_NO_VALUE ? mask
                                    : rml_lower_binary(l, RML_BINARY_AND, mask, seen, P("both"));
    else if (mask != RML_NO_VALUE)
        x = rml_lower_binary(l, RML_BINARY_ADD, x, mask, P("masked"));
    if (seen != RML_NO_VALUE)
        x = choose(l, seen, x, -INFINITY, P("hidden"), P("never"));
    stage[RML_ATTENTION_MASKED] = x;
    const rml_op_attr last = {.softmax = {.axis = -1}};
    x = rml_lower_node(l, RML_OP_SOFTMAX, &last, &x, 1, P("weights"));
    if (seen != RML_NO_VALUE) // a query that sees no key
        x = choose(l, seen, x, 0, P("kept"), P("zero"));
    stage[RML_ATTENTION_SOFTMAX] = x;
}

// Two products with a softmax between them.
bool rml_rewrite_attention(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    static const int rows_first[4] = {0, 2, 1, 3};
    heads h;
    if (node->op != RML_OP_ATTENTION || !find_heads(l, node, &h) ||
        input(node, LENGTHS) != RML_NO_VALUE)
        return false;
    const rml_attention_attr *attr = &node->attr.attention;
    const rml_shape q = rml_lowered_shape(l, node->in[Q]), k = rml_lowered_shape(l, node->in[K]);
    const int64_t queries = q.dim[q.rank - 2], keys = k.dim[k.rank - 2];
    const rml_value_id mask = input(node, MASK), past = input(node, PAST);
    const rml_shape seen = mask == RML_NO_VALUE ? (rml_shape){0} : rml_lowered_shape(l, mask);
    const bool by_place = attr->causal || attr->window[0] || attr->window[1];
    if (by_place && (queries < 0 || keys < 0 || queries > INT32_MAX || keys > INT32_MAX ||
                     (past != RML_NO_VALUE && rml_lowered_shape(l, past).dim[2] < 0)))
        return false;
    if (mask != RML_NO_VALUE && (seen.rank < 1 || !rml_dims_agree(seen.dim[seen.rank - 1], keys)))
        return false;
    if (h.count[Q] != h.count[K] && keys < 0)
        return false;
    const bool flat = q.rank == 3;
    rml_value_id stage[RML_ATTENTION_SOFTMAX + 1];
    split_heads(l, node, &h);
    make_scores(l, node, &h, queries, keys, stage);
    rml_value_id in[2] = {stage[RML_ATTENTION_SOFTMAX], h.in[V]};
    const int64_t group = h.count[Q] / h.count[K];
    if (group != 1) {
        const rml_shape shape = {5, {0, h.count[K], group, -1, keys}};
        in[0] = rml_lower_reshape(l, in[0], &shape, P("groups"));
    }
    const rml_op_attr product = {.matmul = rml_matmul_plain(false, false)};
    rml_value_id y = rml_lower_node(l, RML_OP_MATMUL, &product, in, 2,
                                    flat || group != 1 ? P("values") : node->name);
    if (group != 1) {
        const int64_t width = rml_lowered_shape(l, y).dim[4];
        const rml_shape shape = {4, {0, h.count[Q], -1, width}};
        y = rml_lower_reshape(l, y, &shape, flat ? P("joined") : node->name);
    }
    if (flat) {
        y = rml_lower_transpose(l, y, rows_first, 4, P("rows"));
        y = rml_lower_reshape(l, y, &(rml_shape){3, {0, 0, -1}}, node->name);
    }
    out[0] = y;
    if (attr->scores != RML_ATTENTION_NO_SCORES)
        out[1] = stage[attr->scores];
    return true;
}
