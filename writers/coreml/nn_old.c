// iOS 12: functions of two operands, products and recurrent layers. Blobs are (Seq,B,C,H,W); values
// have neither sequence nor batch but inside a recurrent layer.
#include "writers/coreml/nn.h"

enum { POWER = 3 }; // of the unary layer

static rml_shape planes_of(const rml_graph *graph, const rml_node *node, int input)
{
    return rml_net_planes(&graph->values[node->in[input]].shape);
}

static bool is_constant(const rml_graph *graph, const rml_node *node, int input)
{
    return graph->values[node->in[input]].kind == RML_VALUE_CONSTANT;
}

// ---- two operands -------------------------------------------------------------------------------

// [1,1,1], [C,1,1], [1,H,W] or [C,H,W] of `all`.
static bool broadcasts(const rml_shape *shape, const rml_shape *all)
{
    const bool plane = shape->dim[1] == all->dim[1] && shape->dim[2] == all->dim[2];
    const bool pixel = shape->dim[1] == 1 && shape->dim[2] == 1;
    return (plane || pixel) && (shape->dim[0] == all->dim[0] || shape->dim[0] == 1);
}

// Whether the channels of both stand in one place, as broadcasting counts dimensions.
static bool aligned(const rml_shape *a, const rml_shape *b)
{
    size_t count;
    if (a->rank == b->rank || (a->rank >= 3 && b->rank >= 3) || (a->rank < 3 && b->rank < 3))
        return true;
    return (rml_shape_count(a, &count) && count == 1) || (rml_shape_count(b, &count) && count == 1);
}

static const char *lacks_binary(const rml_net_node *n)
{
    const rml_shape all = rml_net_planes(&n->out.shape);
    const rml_binary kind = n->attr->binary.kind;
    double exponent;
    if (!rml_activation_is_none(&n->attr->binary.act))
        return "an activation inside";
    if (kind != RML_BINARY_ADD && kind != RML_BINARY_SUB && kind != RML_BINARY_MUL &&
        kind != RML_BINARY_DIV && kind != RML_BINARY_MAX && kind != RML_BINARY_MIN &&
        kind != RML_BINARY_POW && kind != RML_BINARY_PRELU)
        return "a function of later systems";
    if (kind == RML_BINARY_POW && !rml_input_number(n->graph, n->node, 1, &exponent))
        return "an exponent that is computed";
    if (kind == RML_BINARY_PRELU && !is_constant(n->graph, n->node, 1))
        return "slopes that are computed";
    if (!aligned(&n->graph->values[n->node->in[0]].shape, &n->graph->values[n->node->in[1]].shape))
        return "broadcasting along other axes";
    for (int i = 0; i < 2; i++) {
        const rml_shape own = planes_of(n->graph, n->node, i);
        if (!broadcasts(&own, &all) ||
            (kind == RML_BINARY_PRELU && i && (own.dim[1] != 1 || own.dim[2] != 1)))
            return "broadcasting along other axes";
    }
    return NULL;
}

// Numbers of the constant operand, each by a function; of what the layer adds or multiplies by.
static const float *changed(rml_net_emitter *e, int side, float (*change)(float), size_t *count)
{
    const float *numbers = rml_net_numbers(e, e->node->in[side], count);
    float *out = change && numbers ? rml_net_alloc(e, *count) : NULL;
    for (size_t i = 0; out && i < *count; i++)
        out[i] = change(numbers[i]);
    return change ? out : numbers;
}

static float negative(float x)
{
    return -x;
}

static float inverse(float x)
{
    return 1 / x;
}

// A scale or bias layer of the constant on `side`.
static void emit_constant(rml_net_emitter *e, uint32_t kind, const char *x, int side,
                          float (*change)(float))
{
    const rml_shape shape = planes_of(e->graph, e->node, side);
    size_t count;
    const float *numbers = changed(e, side, change, &count);
    rml_net_one(e, kind, x, rml_net_out(e, 0));
    rml_fields_ints(&e->m, 1, shape.dim, count == 1 ? 1 : 3);
    rml_net_vector(e, 2, numbers, count, false);
    rml_net_end(e);
}

static void emit_prelu(rml_net_emitter *e)
{
    size_t count;
    const float *numbers = rml_net_numbers(e, e->node->in[1], &count);
    rml_net_one(e, RML_NET_ACTIVATION, rml_net_in(e, 0), rml_net_out(e, 0));
    rml_fields_begin(&e->m, 25);
    rml_net_vector(e, 1, numbers, count, false);
    rml_fields_end(&e->m);
    rml_net_end(e);
}

static const char *negated(rml_net_emitter *e, const char *x)
{
    const char *out = rml_net_between(e);
    rml_net_linear(e, x, -1, 0, out);
    return out;
}

