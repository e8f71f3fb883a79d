// Functions of two operands, choices, and changes of type.
#include "tensor/dtype.h"
#include "writers/coreml/nn.h"

static const struct {
    rml_binary kind;
    uint32_t layer;
} layers[] = {
    {RML_BINARY_ADD, RML_NET_ADD},
    {RML_BINARY_SUB, RML_NET_SUBTRACT},
    {RML_BINARY_MUL, RML_NET_MULTIPLY},
    {RML_BINARY_DIV, RML_NET_DIVIDE},
    {RML_BINARY_MAX, 875},
    {RML_BINARY_MIN, 870},
    {RML_BINARY_POW, RML_NET_POW},
    {RML_BINARY_MOD, 865},
    {RML_BINARY_EQUAL, 815},
    {RML_BINARY_LESS, 825},
    {RML_BINARY_LESS_EQUAL, 827},
    {RML_BINARY_GREATER, 830},
    {RML_BINARY_GREATER_EQUAL, 832},
    {RML_BINARY_AND, 855},
    {RML_BINARY_OR, 840},
    {RML_BINARY_XOR, 845},
};

static uint32_t layer_of(rml_binary kind)
{
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (layers[i].kind == kind)
            return layers[i].layer;
    return 0;
}

static const char *lacks_binary(const rml_net_node *n)
{
    const rml_binary kind = n->attr->binary.kind;
    if (!rml_activation_is_none(&n->attr->binary.act))
        return "an activation inside";
    if (kind == RML_BINARY_PRELU)
        return NULL;
    if (!layer_of(kind))
        return "no layer has this function";
    if (kind == RML_BINARY_POW && !rml_dtype_is_float(n->out.dtype))
        return "powers of whole numbers";
    return NULL;
}

// ---- with a constant ----------------------------------------------------------------------------

// Whether a constant has a number for all of an image, or one for each channel; *count of them.
static bool is_of_channels(const rml_shape *image, const rml_value *value, size_t *count)
{
    const rml_shape *shape = &value->shape;
    if (value->kind != RML_VALUE_CONSTANT || image->rank != 4 || !rml_shape_count(shape, count) ||
        shape->rank > 4 || value->dtype != RML_F32)
        return false;
    if (*count == 1)
        return true;
    return shape->rank >= 3 && shape->dim[shape->rank - 3] == image->dim[1] &&
           (size_t)image->dim[1] == *count;
}

// A scale layer, or one of a bias: x on its other side.
static bool emit_scale(rml_net_emitter *e, const rml_node *node)
{
    const rml_binary kind = node->attr.binary.kind;
    size_t count;
    for (int i = 0; i < 2; i++) {
        const rml_value *value = &e->graph->values[node->in[i]];
        if ((kind != RML_BINARY_MUL && kind != RML_BINARY_ADD) ||
            rml_net_shape(e, 1 - i)->rank != rml_net_out_shape(e, 0)->rank ||
            !is_of_channels(rml_net_shape(e, 1 - i), value, &count))
            continue;
        const float *numbers = rml_net_numbers(e, node->in[i], &count);
        const int64_t shape[] = {(int64_t)count, 1, 1};
        rml_net_one(e, kind == RML_BINARY_MUL ? RML_NET_SCALE : RML_NET_BIAS, rml_net_in(e, 1 - i),
                    rml_net_out(e, 0));
        rml_fields_ints(&e->m, 1, shape, count == 1 ? 1 : 3);
        rml_net_vector(e, 2, numbers, count, false);
        rml_net_end(e);
        return true;
    }
    return false;
}

// x + a, x - a, a - x, x * a, x / a, x ^ a, max(x, a) of one number; on `side`.
static bool emit_number(rml_net_emitter *e, const rml_node *node, int side)
{
    enum { POWER = 3, THRESHOLD = 7 };
    double number;
    if (!rml_net_number(e->graph, node, side, &number) ||
        rml_net_shape(e, side)->rank > rml_net_shape(e, 1 - side)->rank)
        return false;
    const float a = (float)number;
    const char *x = rml_net_in(e, 1 - side), *out = rml_net_out(e, 0);
    switch (node->attr.binary.kind) {
    case RML_BINARY_ADD:
        rml_net_linear(e, x, 1, a, out);
        return true;
    case RML_BINARY_SUB:
        rml_net_linear(e, x, side ? 1 : -1, side ? -a : a, out);
        return true;
    case RML_BINARY_MUL:
        rml_net_linear(e, x, a, 0, out);
        return true;
    case RML_BINARY_POW:
        if (!side)
            return false;
        rml_net_unary(e, POWER, x, a, 0, out);
        return true;
    case RML_BINARY_MAX:
        rml_net_unary(e, THRESHOLD, x, a, 0, out);
        return true;
    default:
        return false;
    }
}

