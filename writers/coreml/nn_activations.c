// Functions of one operand.
#include "writers/coreml/nn.h"

#include <string.h>

// Types of the unary layer.
enum { SQRT, RSQRT, INVERSE, POWER, EXP, LOG, ABS, THRESHOLD };

// Fields of ActivationParams.
enum {
    RELU = 10,
    LEAKY_RELU = 15,
    THRESHOLDED_RELU = 20,
    TANH = 30,
    SIGMOID = 40,
    SIGMOID_HARD = 41,
    ELU = 50,
    SOFTSIGN = 60,
    SOFTPLUS = 70,
};

static void activation(rml_net_emitter *e, uint32_t kind, const char *in, float alpha, float beta,
                       const char *out)
{
    rml_net_one(e, RML_NET_ACTIVATION, in, out);
    rml_fields_begin(&e->m, kind);
    rml_net_float(e, 1, alpha);
    rml_net_float(e, 2, beta);
    rml_fields_end(&e->m);
    rml_net_end(e);
}

// Whose layer is an activation; how many numbers it takes.
static const struct {
    rml_unary kind;
    uint32_t field;
    int numbers;
} activations[] = {
    {RML_UNARY_LEAKY_RELU, LEAKY_RELU, 1},
    {RML_UNARY_TANH, TANH, 0},
    {RML_UNARY_SIGMOID, SIGMOID, 0},
    {RML_UNARY_HARD_SIGMOID, SIGMOID_HARD, 2},
    {RML_UNARY_ELU, ELU, 1},
    {RML_UNARY_SOFTSIGN, SOFTSIGN, 0},
    {RML_UNARY_SOFTPLUS, SOFTPLUS, 0},
};

// Whose layer has no parameters.
static const struct {
    rml_unary kind;
    uint32_t layer;
} plain[] = {
    {RML_UNARY_CEIL, RML_NET_CEIL},   {RML_UNARY_FLOOR, RML_NET_FLOOR},
    {RML_UNARY_SIGN, RML_NET_SIGN},   {RML_UNARY_ROUND, RML_NET_ROUND},
    {RML_UNARY_SIN, RML_NET_SIN},     {RML_UNARY_COS, RML_NET_COS},
    {RML_UNARY_TAN, RML_NET_TAN},     {RML_UNARY_ASIN, RML_NET_ASIN},
    {RML_UNARY_ACOS, RML_NET_ACOS},   {RML_UNARY_ATAN, RML_NET_ATAN},
    {RML_UNARY_SINH, RML_NET_SINH},   {RML_UNARY_COSH, RML_NET_COSH},
    {RML_UNARY_ASINH, RML_NET_ASINH}, {RML_UNARY_ACOSH, RML_NET_ACOSH},
    {RML_UNARY_ATANH, RML_NET_ATANH}, {RML_UNARY_ERF, RML_NET_ERF},
    {RML_UNARY_NOT, RML_NET_NOT},
};

static void emit_clamp(rml_net_emitter *e, const char *x, float low, float high, const char *out)
{
    if (low == 0 && high == INFINITY) {
        activation(e, RELU, x, 0, 0, out);
    } else if (high == INFINITY) {
        rml_net_unary(e, THRESHOLD, x, low, 0, out);
    } else if (low == -INFINITY) { // -max(-high, -x)
        const char *above = rml_net_between(e);
        rml_net_one(e, RML_NET_UNARY, x, above);
        rml_fields_int(&e->m, 1, THRESHOLD);
        rml_fields_float(&e->m, 2, -high);
        rml_fields_float(&e->m, 5, -1);
        rml_net_end(e);
        rml_net_linear(e, above, -1, 0, out);
    } else if (e->old) {
        const char *least = rml_net_between(e);
        rml_net_unary(e, THRESHOLD, x, low, 0, least);
        emit_clamp(e, least, -INFINITY, high, out);
    } else {
        rml_net_one(e, RML_NET_CLIP, x, out);
        rml_net_float(e, 1, low);
        rml_net_float(e, 2, high);
        rml_net_end(e);
    }
}

