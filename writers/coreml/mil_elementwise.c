// Elementwise functions.
#include "writers/coreml/mil.h"

#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

// ---- functions of one operand -------------------------------------------------------------------

typedef enum form {
    NONE,       // there is no operation
    PLAIN,      // x alone
    ALPHA,      // x and alpha, the first parameter
    ALPHA_BETA, // ... and beta
    FUNCTION,   // of several operations, or with other arguments
} form;

typedef struct one_operand {
    form form;
    const char *type;
    bool whole; // also of integers
} one_operand;

static const one_operand of_one[] = {
    [RML_UNARY_CLAMP] = {FUNCTION, "clip", true},
    [RML_UNARY_LEAKY_RELU] = {ALPHA, "leaky_relu", false},
    [RML_UNARY_SIGMOID] = {PLAIN, "sigmoid", false},
    [RML_UNARY_TANH] = {PLAIN, "tanh", false},
    [RML_UNARY_EXP] = {PLAIN, "exp", false},
    [RML_UNARY_SILU] = {PLAIN, "silu", false},
    [RML_UNARY_GELU] = {FUNCTION, "EXACT", false},
    [RML_UNARY_ERF] = {PLAIN, "erf", false},
    [RML_UNARY_GELU_TANH] = {FUNCTION, "TANH_APPROXIMATION", false},
    [RML_UNARY_ELU] = {ALPHA, "elu", false},
    [RML_UNARY_ABS] = {PLAIN, "abs", true},
    [RML_UNARY_NEG] = {FUNCTION, "", true},
    [RML_UNARY_SQRT] = {PLAIN, "sqrt", false},
    [RML_UNARY_SQUARE] = {PLAIN, "square", true},
    [RML_UNARY_HARD_SIGMOID] = {ALPHA_BETA, "sigmoid_hard", false},
    [RML_UNARY_HARD_SWISH] = {FUNCTION, "", false},
    [RML_UNARY_THRESHOLDED_RELU] = {FUNCTION, "", false},
    [RML_UNARY_SOFTSIGN] = {PLAIN, "softsign", false},
    [RML_UNARY_SIGN] = {PLAIN, "sign", true},
    [RML_UNARY_FLOOR] = {PLAIN, "floor", false},
    [RML_UNARY_CEIL] = {PLAIN, "ceil", false},
    [RML_UNARY_ROUND] = {PLAIN, "round", false},
    [RML_UNARY_CELU] = {FUNCTION, "", false},
    [RML_UNARY_SELU] = {FUNCTION, "", false},
    [RML_UNARY_SWISH] = {FUNCTION, "", false},
    [RML_UNARY_LOG] = {FUNCTION, "log", false},
    [RML_UNARY_SOFTPLUS] = {PLAIN, "softplus", false},
    [RML_UNARY_MISH] = {FUNCTION, "", false},
    [RML_UNARY_ATAN] = {PLAIN, "atan", false},
    [RML_UNARY_NOT] = {PLAIN, "logical_not", true},
    [RML_UNARY_SIN] = {PLAIN, "sin", false},
    [RML_UNARY_COS] = {PLAIN, "cos", false},
    [RML_UNARY_TAN] = {PLAIN, "tan", false},
    [RML_UNARY_ASIN] = {PLAIN, "asin", false},
    [RML_UNARY_ACOS] = {PLAIN, "acos", false},
    [RML_UNARY_SINH] = {PLAIN, "sinh", false},
    [RML_UNARY_COSH] = {PLAIN, "cosh", false},
    [RML_UNARY_ATANH] = {PLAIN, "atanh", false},
    [RML_UNARY_RECIPROCAL] = {FUNCTION, "", false},
    [RML_UNARY_IS_NAN] = {FUNCTION, "", false},
    [RML_UNARY_IS_INF] = {NONE, "", false},
};

static one_operand operand_of(rml_unary unary)
{
    return (size_t)unary < sizeof of_one / sizeof *of_one ? of_one[unary]
                                                          : (one_operand){NONE, "", false};
}