static void emit_binary(rml_net_emitter *e, const rml_node *node)
{
    const rml_binary kind = node->attr.binary.kind;
    const int side = is_constant(e->graph, node, 1) ? 1 : is_constant(e->graph, node, 0) ? 0 : -1;
    const rml_shape all = rml_net_planes(rml_net_out_shape(e, 0));
    const rml_shape other = side < 0 ? all : planes_of(e->graph, node, 1 - side);
    const bool by_layer = side >= 0 && rml_shape_equal(&other, &all);
    const char *out = rml_net_out(e, 0);
    double exponent;
    if (kind == RML_BINARY_PRELU) {
        emit_prelu(e);
    } else if (kind == RML_BINARY_POW) {
        rml_input_number(e->graph, node, 1, &exponent);
        rml_net_unary(e, POWER, rml_net_in(e, 0), (float)exponent, 0, out);
    } else if (by_layer && kind == RML_BINARY_ADD) {
        emit_constant(e, RML_NET_BIAS, rml_net_in(e, 1 - side), side, NULL);
    } else if (by_layer && kind == RML_BINARY_MUL) {
        emit_constant(e, RML_NET_SCALE, rml_net_in(e, 1 - side), side, NULL);
    } else if (by_layer && kind == RML_BINARY_SUB) {
        const char *x = rml_net_in(e, 1 - side);
        emit_constant(e, RML_NET_BIAS, side ? x : negated(e, x), side, side ? negative : NULL);
    } else if (by_layer && side && kind == RML_BINARY_DIV) {
        emit_constant(e, RML_NET_SCALE, rml_net_in(e, 0), side, inverse);
    } else if (kind == RML_BINARY_SUB) {
        const char *a = rml_net_in(e, 0), *b = rml_net_in(e, 1);
        rml_net_binary(e, RML_NET_OLD_ADD, a, negated(e, b), out);
    } else if (kind == RML_BINARY_DIV) {
        const char *a = rml_net_in(e, 0), *b = rml_net_in(e, 1), *factor = rml_net_between(e);
        rml_net_unary(e, POWER, b, -1, 0, factor);
        rml_net_binary(e, RML_NET_OLD_MULTIPLY, a, factor, out);
    } else {
        const uint32_t layer = kind == RML_BINARY_ADD   ? RML_NET_OLD_ADD
                               : kind == RML_BINARY_MUL ? RML_NET_OLD_MULTIPLY
                               : kind == RML_BINARY_MAX ? RML_NET_OLD_MAX
                                                        : RML_NET_OLD_MIN;
        rml_net_binary(e, layer, rml_net_in(e, 0), rml_net_in(e, 1), out);
    }
}

// ---- products -----------------------------------------------------------------------------------

static const char *lacks_matmul(const rml_net_node *n)
{
    const rml_graph *graph = n->graph;
    const rml_matmul_attr *matmul = &n->attr->matmul;
    size_t count;
    if (!rml_activation_is_none(&matmul->act) || rml_input_given(n->node, 3))
        return "an activation inside";
    if (graph->values[n->node->in[0]].shape.rank != 2 || matmul->transpose_a ||
        matmul->alpha != 1 || matmul->beta != 1)
        return "a product that is no linear layer of one row";
    if (!is_constant(graph, n->node, 1) || graph->values[n->node->in[1]].shape.rank != 2)
        return "a product without weights";
    if (rml_input_given(n->node, 2) &&
        (!is_constant(graph, n->node, 2) ||
         !rml_shape_count(&graph->values[n->node->in[2]].shape, &count) ||
         count != (size_t)n->out.shape.dim[1]))
        return "something added that is no bias";
    return NULL;
}

static void emit_matmul(rml_net_emitter *e, const rml_node *node)
{
    rml_net_inner_product(e, node, rml_input_given(node, 2), rml_net_out(e, 0));
}

// ---- recurrent layers ---------------------------------------------------------------------------

static const char *lacks_rnn(const rml_net_node *n)
{
    const char *why = rml_net_lacks_rnn(n);
    if (why)
        return why;
    if (rml_input_given(n->node, 5))
        return "states that are given";
    if (n->attr->rnn.reverse && n->graph->values[n->node->out].uses > 0)
        return "all steps from the end to the start";
    return n->graph->values[n->node->in[0]].shape.dim[n->attr->rnn.batch_first ? 0 : 1] == 1 &&
                   n->attr->rnn.directions == 1
               ? NULL
               : "several sequences, or both directions";
}

// (1,T,I), or (T,1,I), as the channels, height and width of an image, to (Seq,B,C,1,1) and back.
static void emit_rnn(rml_net_emitter *e, const rml_node *node)
{
    static const int64_t steps_of_height[] = {2, 3, 0, 1}, steps_of_channels[] = {1, 3, 0, 2};
    static const int64_t channels_of_steps[] = {2, 0, 3, 1}; // (1,1,T,1,H)
    const rml_rnn_attr *rnn = &node->attr.rnn;
    const char *x = rml_net_between(e), *out[3];
    const int outputs = rnn->kind == RML_RNN_LSTM ? 3 : 2;
    const bool sequence = rml_net_is_read(e, 0);
    rml_net_one(e, RML_NET_OLD_PERMUTE, rml_net_in(e, 0), x);
    rml_fields_ints(&e->m, 1, rnn->batch_first ? steps_of_height : steps_of_channels, 4);
    rml_net_end(e);
    for (int k = 0; k < outputs; k++)
        out[k] = rml_net_between(e);
    rml_net_layer(e, rml_net_rnn_layer(rnn), &x, 1, out, outputs);
    rml_net_write_rnn(e, sequence);
    rml_net_end(e);
    if (sequence) {
        rml_net_one(e, RML_NET_OLD_PERMUTE, out[0], rml_net_out(e, 0));
        rml_fields_ints(&e->m, 1, channels_of_steps, 4);
        rml_net_end(e);
    }
    for (int k = 1; k < outputs; k++)
        if (rml_net_is_read(e, k))
            rml_net_reshape(e, out[k], rml_net_out_shape(e, k), rml_net_out(e, k));
}

const rml_net_rule rml_net_old_rules[] = {
    {RML_OP_BINARY, lacks_binary, emit_binary},
    {RML_OP_MATMUL, lacks_matmul, emit_matmul},
    {RML_OP_RNN, lacks_rnn, emit_rnn},
    {RML_OP_COUNT, NULL, NULL},
};