static void emit_gelu(rml_net_emitter *e, const char *x, int mode, const char *out)
{
    rml_net_one(e, RML_NET_GELU, x, out);
    rml_net_int(e, 1, mode);
    rml_net_end(e);
}

// x times a function of it.
static void times(rml_net_emitter *e, const char *x, const char *factor, const char *out)
{
    rml_net_binary(e, RML_NET_OLD_MULTIPLY, x, factor, out);
}

// x sigmoid(alpha x), x hardsigmoid(x), x tanh(softplus(x)).
static void emit_swish(rml_net_emitter *e, const char *x, float alpha, const char *out)
{
    const char *scaled = x, *gate = rml_net_between(e);
    if (alpha != 1)
        rml_net_linear(e, x, alpha, 0, scaled = rml_net_between(e));
    activation(e, SIGMOID, scaled, 0, 0, gate);
    times(e, x, gate, out);
}

static void emit_hard_swish(rml_net_emitter *e, const char *x, const char *out)
{
    const char *gate = rml_net_between(e);
    activation(e, SIGMOID_HARD, x, 1.0f / 6, 0.5f, gate);
    times(e, x, gate, out);
}

static void emit_mish(rml_net_emitter *e, const char *x, const char *out)
{
    const char *soft = rml_net_between(e), *gate = rml_net_between(e);
    activation(e, SOFTPLUS, x, 0, 0, soft);
    activation(e, TANH, soft, 0, 0, gate);
    times(e, x, gate, out);
}

// gamma * (max(0, x) + min(0, alpha (e^x - 1))): an elu.
static void emit_selu(rml_net_emitter *e, const char *x, float alpha, float gamma, const char *out)
{
    const char *curve = rml_net_between(e);
    activation(e, ELU, x, alpha, 0, curve);
    rml_net_linear(e, curve, gamma, 0, out);
}

// max(0, x) + min(0, alpha (e^(x / alpha) - 1)) = alpha elu(x / alpha)
static void emit_celu(rml_net_emitter *e, const char *x, float alpha, const char *out)
{
    const char *scaled = rml_net_between(e), *curve = rml_net_between(e);
    rml_net_linear(e, x, 1 / alpha, 0, scaled);
    activation(e, ELU, scaled, 1, 0, curve);
    rml_net_linear(e, curve, alpha, 0, out);
}

// x where it is above alpha, else 0; Core ML's own layer lets alpha go, too.
static void emit_thresholded(rml_net_emitter *e, const char *x, float alpha, const char *out)
{
    const char *above = rml_net_between(e);
    rml_net_one(e, RML_NET_GREATER, x, above);
    rml_net_float(e, 2, alpha);
    rml_net_end(e);
    times(e, x, above, out);
}

// 1 / x: the unary layer's adds an epsilon.
static void emit_reciprocal(rml_net_emitter *e, const char *x, const char *out)
{
    rml_net_unary(e, POWER, x, -1, 0, out);
}

static bool is_plain(rml_unary kind)
{
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (plain[i].kind == kind)
            return true;
    return false;
}

static bool is_activation(rml_unary kind)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (activations[i].kind == kind)
            return true;
    return false;
}

static const char *lacks_unary(const rml_net_node *n)
{
    const rml_unary kind = n->attr->unary.kind;
    if (n->old && (is_plain(kind) || kind == RML_UNARY_GELU || kind == RML_UNARY_GELU_TANH ||
                   kind == RML_UNARY_THRESHOLDED_RELU))
        return "a function of later systems";
    switch (kind) {
    case RML_UNARY_CLAMP:
    case RML_UNARY_EXP:
    case RML_UNARY_SILU:
    case RML_UNARY_SWISH:
    case RML_UNARY_GELU:
    case RML_UNARY_GELU_TANH:
    case RML_UNARY_ABS:
    case RML_UNARY_NEG:
    case RML_UNARY_SQRT:
    case RML_UNARY_SQUARE:
    case RML_UNARY_HARD_SWISH:
    case RML_UNARY_THRESHOLDED_RELU:
    case RML_UNARY_CELU:
    case RML_UNARY_SELU:
    case RML_UNARY_LOG:
    case RML_UNARY_MISH:
    case RML_UNARY_RECIPROCAL:
        return NULL;
    default:
        return is_plain(kind) || is_activation(kind) ? NULL : "no layer has this function";
    }
}