static const char *unary_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    const one_operand row = operand_of(node->attr.unary.kind);
    (void)opset;
    if (row.form == NONE)
        return "there is no operation for it";
    return row.whole || rml_dtype_is_float(graph->values[node->in[0]].dtype)
               ? NULL
               : "there is no operation for it of integers";
}

// A number of the type of `like`.
static rml_operand number_like(rml_emitter *e, const rml_operand *like, const rml_operand *out,
                               const char *part, double number)
{
    return rml_emit_number(e, rml_emit_joined(e, out->name, part), number, like->dtype);
}

static rml_operand with_alpha(rml_emitter *e, const char *type, rml_operand x, double alpha,
                              const double *beta, rml_operand out)
{
    rml_emit_op op = rml_emit_begin(e, type, out);
    rml_emit_value(&op, "x", x);
    rml_emit_real(&op, "alpha", alpha);
    if (beta)
        rml_emit_real(&op, "beta", *beta);
    return rml_emit_end(&op);
}

// Open ends are the largest numbers there are.
static void emit_clamp(rml_emitter *e, rml_operand x, const float *limit, rml_operand out)
{
    const double most = e->real == RML_F16 ? 65504 : (double)3.40282347e38f;
    double low = (double)limit[0], high = (double)limit[1];
    const bool is_whole = x.dtype == RML_I32;
    if (low == -INFINITY && high == INFINITY) {
        rml_emit_unary(e, "identity", x, out);
    } else if (is_whole) {
        const bool both = low > -INFINITY && high < INFINITY;
        const rml_operand part = both ? rml_emit_part(e, &out, "low", &out.shape) : out;
        if (low > -INFINITY)
            x = rml_emit_with(e, "maximum", x, ceil(low), part);
        if (high < INFINITY)
            rml_emit_with(e, "minimum", x, floor(high), out);
    } else if (low == 0 && high == INFINITY) {
        rml_emit_unary(e, "relu", x, out);
    } else {
        low = low < -most ? -most : low;
        high = high > most ? most : high;
        with_alpha(e, "clip", x, low, &high, out);
    }
}

static rml_operand part_of(rml_emitter *e, const rml_operand *out, const char *part)
{
    return rml_emit_part(e, out, part, &out->shape);
}

// x times a function of itself.
static void emit_gated(rml_emitter *e, rml_operand x, rml_operand gate, rml_operand out)
{
    rml_emit_binary(e, "mul", x, gate, out);
}

// factor * elu(x / divisor)
static void emit_scaled_elu(rml_emitter *e, rml_operand x, double divisor, double alpha,
                            double factor, rml_operand out)
{
    if (divisor != 1)
        x = rml_emit_with(e, "real_div", x, divisor, part_of(e, &out, "divided"));
    x = with_alpha(e, "elu", x, alpha, NULL, part_of(e, &out, "elu"));
    rml_emit_with(e, "mul", x, factor, out);
}

