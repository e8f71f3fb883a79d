
#include "graph/graph.h"
#include "ops/elementwise/nd_iterator.h"
#include "tensor/size.h"

#include <string.h>

// Symbols are this and below, down to what rml_size_symbol gives: no list in a file has such sizes.
// (Bounds of slices may be INT64_MIN.)
#define FIRST (-((int64_t)1 << 40))

static bool is_symbol(int64_t size)
{
    return size <= FIRST && size >= INT64_MIN / 4 * 3;
}

// Names what has no name yet.
static void name_dims(rml_shape *shape, rml_value_id id)
{
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] < 0 && !is_symbol(shape->dim[i]))
            shape->dim[i] = FIRST - (int64_t)id * RML_MAX_RANK - i;
}

static void take_names(const char *const *names, rml_shape *shape)
{
    for (int i = 0; i < shape->rank; i++)
        for (const char *name = names[i]; name && *name && shape->dim[i] < 0; name++)
            shape->dim[i] = rml_size_symbol(name == names[i] ? -2 : shape->dim[i], *name, 0);
}

static bool has_symbols(const rml_fact *fact)
{
    size_t count = 0;
    if (!fact->data || fact->dtype != RML_I64 || !rml_shape_count(&fact->shape, &count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (is_symbol(((const int64_t *)fact->data)[i]))
            return true;
    return false;
}

// Sizes are picked from shapes and put together to targets of reshapes: operators that only move
// elements take them along. All others, and inputs that are no such lists, see none.
static bool moves_elements(const rml_node *node, int input)
{
    switch (node->op) {
    case RML_OP_CONCAT:
        return true;
    case RML_OP_WHERE:
        return input > 0;
    case RML_OP_BINARY: // a size is not what a comparison with -1 looks for
        return node->attr.binary.kind == RML_BINARY_EQUAL;
    case RML_OP_CAST:
        return node->attr.cast.to == RML_I64;
    case RML_OP_GATHER:
    case RML_OP_SLICE:
    case RML_OP_RESHAPE:
    case RML_OP_SQUEEZE:
    case RML_OP_UNSQUEEZE:
        return input == 0;
    default:
        return false;
    }
}

// Whether the operand beside `input` has elements that a size may be.
static bool compares_sizes(const rml_node *node, const rml_fact *in, int input)
{
    const rml_fact *other = &in[1 - (input & 1)];
    size_t count = 0;
    if (node->op != RML_OP_BINARY)
        return false;
    if (!other->data || other->dtype != RML_I64 || !rml_shape_count(&other->shape, &count))
        return true;
    for (size_t i = 0; i < count; i++)
        if (((const int64_t *)other->data)[i] != -1)
            return true;
    return false;
}

static rml_status list_shape(const rml_shape *of, rml_fact *list, rml_arena *arena, rml_error *err)
{
    int64_t *dim = rml_arena_alloc(arena, RML_MAX_RANK, sizeof *dim);
    if (!dim)
        return rml_fail_nomem(err, RML_MAX_RANK * sizeof *dim, "symbols of sizes");
    memcpy(dim, of->dim, sizeof of->dim);
    list->data = dim;
    return RML_OK;
}

// The product of two lists of one size, as symbols.
static rml_status multiply_lists(const rml_fact *in, rml_fact *list, rml_arena *arena,
                                 rml_error *err)
{
    size_t count = 0, other = 0;
    if (in[0].dtype != RML_I64 || !in[0].data || !in[1].data ||
        !rml_shape_count(&in[0].shape, &count) || !rml_shape_count(&in[1].shape, &other) ||
        count != 1 || other != 1)
        return RML_OK;
    const int64_t a = *(const int64_t *)in[0].data, b = *(const int64_t *)in[1].data;
    int64_t *product = rml_arena_alloc(arena, 1, sizeof *product);
    if (!product)
        return rml_fail_nomem(err, sizeof *product, "symbols of sizes");
    *product = is_symbol(a) ? rml_size_symbol(a, b, 0) : rml_size_symbol(b, a, 0);
    list->data = product;
    return RML_OK;
}

// What is left for the dimension `rest`: when all other symbols cancel and the numbers do.
static void fill_rest(const rml_shape *from, rml_shape *out, int rest)
{
    int64_t have = 1, want = 1, left = 0;
    bool used[RML_MAX_RANK] = {false};
    for (int i = 0; i < out->rank; i++) {
        if (i == rest)
            continue;
        int k = 0;
        while (k < from->rank && (used[k] || from->dim[k] != out->dim[i]))
            k++;
        if (k < from->rank)
            used[k] = true;
        else if (!rml_i64_mul(want, out->dim[i], &want)) // also a symbol that does not cancel
            return;
    }
    for (int k = 0; k < from->rank; k++) {
        if (!used[k] && from->dim[k] < 0 && left == 0)
            left = from->dim[k];
        else if (!used[k] && !rml_i64_mul(have, from->dim[k], &have))
            return;
    }
    if (left && have == want && have > 0)
        out->dim[rest] = left;
    else if (!left && want > 0 && have % want == 0)
        out->dim[rest] = have / want;
}

// A reshape that takes its target from a list with symbols, or has one in its input.
static void reshape_dims(const rml_node *node, const rml_fact *in, rml_shape *out)
{
    const rml_reshape_attr *attr = &node->attr.reshape;
    const bool listed = node->in_count > 1;
    const rml_shape *from = &in[0].shape;
    int rest = -1;
    if (from->rank < 0 || out->rank < 0 || rml_shape_known(out) ||
        (listed && (!in[1].data || in[1].dtype != RML_I64)))
        return;
    for (int i = 0; i < out->rank; i++) {
        const int64_t dim = listed ? ((const int64_t *)in[1].data)[i] : attr->shape.dim[i];
        if (dim > 0 || is_symbol(dim))
            out->dim[i] = dim;
        else if (dim == 0 && !attr->keep_zero && i < from->rank)
            out->dim[i] = from->dim[i];
        else if (dim == -1 && rest < 0)
            rest = i;
        else
            return;
    }
    if (rest >= 0)
        fill_rest(from, out, rest);
}

static rml_status name_outputs(const rml_graph *graph, const rml_node *node, const rml_fact *in,
                               rml_fact *seen, rml_fact *facts, rml_arena *arena, rml_error *err)
{
    rml_fact *out = seen + node->in_count;
    for (int k = 0; k < node->in_count; k++) {
        seen[k] = in[k];
        if (has_symbols(&in[k]) && (!moves_elements(node, k) || compares_sizes(node, in, k)))
            seen[k].data = NULL;
    }
    const rml_status inferred = rml_graph_infer_node(graph, node, seen, out, NULL);
    if (inferred == RML_ERR_NOMEM)
        return rml_fail_nomem(err, (size_t)node->out_count * sizeof *out, "symbols of sizes");
    if (inferred != RML_OK) {
        for (int k = 0; k < node->out_count; k++)
            out[k] = rml_graph_fact(graph, node->out + (rml_value_id)k);
    } else if (node->op == RML_OP_SHAPE && in[0].shape.rank >= 0) {
        RML_TRY(list_shape(&in[0].shape, &out[0], arena, err));
    } else if (rml_node_computable(node, seen, out)) {
        RML_TRY(rml_node_compute(graph, node, seen, out, arena, err));
    } else if (node->op == RML_OP_BINARY && node->attr.binary.kind == RML_BINARY_MUL &&
               (has_symbols(&in[0]) || has_symbols(&in[1]))) {
        RML_TRY(multiply_lists(in, &out[0], arena, err));
    } else if (node->op == RML_OP_RESHAPE) {
        reshape_dims(node, in, &out[0].shape);
    } else if (node->op == RML_OP_EXPAND && node->in_count > 2 && has_symbols(&in[2])) {
        rml_shape both[2] = {in[0].shape, {.rank = (int)in[2].shape.dim[0]}};
        memcpy(both[1].dim, in[2].data, (size_t)both[1].rank * sizeof *both[1].dim);
        if (both[0].rank >= 0 && rml_broadcast_shape(both, 2, &out[0].shape, NULL) != RML_OK)
            out[0] = rml_graph_fact(graph, node->out);
    }
    for (int k = 0; k < node->out_count; k++) {
        const rml_value_id id = node->out + (rml_value_id)k;
        facts[id] = out[k];
        name_dims(&facts[id].shape, id);
    }
    return RML_OK;
}

rml_status rml_graph_symbols(const rml_graph *graph, rml_fact *facts, rml_arena *arena,
                             rml_error *err)
{
    rml_fact *in = NULL;
    size_t capacity = 0;
    rml_status status = RML_OK;
    for (rml_value_id id = 0; id < graph->value_count; id++) {
        facts[id] = rml_graph_fact(graph, id);
        if (graph->values[id].dim_names)
            take_names(graph->values[id].dim_names, &facts[id].shape);
        name_dims(&facts[id].shape, id);
    }
    for (size_t i = 0; i < graph->node_count && status == RML_OK; i++) {
        const rml_node *node = &graph->nodes[i];
        const size_t count = (size_t)node->in_count;
        if (node->dead)
            continue;
        status =
            rml_reserve(graph->arena.allocator, &in, &capacity, 2 * count + (size_t)node->out_count,
                        sizeof *in, "symbols of sizes", err);
        if (status != RML_OK)
            break;
        for (size_t k = 0; k < count; k++)
            in[k] = node->in[k] == RML_NO_VALUE ? (rml_fact){.shape.rank = -1} : facts[node->in[k]];
        status = name_outputs(graph, node, in, in + count, facts, arena, err);
    }
    rml_free(graph->arena.allocator, in);
    return status;
}