// ---- any operands -------------------------------------------------------------------------------

// max(0, x) + slope * min(0, x), by a layer where the slopes are those of channels.
static void emit_prelu(rml_net_emitter *e, const rml_node *node)
{
    const char *x = rml_net_in(e, 0), *out = rml_net_out(e, 0);
    const rml_value *slope = &e->graph->values[node->in[1]];
    size_t count;
    if (is_of_channels(rml_net_shape(e, 0), slope, &count)) {
        const float *numbers = rml_net_numbers(e, node->in[1], &count);
        rml_net_one(e, RML_NET_ACTIVATION, x, out);
        rml_fields_begin(&e->m, 25);
        rml_net_vector(e, 1, numbers, count, false);
        rml_fields_end(&e->m);
        rml_net_end(e);
        return;
    }
    const char *above = rml_net_between(e), *below = rml_net_between(e),
               *scaled = rml_net_between(e);
    rml_net_one(e, RML_NET_ACTIVATION, x, above);
    rml_net_choose(e, 10);
    rml_net_end(e);
    rml_net_binary(e, RML_NET_SUBTRACT, x, above, below);
    rml_net_binary(e, RML_NET_MULTIPLY, below, rml_net_in(e, 1), scaled);
    rml_net_binary(e, RML_NET_ADD, above, scaled, out);
}

// Towards zero, as numbers become whole: sign(x) * floor(|x|).
static void emit_truncated(rml_net_emitter *e, const char *x, const char *out)
{
    enum { ABS = 6 };
    const char *size = rml_net_between(e), *whole = rml_net_between(e), *sign = rml_net_between(e);
    rml_net_unary(e, ABS, x, 0, 0, size);
    rml_net_plain(e, RML_NET_FLOOR, &size, 1, whole);
    rml_net_plain(e, RML_NET_SIGN, &x, 1, sign);
    rml_net_binary(e, RML_NET_MULTIPLY, sign, whole, out);
}

static void emit_binary(rml_net_emitter *e, const rml_node *node)
{
    const rml_binary kind = node->attr.binary.kind;
    const bool is_float = rml_dtype_is_float(e->graph->values[node->in[0]].dtype);
    if (kind == RML_BINARY_PRELU) {
        emit_prelu(e, node);
        return;
    }
    if (is_float && (emit_scale(e, node) || emit_number(e, node, 1) || emit_number(e, node, 0)))
        return;
    const rml_shape *a = rml_net_shape(e, 0), *b = rml_net_shape(e, 1);
    uint32_t layer = layer_of(kind);
    if (rml_shape_known(a) && rml_shape_equal(a, b) && kind == RML_BINARY_ADD)
        layer = RML_NET_ADD_SAME;
    if (rml_shape_known(a) && rml_shape_equal(a, b) && kind == RML_BINARY_MUL)
        layer = RML_NET_MULTIPLY_SAME;
    const bool truncates = kind == RML_BINARY_DIV && !is_float;
    const char *out = truncates ? rml_net_between(e) : rml_net_out(e, 0);
    rml_net_binary(e, layer, rml_net_in(e, 0), rml_net_in(e, 1), out);
    if (truncates)
        emit_truncated(e, out, rml_net_out(e, 0));
}

static void emit_where(rml_net_emitter *e, const rml_node *node)
{
    (void)node;
    const char *const in[] = {rml_net_in(e, 0), rml_net_in(e, 1), rml_net_in(e, 2)};
    rml_net_plain(e, 1330, in, 3, rml_net_out(e, 0));
}

static const char *lacks_cast(const rml_net_node *n)
{
    return n->attr->cast.to == RML_U8 || n->attr->cast.to == RML_I8 ||
                   n->attr->cast.to == RML_F16 || n->attr->cast.to == RML_BF16
               ? "numbers are rounded to a type of few bits"
               : NULL;
}

// All types are floats, but what truth and whole numbers lose is lost.
static void emit_cast(rml_net_emitter *e, const rml_node *node)
{
    const rml_dtype from = e->graph->values[node->in[0]].dtype, to = node->attr.cast.to;
    const char *x = rml_net_in(e, 0);
    if (to == RML_BOOL && from != RML_BOOL) {
        rml_net_one(e, RML_NET_NOT_EQUAL, x, rml_net_out(e, 0));
        rml_net_end(e);
    } else if (rml_dtype_is_float(from) && !rml_dtype_is_float(to)) {
        emit_truncated(e, x, rml_net_out(e, 0));
    } else {
        rml_net_same(e, 0, 0);
    }
}

const rml_net_rule rml_net_elementwise_rules[] = {
    {RML_OP_BINARY, lacks_binary, emit_binary},
    {RML_OP_WHERE, NULL, emit_where},
    {RML_OP_CAST, lacks_cast, emit_cast},
    {RML_OP_COUNT, NULL, NULL},
};