static void emit_function(rml_emitter *e, rml_activation act, rml_operand x, rml_operand out)
{
    const double p = (double)act.param[0], q = (double)act.param[1], half = 0.5;
    switch (act.kind) {
    case RML_UNARY_CLAMP:
        emit_clamp(e, x, act.param, out);
        break;
    case RML_UNARY_GELU:
    case RML_UNARY_GELU_TANH: {
        rml_emit_op op = rml_emit_begin(e, "gelu", out);
        rml_emit_value(&op, "x", x);
        rml_emit_text(&op, "mode", of_one[act.kind].type);
        rml_emit_end(&op);
        break;
    }
    case RML_UNARY_NEG:
        rml_emit_with(e, "mul", x, -1, out);
        break;
    case RML_UNARY_HARD_SWISH:
        x = with_alpha(e, "thresholded_relu", x, -3, NULL, part_of(e, &out, "relu"));
        emit_gated(e, x, with_alpha(e, "sigmoid_hard", x, 1.0 / 6, &half, part_of(e, &out, "gate")),
                   out);
        break;
    case RML_UNARY_THRESHOLDED_RELU: { // alpha itself stays in the operation of this name
        rml_operand above = part_of(e, &out, "above");
        above.dtype = RML_BOOL;
        rml_emit_op op = rml_emit_begin(e, "select", out);
        rml_emit_value(&op, "cond", rml_emit_with(e, "greater", x, p, above));
        rml_emit_value(&op, "a", x);
        rml_emit_value(&op, "b", number_like(e, &x, &out, "b_0", 0));
        rml_emit_end(&op);
        break;
    }
    case RML_UNARY_CELU:
        emit_scaled_elu(e, x, p, 1, p, out);
        break;
    case RML_UNARY_SELU:
        emit_scaled_elu(e, x, 1, p, q, out);
        break;
    case RML_UNARY_SWISH:
        emit_gated(e, x,
                   rml_emit_unary(e, "sigmoid",
                                  rml_emit_with(e, "mul", x, p, part_of(e, &out, "scaled")),
                                  part_of(e, &out, "gate")),
                   out);
        break;
    case RML_UNARY_LOG: {
        rml_emit_op op = rml_emit_begin(e, "log", out);
        rml_emit_value(&op, "x", x);
        rml_emit_real(&op, "epsilon", 0);
        rml_emit_end(&op);
        break;
    }
    case RML_UNARY_MISH:
        emit_gated(e, x,
                   rml_emit_unary(e, "tanh",
                                  rml_emit_unary(e, "softplus", x, part_of(e, &out, "softplus")),
                                  part_of(e, &out, "gate")),
                   out);
        break;
    case RML_UNARY_RECIPROCAL: // "inverse" adds something
        rml_emit_binary(e, "real_div", number_like(e, &x, &out, "x_0", 1), x, out);
        break;
    default: // RML_UNARY_IS_NAN
        rml_emit_binary(e, "not_equal", x, x, out);
    }
}

static void emit_unary(rml_emitter *e, const rml_node *node)
{
    const rml_activation act = node->attr.unary;
    const one_operand row = operand_of(act.kind);
    const rml_operand x = rml_emit_in(e, node, 0), out = rml_emit_out(e, node, 0);
    const double beta = (double)act.param[1];
    if (row.form == PLAIN)
        rml_emit_unary(e, row.type, x, out);
    else if (row.form == FUNCTION)
        emit_function(e, act, x, out);
    else
        with_alpha(e, row.type, x, (double)act.param[0], row.form == ALPHA_BETA ? &beta : NULL,
                   out);
}

// ---- of two -------------------------------------------------------------------------------------

static const char *const of_two[] = {
    [RML_BINARY_ADD] = "add",         [RML_BINARY_SUB] = "sub",
    [RML_BINARY_MUL] = "mul",         [RML_BINARY_DIV] = "real_div",
    [RML_BINARY_MAX] = "maximum",     [RML_BINARY_MIN] = "minimum",
    [RML_BINARY_POW] = "pow",         [RML_BINARY_MOD] = "mod",
    [RML_BINARY_PRELU] = "prelu",     [RML_BINARY_EQUAL] = "equal",
    [RML_BINARY_LESS] = "less",       [RML_BINARY_LESS_EQUAL] = "less_equal",
    [RML_BINARY_GREATER] = "greater", [RML_BINARY_GREATER_EQUAL] = "greater_equal",
    [RML_BINARY_AND] = "logical_and", [RML_BINARY_OR] = "logical_or",
    [RML_BINARY_XOR] = "logical_xor", [RML_BINARY_SHIFT_RIGHT] = NULL,
};

static const char *binary_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    const rml_binary kind = node->attr.binary.kind;
    (void)opset;
    if (!rml_activation_is_none(&node->attr.binary.act))
        return "an activation of its own";
    if ((size_t)kind >= sizeof of_two / sizeof *of_two || !of_two[kind])
        return "there is no operation for it";
    if (kind == RML_BINARY_PRELU && !rml_dtype_is_float(graph->values[node->in[0]].dtype))
        return "there is no operation for it of integers";
    if (kind == RML_BINARY_POW && !rml_dtype_is_float(graph->values[node->in[0]].dtype) &&
        rml_dtype_is_float(graph->values[node->in[1]].dtype))
        return "a whole number to a power that is no whole constant is cut off, and what a device "
               "rounds before that is not told";
    return NULL;
}

