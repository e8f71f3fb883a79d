// Elementwise operators.
#include "writers/onnx/emit.h"

#include "tensor/dtype.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct function_entry {
    const char *op_type; // "": there is none
    int since;
    const char *param[2]; // what the parameters are called
} function_entry;

static const function_entry functions[] = {
#define UNARY(upper, lower, types, onnx) [RML_UNARY_##upper] = {onnx, 0, {0}},
#include "kernels/functions.inc"
#undef UNARY
};

// What the list of functions does not say.
static const struct {
    rml_unary kind;
    function_entry entry;
} others[] = {
    {RML_UNARY_LEAKY_RELU, {"LeakyRelu", 0, {"alpha"}}},
    {RML_UNARY_GELU, {"Gelu", 20, {0}}},
    {RML_UNARY_GELU_TANH, {"Gelu", 20, {0}}},
    {RML_UNARY_ELU, {"Elu", 0, {"alpha"}}},
    {RML_UNARY_HARD_SIGMOID, {"HardSigmoid", 0, {"alpha", "beta"}}},
    {RML_UNARY_HARD_SWISH, {"HardSwish", 14, {0}}},
    {RML_UNARY_THRESHOLDED_RELU, {"ThresholdedRelu", 0, {"alpha"}}},
    {RML_UNARY_CELU, {"Celu", 0, {"alpha"}}},
    {RML_UNARY_SELU, {"Selu", 0, {"alpha", "gamma"}}},
    {RML_UNARY_MISH, {"Mish", 18, {0}}},
    {RML_UNARY_SHRINK, {"Shrink", 0, {"bias", "lambd"}}},
    {RML_UNARY_BIT_NOT, {"BitwiseNot", 18, {0}}},
    {RML_UNARY_IS_INF, {"IsInf", 0, {0}}},
};

static const function_entry *find_function(rml_unary kind)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i].kind == kind)
            return &others[i].entry;
    return &functions[kind];
}

static const char *lacks_unary(const rml_to_onnx_ask *ask)
{
    const rml_unary kind = ask->node->attr.unary.kind;
    const function_entry *function = find_function(kind);
    if (kind == RML_UNARY_CLAMP)
        return NULL;
    if (!*function->op_type)
        return "there is no such function";
    return function->since > ask->opset ? "the function came with a later opset" : NULL;
}

// Clip, of which relu and the identity are cases.
static void write_clamp(rml_to_onnx *w, const rml_node *node)
{
    const float *limit = node->attr.unary.param;
    const rml_dtype dtype = w->graph->values[node->in[0]].dtype;
    const bool low = limit[0] != -INFINITY, high = limit[1] != INFINITY;
    const char *in[3] = {rml_to_onnx_name(w, node->in[0]), "", ""};
    if (limit[0] == 0 && !high && rml_dtype_is_float(dtype)) {
        rml_to_onnx_make(w, node, "Relu", in, 1, NULL);
        return;
    }
    if (low)
        in[1] = rml_to_onnx_scalar(w, node, "min", dtype, (double)limit[0]);
    if (high)
        in[2] = rml_to_onnx_scalar(w, node, "max", dtype, (double)limit[1]);
    rml_to_onnx_make(w, node, low || high ? "Clip" : "Identity", in, 3, NULL);
}

static void write_unary(rml_to_onnx *w, const rml_node *node)
{
    const rml_activation *act = &node->attr.unary;
    const function_entry *function = find_function(act->kind);
    if (act->kind == RML_UNARY_CLAMP) {
        write_clamp(w, node);
        return;
    }
    rml_to_onnx_open(w, node, function->op_type);
    for (int k = 0; k < 2; k++)
        if (function->param[k])
            rml_to_onnx_float(w, function->param[k], (double)act->param[k]);
    if (act->kind == RML_UNARY_GELU_TANH)
        rml_to_onnx_text(w, "approximate", "tanh");
    if (act->kind == RML_UNARY_IS_INF) {
        rml_to_onnx_int(w, "detect_negative", act->param[0] != 0);
        rml_to_onnx_int(w, "detect_positive", act->param[1] != 0);
    }
    rml_to_onnx_close(w, node);
}

