// What picks and writes elements by index. Indices are floats in these files.
#include "tensor/dtype.h"
#include "writers/coreml/nn.h"

// An index without dimensions is a vector of one here: the axis it leaves behind goes.
static void emit_gather(rml_net_emitter *e, const rml_node *node)
{
    const int64_t axis = node->attr.axis.axis;
    const bool single = rml_net_shape(e, 1)->rank == 0 && rml_net_shape(e, 0)->rank > 1;
    const char *const in[] = {rml_net_in(e, 0), rml_net_in(e, 1)};
    const char *out = single ? rml_net_between(e) : rml_net_out(e, 0);
    rml_net_layer(e, RML_NET_GATHER, in, 2, &out, 1);
    rml_net_int(e, 1, axis);
    rml_net_end(e);
    if (!single)
        return;
    rml_net_one(e, RML_NET_SQUEEZE, out, rml_net_out(e, 0));
    rml_fields_ints(&e->m, 1, &axis, 1);
    rml_net_end(e);
}

static const char *lacks_gather(const rml_net_node *n)
{
    const rml_shape *x = &n->graph->values[n->node->in[0]].shape;
    const rml_shape *indices = &n->graph->values[n->node->in[1]].shape;
    return x->rank + (indices->rank ? indices->rank : 1) - 1 > RML_NET_MAX_RANK
               ? "more than 5 dimensions"
               : NULL;
}

static void emit_pair(rml_net_emitter *e, uint32_t kind, int64_t axis)
{
    const char *const in[] = {rml_net_in(e, 0), rml_net_in(e, 1)};
    const char *out = rml_net_out(e, 0);
    rml_net_layer(e, kind, in, 2, &out, 1);
    rml_net_int(e, 1, axis);
    rml_net_end(e);
}

static void emit_gather_elements(rml_net_emitter *e, const rml_node *node)
{
    emit_pair(e, RML_NET_GATHER_ALONG, node->attr.axis.axis);
}

static const char *lacks_gather_nd(const rml_net_node *n)
{
    return n->attr->gather_nd.batch ? "dimensions that data and indices share" : NULL;
}

static void emit_gather_nd(rml_net_emitter *e, const rml_node *node)
{
    (void)node;
    emit_pair(e, RML_NET_GATHER_ND, 0);
}

static void emit_scatter(rml_net_emitter *e, const rml_node *node)
{
    static const int modes[] = {
        [RML_SCATTER_SET] = 0, [RML_SCATTER_ADD] = 1, [RML_SCATTER_MUL] = 3,
        [RML_SCATTER_MIN] = 6, [RML_SCATTER_MAX] = 5, [RML_SCATTER_DIV] = 4};
    const bool along = node->op == RML_OP_SCATTER_ELEMENTS;
    const char *const in[] = {rml_net_in(e, 0), rml_net_in(e, 1), rml_net_in(e, 2)};
    const char *out = rml_net_out(e, 0);
    rml_net_layer(e, along ? RML_NET_SCATTER_ALONG : RML_NET_SCATTER_ND, in, 3, &out, 1);
    if (along)
        rml_net_int(e, 1, node->attr.scatter.axis);
    rml_net_int(e, along ? 2 : 1, modes[node->attr.scatter.kind]);
    rml_net_end(e);
}

static const char *lacks_one_hot(const rml_net_node *n)
{
    double depth;
    const rml_value *values = &n->graph->values[n->node->in[2]];
    return rml_input_number(n->graph, n->node, 1, &depth) && values->kind == RML_VALUE_CONSTANT
               ? NULL
               : "a depth or values that are computed";
}

// The layer lets no index wrap around: those below 0 get the depth added.
static void emit_one_hot(rml_net_emitter *e, const rml_node *node)
{
    double depth = 0;
    size_t count;
    const float *values = rml_net_numbers(e, node->in[2], &count);
    const char *x = rml_net_in(e, 0), *below = rml_net_between(e), *more = rml_net_between(e);
    const char *index = rml_net_between(e);
    rml_input_number(e->graph, node, 1, &depth);
    rml_net_needs(e, 5);
    rml_net_one(e, RML_NET_LESS, x, below); // x < 0
    rml_net_end(e);
    rml_net_linear(e, below, (float)depth, 0, more);
    rml_net_binary(e, RML_NET_ADD, x, more, index);
    rml_net_one(e, RML_NET_ONE_HOT, index, rml_net_out(e, 0));
    rml_fields_int(&e->m, 1, (int64_t)depth);
    rml_fields_int(&e->m, 2, node->attr.axis.axis);
    rml_net_float(e, 3, values && count > 1 ? values[1] : 0);
    rml_net_float(e, 4, values && count > 1 ? values[0] : 0);
    rml_net_end(e);
}

static void emit_reverse_sequence(rml_net_emitter *e, const rml_node *node)
{
    const char *const in[] = {rml_net_in(e, 0), rml_net_in(e, 1)};
    const char *out = rml_net_out(e, 0);
    rml_net_layer(e, RML_NET_REVERSE_SEQUENCE, in, 2, &out, 1);
    rml_net_int(e, 1, node->attr.reverse.batch_axis);
    rml_net_int(e, 2, node->attr.reverse.time_axis);
    rml_net_end(e);
}

static const char *lacks_trilu(const rml_net_node *n)
{
    double diagonal;
    return rml_input_given(n->node, 1) && !rml_input_number(n->graph, n->node, 1, &diagonal)
               ? "a diagonal that is computed"
               : NULL;
}

static void emit_trilu(rml_net_emitter *e, const rml_node *node)
{
    double diagonal = 0;
    rml_input_number(e->graph, node, 1, &diagonal);
    rml_net_one(e, node->attr.trilu.upper ? RML_NET_UPPER_TRIANGLE : RML_NET_LOWER_TRIANGLE,
                rml_net_in(e, 0), rml_net_out(e, 0));
    rml_net_int(e, 1, (int64_t)diagonal);
    rml_net_end(e);
}

// Rows of places become columns.
static void emit_non_zero(rml_net_emitter *e, const rml_node *node)
{
    static const int swap[] = {1, 0};
    const char *x = rml_net_in(e, 0), *places = rml_net_between(e);
    (void)node;
    rml_net_plain(e, RML_NET_WHERE_NON_ZERO, &x, 1, places);
    rml_net_transpose(e, places, swap, 2, rml_net_out(e, 0));
}

static void emit_range(rml_net_emitter *e, const rml_node *node)
{
    const char *const in[] = {rml_net_in(e, 1), rml_net_in(e, 0), rml_net_in(e, 2)};
    (void)node;
    rml_net_plain(e, RML_NET_RANGE, in, 3, rml_net_out(e, 0));
}

const rml_net_rule rml_net_index_rules[] = {
    {RML_OP_GATHER, lacks_gather, emit_gather},
    {RML_OP_GATHER_ELEMENTS, NULL, emit_gather_elements},
    {RML_OP_GATHER_ND, lacks_gather_nd, emit_gather_nd},
    {RML_OP_SCATTER_ELEMENTS, NULL, emit_scatter},
    {RML_OP_SCATTER_ND, NULL, emit_scatter},
    {RML_OP_ONE_HOT, lacks_one_hot, emit_one_hot},
    {RML_OP_REVERSE_SEQUENCE, NULL, emit_reverse_sequence},
    {RML_OP_TRILU, lacks_trilu, emit_trilu},
    {RML_OP_NONZERO, NULL, emit_non_zero},
    {RML_OP_RANGE, NULL, emit_range},
    {RML_OP_COUNT, NULL, NULL},
};