// The slopes of each channel of an image; false where they are something else.
static bool slopes_of(const rml_graph *graph, const rml_node *node, int64_t *count)
{
    const rml_shape *x = rml_emit_shape(graph, node->in[0]),
                    *slope = rml_emit_shape(graph, node->in[1]);
    size_t all = 0;
    if (!rml_emit_constant(graph, node, 1) || !rml_shape_count(slope, &all))
        return false;
    *count = (int64_t)all;
    if (all == 1)
        return slope->rank <= x->rank;
    return x->rank == 4 && slope->rank >= 3 && slope->dim[slope->rank - 3] == *count &&
           *count == x->dim[1];
}

static void emit_prelu(rml_emitter *e, const rml_node *node)
{
    const rml_operand x = rml_emit_in(e, node, 0), out = rml_emit_out(e, node, 0);
    int64_t count;
    size_t all;
    if (slopes_of(e->graph, node, &count)) {
        const float *slope = rml_emit_elements(e, node, 1, &all);
        if (slope && count == 1) {
            with_alpha(e, "leaky_relu", x, (double)*slope, NULL, out);
        } else if (slope) {
            rml_emit_op op = rml_emit_begin(e, "prelu", out);
            rml_emit_value(&op, "x", x);
            rml_emit_value(&op, "alpha",
                           rml_emit_floats(e, rml_emit_joined(e, out.name, "alpha_0"), slope,
                                           &(rml_shape){1, {count}}, e->real));
            rml_emit_end(&op);
        }
        return;
    }
    const rml_operand below =
        rml_emit_with(e, "minimum", x, 0, rml_emit_part(e, &out, "below", &x.shape));
    rml_emit_binary(
        e, "add", rml_emit_unary(e, "relu", x, rml_emit_part(e, &out, "above", &x.shape)),
        rml_emit_binary(e, "mul", below, rml_emit_in(e, node, 1), part_of(e, &out, "scaled")), out);
}

static rml_operand of_part(rml_emitter *e, const char *type, rml_operand x, const rml_operand *out,
                           const char *part)
{
    return rml_emit_unary(e, type, x, rml_emit_part(e, out, part, &x.shape));
}

// Towards zero: of negative whole numbers no operation tells how it rounds.
static void emit_whole_quotient(rml_emitter *e, rml_operand x, rml_operand y, rml_operand out)
{
    const rml_operand x_size = of_part(e, "abs", x, &out, "x_size");
    const rml_operand y_size = of_part(e, "abs", y, &out, "y_size");
    rml_operand size = rml_emit_binary(e, "floor_div", x_size, y_size, part_of(e, &out, "size"));
    const rml_operand x_sign = of_part(e, "sign", x, &out, "x_sign");
    const rml_operand y_sign = of_part(e, "sign", y, &out, "y_sign");
    size = rml_emit_binary(e, "mul", size, x_sign, part_of(e, &out, "half_signed"));
    rml_emit_binary(e, "mul", size, y_sign, out);
}

static void emit_binary(rml_emitter *e, const rml_node *node)
{
    const rml_binary kind = node->attr.binary.kind;
    const rml_operand out = rml_emit_out(e, node, 0);
    if (kind == RML_BINARY_PRELU) {
        emit_prelu(e, node);
        return;
    }
    rml_operand x = rml_emit_in(e, node, 0), y = rml_emit_in(e, node, 1);
    if (kind == RML_BINARY_EQUAL && x.dtype == RML_BOOL)
        x = rml_emit_as_type(e, x, RML_I32, &out, "x");
    y = rml_emit_as_type(e, y, x.dtype, &out, "y"); // an exponent too
    if (kind == RML_BINARY_DIV && x.dtype == RML_I32)
        emit_whole_quotient(e, x, y, out);
    else
        rml_emit_binary(e, of_two[kind], x, y, out);
}

const rml_emit_row rml_emit_elementwise[] = {
    {RML_OP_UNARY, unary_lacks, emit_unary},
    {RML_OP_BINARY, binary_lacks, emit_binary},
    {0},
};