// ---- two operands -------------------------------------------------------------------------------

static const char *binary_name(rml_binary kind)
{
    static const char *const names[] = {
#define BINARY(upper, lower, types, onnx) [RML_BINARY_##upper] = onnx,
#include "kernels/functions.inc"
#undef BINARY
    };
    switch (kind) {
    case RML_BINARY_MAX:
        return "Max";
    case RML_BINARY_MIN:
        return "Min";
    case RML_BINARY_FMOD:
    case RML_BINARY_MOD:
        return "Mod";
    case RML_BINARY_PRELU:
        return "PRelu";
    case RML_BINARY_SHIFT_LEFT:
    case RML_BINARY_SHIFT_RIGHT:
        return "BitShift";
    default:
        return names[kind];
    }
}

// A slope is broadcast to the data, not the other way round.
static bool slope_fits(const rml_to_onnx_ask *ask)
{
    const rml_shape *x = &ask->graph->values[ask->node->in[0]].shape;
    const rml_shape *slope = &ask->graph->values[ask->node->in[1]].shape;
    bool fits = x->rank >= 0 && slope->rank >= 0 && slope->rank <= x->rank;
    for (int i = 1; fits && i <= slope->rank; i++)
        fits =
            slope->dim[slope->rank - i] == 1 || slope->dim[slope->rank - i] == x->dim[x->rank - i];
    return fits;
}

static const char *lacks_binary(const rml_to_onnx_ask *ask)
{
    const rml_binary_attr *attr = &ask->node->attr.binary;
    const rml_dtype dtype = ask->graph->values[ask->node->in[0]].dtype;
    const bool is_bits = attr->kind == RML_BINARY_BIT_AND || attr->kind == RML_BINARY_BIT_OR ||
                         attr->kind == RML_BINARY_BIT_XOR;
    const bool shifts = attr->kind == RML_BINARY_SHIFT_LEFT || attr->kind == RML_BINARY_SHIFT_RIGHT;
    if (!rml_activation_is_none(&attr->act))
        return "it has no activation";
    if (is_bits && ask->opset < 18)
        return "there is none before opset 18";
    if (attr->kind == RML_BINARY_MOD && rml_dtype_is_float(dtype))
        return "a remainder of floats has the sign of the dividend";
    if (attr->kind == RML_BINARY_PRELU && !slope_fits(ask))
        return "its slope is not broadcast to the data";
    if (shifts && dtype != RML_U8 && dtype != RML_U16 && dtype != RML_U32 && dtype != RML_U64)
        return "only integers without sign are shifted";
    return NULL;
}

static void write_binary(rml_to_onnx *w, const rml_node *node)
{
    const rml_binary kind = node->attr.binary.kind;
    rml_to_onnx_open(w, node, binary_name(kind));
    if (kind == RML_BINARY_FMOD)
        rml_to_onnx_int(w, "fmod", 1);
    if (kind == RML_BINARY_SHIFT_LEFT || kind == RML_BINARY_SHIFT_RIGHT)
        rml_to_onnx_text(w, "direction", kind == RML_BINARY_SHIFT_LEFT ? "LEFT" : "RIGHT");
    rml_to_onnx_close(w, node);
}

static const rml_to_onnx_field cast[] = {RML_TO(DTYPE, "to", cast.to), {0}};

const rml_to_onnx_entry rml_to_onnx_elementwise[] = {
    {.op = RML_OP_UNARY, .lacks = lacks_unary, .write = write_unary},
    {.op = RML_OP_BINARY, .lacks = lacks_binary, .write = write_binary},
    {.op = RML_OP_CAST, .op_type = "Cast", .fields = cast},
    {.op = RML_OP_WHERE, .op_type = "Where"},
    {0},
};