static void emit_unary(rml_net_emitter *e, const rml_node *node)
{
    const rml_activation *act = &node->attr.unary;
    const float p = act->param[0], q = act->param[1];
    if (rml_activation_is_none(act)) {
        rml_net_same(e, 0, 0);
        return;
    }
    const char *x = rml_net_in(e, 0), *out = rml_net_out(e, 0);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (plain[i].kind == act->kind)
            rml_net_plain(e, plain[i].layer, &x, 1, out);
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (activations[i].kind == act->kind)
            activation(e, activations[i].field, x, activations[i].numbers > 0 ? p : 0,
                       activations[i].numbers > 1 ? q : 0, out);
    switch (act->kind) {
    case RML_UNARY_CLAMP:
        emit_clamp(e, x, p, q, out);
        break;
    case RML_UNARY_EXP:
        rml_net_unary(e, EXP, x, 0, 0, out);
        break;
    case RML_UNARY_LOG:
        rml_net_unary(e, LOG, x, 0, 0, out);
        break;
    case RML_UNARY_ABS:
        rml_net_unary(e, ABS, x, 0, 0, out);
        break;
    case RML_UNARY_SQRT:
        rml_net_unary(e, SQRT, x, 0, 0, out);
        break;
    case RML_UNARY_SQUARE:
        times(e, x, x, out);
        break;
    case RML_UNARY_NEG:
        rml_net_linear(e, x, -1, 0, out);
        break;
    case RML_UNARY_SILU:
        emit_swish(e, x, 1, out);
        break;
    case RML_UNARY_SWISH:
        emit_swish(e, x, p, out);
        break;
    case RML_UNARY_GELU:
        emit_gelu(e, x, 0, out);
        break;
    case RML_UNARY_GELU_TANH:
        emit_gelu(e, x, 1, out);
        break;
    case RML_UNARY_HARD_SWISH:
        emit_hard_swish(e, x, out);
        break;
    case RML_UNARY_MISH:
        emit_mish(e, x, out);
        break;
    case RML_UNARY_SELU:
        emit_selu(e, x, p, q, out);
        break;
    case RML_UNARY_CELU:
        emit_celu(e, x, p, out);
        break;
    case RML_UNARY_THRESHOLDED_RELU:
        emit_thresholded(e, x, p, out);
        break;
    case RML_UNARY_RECIPROCAL:
        emit_reciprocal(e, x, out);
        break;
    default:
        break;
    }
}

bool rml_net_is_along_axis(const rml_softmax_attr *softmax, int rank)
{
    return !softmax->flat || softmax->axis == -1 || softmax->axis == rank - 1;
}

static const char *lacks_softmax(const rml_net_node *n)
{
    if (n->attr->softmax.kind == RML_SOFTMAX_HARD)
        return "the hard maximum";
    if (!rml_net_is_along_axis(&n->attr->softmax, n->out.shape.rank))
        return "softmax over several dimensions";
    return NULL;
}

static void emit_softmax(rml_net_emitter *e, const rml_node *node)
{
    const char *x = rml_net_in(e, 0);
    const int64_t axis = node->attr.softmax.axis;
    if (node->attr.softmax.kind == RML_SOFTMAX_LOG) { // x - ln(sum of e^x)
        const char *sum = rml_net_between(e);
        rml_net_one(e, RML_NET_REDUCE_LOG_SUM_EXP, x, sum);
        rml_fields_ints(&e->m, 1, &axis, 1);
        rml_fields_int(&e->m, 2, 1);
        rml_net_end(e);
        rml_net_binary(e, RML_NET_SUBTRACT, x, sum, rml_net_out(e, 0));
        return;
    }
    rml_net_one(e, RML_NET_SOFTMAX, x, rml_net_out(e, 0));
    rml_net_int(e, 1, axis);
    rml_net_end(e);
}

const rml_net_rule rml_net_activation_rules[] = {
    {RML_OP_UNARY, lacks_unary, emit_unary},
    {RML_OP_SOFTMAX, lacks_softmax, emit_softmax},
    {RML_OP_COUNT, NULL, NULL},
};
