// Elementwise functions, as others.
#include "writers/rewrite.h"

#include "tensor/dtype.h"

#include <math.h>

#define P(part) rml_part_name(l, node, part)

// x times a function of it.
static rml_value_id gated(rml_lowering *l, const rml_node *node, rml_unary kind, rml_value_id u)
{
    const rml_value_id gate = rml_lower_unary(l, kind, u, P("gate"));
    return rml_lower_binary(l, RML_BINARY_MUL, node->in[0], gate, node->name);
}

// x / 2 (1 + erf(x / sqrt(2)))
static rml_value_id gelu(rml_lowering *l, const rml_node *node)
{
    const rml_value_id x = node->in[0];
    rml_value_id u = rml_lower_by_number(l, RML_BINARY_MUL, x, sqrt(0.5), P("scaled"));
    u = rml_lower_unary(l, RML_UNARY_ERF, u, P("erf"));
    u = rml_lower_by_number(l, RML_BINARY_ADD, u, 1, P("raised"));
    u = rml_lower_by_number(l, RML_BINARY_MUL, u, 0.5, P("gate"));
    return rml_lower_binary(l, RML_BINARY_MUL, x, u, node->name);
}

// x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
static rml_value_id gelu_tanh(rml_lowering *l, const rml_node *node)
{
    const double pi = 3.14159265358979323846;
    const rml_value_id x = node->in[0];
    rml_value_id u = rml_lower_binary(l, RML_BINARY_MUL, x, x, P("square"));
    u = rml_lower_by_number(l, RML_BINARY_MUL, u, 2 * sqrt(2 / pi) * 0.044715, P("scaled"));
    u = rml_lower_by_number(l, RML_BINARY_ADD, u, 2 * sqrt(2 / pi), P("raised"));
    u = rml_lower_binary(l, RML_BINARY_MUL, x, u, P("inner"));
    return gated(l, node, RML_UNARY_SIGMOID, u);
}

// x min(max(x / 6 + 1 / 2, 0), 1)
static rml_value_id hard_swish(rml_lowering *l, const rml_node *node)
{
    const rml_op_attr attr = {.unary = {RML_UNARY_HARD_SIGMOID, {(float)(1.0 / 6), 0.5f}}};
    const rml_value_id gate = rml_lower_node(l, RML_OP_UNARY, &attr, node->in, 1, P("gate"));
    return rml_lower_binary(l, RML_BINARY_MUL, node->in[0], gate, node->name);
}

bool rml_rewrite_unary(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    if (node->op != RML_OP_UNARY)
        return false;
    const rml_value_id x = node->in[0];
    switch (node->attr.unary.kind) {
    case RML_UNARY_SILU:
        out[0] = gated(l, node, RML_UNARY_SIGMOID, x);
        return true;
    case RML_UNARY_SWISH:
        out[0] = gated(l, node, RML_UNARY_SIGMOID,
                       rml_lower_by_number(l, RML_BINARY_MUL, x, (double)node->attr.unary.param[0],
                                           P("scaled")));
        return true;
    case RML_UNARY_MISH:
        out[0] = gated(l, node, RML_UNARY_TANH,
                       rml_lower_unary(l, RML_UNARY_SOFTPLUS, x, P("softplus")));
        return true;
    case RML_UNARY_SQUARE:
        out[0] = rml_lower_binary(l, RML_BINARY_MUL, x, x, node->name);
        return true;
    case RML_UNARY_GELU:
        out[0] = gelu(l, node);
        return true;
    case RML_UNARY_GELU_TANH:
        out[0] = gelu_tanh(l, node);
        return true;
    case RML_UNARY_HARD_SWISH:
        out[0] = hard_swish(l, node);
        return true;
    default:
        return false;
    }
}

// The remainder whose sign is the divisor's: that whose sign is the dividend's, and the divisor
// added where the two signs differ.
static rml_value_id remainder_of_divisor(rml_lowering *l, const rml_node *node)
{
    const rml_value_id by = node->in[1];
    const rml_value_id rest = rml_lower_binary(l, RML_BINARY_FMOD, node->in[0], by, P("rest"));
    const rml_value_id product =
        rml_lower_binary(l, RML_BINARY_MUL, rml_lower_unary(l, RML_UNARY_SIGN, rest, P("a")),
                         rml_lower_unary(l, RML_UNARY_SIGN, by, P("b")), P("signs"));
    const rml_value_id in[3] = {rml_lower_by_number(l, RML_BINARY_LESS, product, 0, P("differ")),
                                rml_lower_binary(l, RML_BINARY_ADD, rest, by, P("moved")), rest};
    return rml_lower_node(l, RML_OP_WHERE, NULL, in, 3, node->name);
}

// Of whole numbers, that whose sign is the dividend's: a - (a / b) b, since they are divided
// towards zero.
static rml_value_id remainder_of_dividend(rml_lowering *l, const rml_node *node)
{
    rml_value_id x = rml_lower_binary(l, RML_BINARY_DIV, node->in[0], node->in[1], P("times"));
    x = rml_lower_binary(l, RML_BINARY_MUL, x, node->in[1], P("part"));
    return rml_lower_binary(l, RML_BINARY_SUB, node->in[0], x, node->name);
}

// A whole number to a power that is a whole constant, as products: nothing is rounded.
static bool whole_power(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    enum { MOST = 64 };
    double exponent;
    const rml_value *by = &l->to->values[node->in[1]];
    if (by->kind != RML_VALUE_CONSTANT || !rml_constant_number(by->constant, &exponent) ||
        exponent < 0 || exponent > MOST || exponent != floor(exponent) ||
        rml_lowered_shape(l, node->in[1]).rank > rml_lowered_shape(l, node->in[0]).rank)
        return false;
    rml_value_id square = node->in[0], product = RML_NO_VALUE;
    for (unsigned rest = (unsigned)exponent; rest; rest >>= 1) {
        const bool last = rest == 1;
        if (rest & 1)
            product = product == RML_NO_VALUE ? square
                                              : rml_lower_binary(l, RML_BINARY_MUL, product, square,
                                                                 last ? node->name : P("product"));
        if (!last)
            square = rml_lower_binary(l, RML_BINARY_MUL, square, square, P("square"));
    }
    if (product == RML_NO_VALUE) // 1 of each
        product = rml_lower_by_number(
            l, RML_BINARY_ADD, rml_lower_by_number(l, RML_BINARY_MUL, node->in[0], 0, P("none")), 1,
            node->name);
    else if (product == node->in[0]) // a node of its own, which may be an output
        product = rml_lower_by_number(l, RML_BINARY_MUL, product, 1, node->name);
    out[0] = product;
    return true;
}

bool rml_rewrite_binary(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    if (node->op != RML_OP_BINARY)
        return false;
    const bool whole = !rml_dtype_is_float(l->to->values[node->in[0]].dtype);
    switch (node->attr.binary.kind) {
    case RML_BINARY_MOD:
        out[0] = remainder_of_divisor(l, node);
        return true;
    case RML_BINARY_FMOD:
        if (whole)
            out[0] = remainder_of_dividend(l, node);
        return whole;
    case RML_BINARY_POW:
        return whole && whole_power(l, node, out);
    default:
        return false;
    }
}
