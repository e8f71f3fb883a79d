// Elementwise operators.
#include "loaders/onnx/handler.h"
#include "tensor/dtype.h"

#include <float.h>
#include <math.h>
#include <string.h>

// Of the entry's function, or of another.
static rml_value_id unary_of(rml_onnx_call *call, rml_value_id x, rml_unary kind, double p,
                             double q)
{
    const rml_activation function = {kind, {(float)p, (float)q}};
    return rml_graph_unary(call->graph, x, function, call->name);
}

static rml_value_id binary_of(rml_onnx_call *call, rml_binary kind, rml_value_id a, rml_value_id b)
{
    return rml_graph_binary(call->graph, kind, a, b, call->name);
}

// ---- one operand --------------------------------------------------------------------------------

static rml_value_id unary(rml_onnx_call *call, double p, double q)
{
    return unary_of(call, rml_onnx_in(call, 0), (rml_unary)rml_onnx_option(call), p, q);
}

static void import_unary(rml_onnx_call *call)
{
    rml_onnx_ignore(call, "consumed_inputs"); // before opset 6: a hint about memory
    call->out[0] = unary(call, 0, 0);
}

static void import_relu(rml_onnx_call *call)
{
    rml_onnx_ignore(call, "consumed_inputs");
    call->out[0] = unary(call, 0, INFINITY);
}

// With alpha, and beta or gamma behind it.
static void import_alpha(rml_onnx_call *call)
{
    const int32_t kind = rml_onnx_option(call);
    double p = 1, q = 0;
    rml_onnx_ignore(call, "consumed_inputs");
    if (kind == RML_UNARY_LEAKY_RELU)
        p = 0.01f;
    if (kind == RML_UNARY_SELU) {
        p = call->opset < 6 ? 1.6732f : 1.67326319217681884765625f;
        q = rml_onnx_float(call, "gamma", call->opset < 6 ? 1.0507f : 1.05070102214813232421875f);
    }
    if (kind == RML_UNARY_HARD_SIGMOID) {
        p = 0.2f;
        q = rml_onnx_float(call, "beta", 0.5);
    }
    call->out[0] = unary(call, rml_onnx_float(call, "alpha", p), q);
}

static void import_shrink(rml_onnx_call *call)
{
    const double bias = rml_onnx_float(call, "bias", 0);
    call->out[0] = unary(call, bias, rml_onnx_float(call, "lambd", 0.5));
}

static void import_gelu(rml_onnx_call *call)
{
    const char *approximate = rml_onnx_text_of(call, "approximate", "none");
    const bool is_tanh = strcmp(approximate, "tanh") == 0;
    if (!is_tanh && strcmp(approximate, "none") != 0)
        rml_onnx_refuse(call, "approximate is \"%.40s\"", approximate);
    else
        call->out[0] = unary_of(call, rml_onnx_in(call, 0),
                                is_tanh ? RML_UNARY_GELU_TANH : RML_UNARY_GELU, 0, 0);
}

static void import_is_inf(rml_onnx_call *call)
{
    const double negative = (double)rml_onnx_int(call, "detect_negative", 1);
    call->out[0] = unary(call, negative, (double)rml_onnx_int(call, "detect_positive", 1));
}

static rml_value_id swish(rml_onnx_call *call)
{
    const double alpha = rml_onnx_float(call, "alpha", 1);
    return unary_of(call, rml_onnx_in(call, 0), alpha == 1 ? RML_UNARY_SILU : RML_UNARY_SWISH,
                    alpha, 0);
}

static void import_swish(rml_onnx_call *call)
{
    call->out[0] = swish(call);
}

// ---- two operands -------------------------------------------------------------------------------

// Swish of the first times the second.
static void import_swiglu(rml_onnx_call *call)
{
    call->out[0] = binary_of(call, RML_BINARY_MUL, swish(call), rml_onnx_in(call, 1));
}

// Before opset 7 the second operand lay at `axis` of the first one.
static rml_value_id old_operand(rml_onnx_call *call)
{
    const int64_t broadcast = rml_onnx_int(call, "broadcast", 0);
    int64_t axis = rml_onnx_int(call, "axis", INT64_MIN);
    const rml_shape a = rml_onnx_fact(call, 0).shape, b = rml_onnx_fact(call, 1).shape;
    rml_shape shape = b;
    rml_onnx_ignore(call, "consumed_inputs");
    if (!broadcast || axis == INT64_MIN)
        return rml_onnx_in(call, 1);
    axis += axis < 0 ? a.rank : 0;
    if (a.rank < 0 || b.rank < 0 || axis < 0 || axis + b.rank > a.rank) {
        rml_onnx_refuse(call, "%d dimensions at axis %lld of %d", b.rank, (long long)axis, a.rank);
        return RML_NO_VALUE;
    }
    shape.rank = (int)(a.rank - axis);
    for (int i = b.rank; i < shape.rank; i++)
        shape.dim[i] = 1;
    return rml_graph_reshape(call->graph, rml_onnx_in(call, 1), &shape, call->name);
}

static void import_binary(rml_onnx_call *call)
{
    const rml_value_id second = call->opset < 7 ? old_operand(call) : rml_onnx_in(call, 1);
    if (!call->refused)
        call->out[0] =
            binary_of(call, (rml_binary)rml_onnx_option(call), rml_onnx_in(call, 0), second);
}

static void import_mod(rml_onnx_call *call)
{
    const rml_binary kind = rml_onnx_int(call, "fmod", 0) ? RML_BINARY_FMOD : RML_BINARY_MOD;
    call->out[0] = binary_of(call, kind, rml_onnx_in(call, 0), rml_onnx_in(call, 1));
}

static void import_shift(rml_onnx_call *call)
{
    const char *direction = rml_onnx_text_of(call, "direction", "");
    const bool left = strcmp(direction, "LEFT") == 0;
    if (!left && strcmp(direction, "RIGHT") != 0)
        rml_onnx_refuse(call, "direction is \"%.40s\"", direction);
    else
        call->out[0] = binary_of(call, left ? RML_BINARY_SHIFT_LEFT : RML_BINARY_SHIFT_RIGHT,
                                 rml_onnx_in(call, 0), rml_onnx_in(call, 1));
}

// Any number of operands, from one side to the other; their mean is the sum divided.
static void import_many(rml_onnx_call *call)
{
    rml_value_id out = rml_onnx_in(call, 0);
    rml_onnx_ignore(call, "consumed_inputs");
    for (int i = 1; i < call->in_count; i++)
        out = binary_of(call, (rml_binary)rml_onnx_option(call), out, rml_onnx_in(call, i));
    if (strcmp(call->node->op_type, "Mean") == 0) {
        const rml_value_id count =
            rml_onnx_scalar(call, rml_onnx_fact(call, 0).dtype, call->in_count);
        out = binary_of(call, RML_BINARY_DIV, out, count);
    }
    call->out[0] = out;
}

// A slope for each channel stood alone before opset 7.
static void import_prelu(rml_onnx_call *call)
{
    const rml_fact x = rml_onnx_fact(call, 0), slope = rml_onnx_fact(call, 1);
    const rml_value_id in = rml_onnx_in(call, 0);
    rml_value_id by = rml_onnx_in(call, 1);
    rml_onnx_ignore(call, "consumed_inputs");
    if (call->opset < 7 && x.shape.rank > 2 && slope.shape.rank == 1) {
        rml_shape shape = {.rank = x.shape.rank - 1, .dim = {slope.shape.dim[0]}};
        for (int i = 1; i < shape.rank; i++)
            shape.dim[i] = 1;
        by = rml_graph_reshape(call->graph, by, &shape, call->name);
    }
    call->out[0] = binary_of(call, RML_BINARY_PRELU, in, by);
}

// ---- clip ---------------------------------------------------------------------------------------

// The single number of a known f32 input.
static bool known_number(const rml_onnx_call *call, int index, float *number)
{
    const rml_fact fact = rml_onnx_fact(call, index);
    size_t count;
    if (fact.shape.rank == -1)
        return true;
    if (!fact.data || fact.dtype != RML_F32 || !rml_shape_count(&fact.shape, &count) || count != 1)
        return false;
    *number = *(const float *)fact.data;
    return true;
}

static void import_clip(rml_onnx_call *call)
{
    float low = -INFINITY, high = INFINITY;
    const rml_value_id x = rml_onnx_in(call, 0);
    const rml_dtype dtype = rml_onnx_fact(call, 0).dtype;
    rml_onnx_ignore(call, "consumed_inputs");
    if (call->opset < 11) {
        low = (float)rml_onnx_float(call, "min", -FLT_MAX);
        high = (float)rml_onnx_float(call, "max", FLT_MAX);
    }
    if (call->opset < 11 ||
        (dtype == RML_F32 && known_number(call, 1, &low) && known_number(call, 2, &high))) {
        call->out[0] = unary_of(call, x, RML_UNARY_CLAMP, (double)low, (double)high);
        return;
    }
    rml_value_id out = x;
    if (rml_onnx_in(call, 1) != RML_NO_VALUE)
        out = binary_of(call, RML_BINARY_MAX, out, rml_onnx_in(call, 1));
    if (rml_onnx_in(call, 2) != RML_NO_VALUE)
        out = binary_of(call, RML_BINARY_MIN, out, rml_onnx_in(call, 2));
    call->out[0] = out;
}

// ---- casts and dropout --------------------------------------------------------------------------

static void import_cast(rml_onnx_call *call)
{
    rml_dtype to = RML_F32;
    rml_onnx_ignore(call, "saturate"); // both are about floats of 8 bits
    rml_onnx_ignore(call, "round_mode");
    if (strcmp(call->node->op_type, "CastLike") == 0)
        to = rml_onnx_fact(call, 1).dtype;
    else if (call->opset >= 6)
        to = rml_onnx_dtype_of(call, "to", RML_F32);
    else
        rml_onnx_refuse(call, "its meaning before opset 6 is not supported");
    if (!call->refused)
        call->out[0] = rml_onnx_cast(call, rml_onnx_in(call, 0), to);
}

// Whether the node asks for dropping in truth, which is training.
static bool is_training(rml_onnx_call *call)
{
    const rml_fact fact = rml_onnx_fact(call, 2), ratio = rml_onnx_fact(call, 1);
    if (call->opset < 7)
        return rml_onnx_int(call, "is_test", 0) == 0;
    if (call->opset < 12 || fact.shape.rank == -1)
        return false;
    // Dropping nothing is no training either.
    if (ratio.data && ratio.dtype == RML_F32 && *(const float *)ratio.data == 0)
        return false;
    return !fact.data || *(const uint8_t *)fact.data != 0;
}

static void import_dropout(rml_onnx_call *call)
{
    const rml_value_id x = rml_onnx_in(call, 0);
    rml_onnx_ignore(call, "consumed_inputs");
    rml_onnx_ignore(call, "ratio");
    rml_onnx_ignore(call, "seed");
    if (is_training(call)) {
        rml_onnx_refuse(call, "training is not supported");
        return;
    }
    call->out[0] = x;
    if (!rml_onnx_wants(call, 1))
        return;
    const rml_value_id same = binary_of(call, RML_BINARY_EQUAL, x, x); // false for NaN alone
    const rml_value_id kept =
        binary_of(call, RML_BINARY_OR, same, unary_of(call, same, RML_UNARY_NOT, 0, 0));
    call->out[1] =
        call->opset < 10 ? rml_onnx_cast(call, kept, rml_onnx_fact(call, 0).dtype) : kept;
}

const rml_onnx_entry rml_onnx_elementwise[] = {
    {.op_type = "Abs", .import = import_unary, .option = RML_UNARY_ABS},
    {.op_type = "Acos", .import = import_unary, .option = RML_UNARY_ACOS},
    {.op_type = "Acosh", .import = import_unary, .option = RML_UNARY_ACOSH},
    {.op_type = "Add", .import = import_binary, .option = RML_BINARY_ADD},
    {.op_type = "And", .import = import_binary, .option = RML_BINARY_AND},
    {.op_type = "Asin", .import = import_unary, .option = RML_UNARY_ASIN},
    {.op_type = "Asinh", .import = import_unary, .option = RML_UNARY_ASINH},
    {.op_type = "Atan", .import = import_unary, .option = RML_UNARY_ATAN},
    {.op_type = "Atanh", .import = import_unary, .option = RML_UNARY_ATANH},
    {.op_type = "BitShift", .import = import_shift},
    {.op_type = "BitwiseAnd", .import = import_binary, .option = RML_BINARY_BIT_AND},
    {.op_type = "BitwiseNot", .import = import_unary, .option = RML_UNARY_BIT_NOT},
    {.op_type = "BitwiseOr", .import = import_binary, .option = RML_BINARY_BIT_OR},
    {.op_type = "BitwiseXor", .import = import_binary, .option = RML_BINARY_BIT_XOR},
    {.op_type = "Cast", .import = import_cast},
    {.op_type = "CastLike", .import = import_cast},
    {.op_type = "Ceil", .import = import_unary, .option = RML_UNARY_CEIL},
    {.op_type = "Celu", .import = import_alpha, .option = RML_UNARY_CELU},
    {.op_type = "Clip", .import = import_clip},
    {.op_type = "Cos", .import = import_unary, .option = RML_UNARY_COS},
    {.op_type = "Cosh", .import = import_unary, .option = RML_UNARY_COSH},
    {.op_type = "Div", .import = import_binary, .option = RML_BINARY_DIV},
    {.op_type = "Dropout", .import = import_dropout},
    {.op_type = "Elu", .import = import_alpha, .option = RML_UNARY_ELU},
    {.op_type = "Equal", .import = import_binary, .option = RML_BINARY_EQUAL},
    {.op_type = "Erf", .import = import_unary, .option = RML_UNARY_ERF},
    {.op_type = "Exp", .import = import_unary, .option = RML_UNARY_EXP},
    {.op_type = "Floor", .import = import_unary, .option = RML_UNARY_FLOOR},
    {.op_type = "Gelu", .import = import_gelu},
    {.op_type = "Greater", .import = import_binary, .option = RML_BINARY_GREATER},
    {.op_type = "GreaterOrEqual", .import = import_binary, .option = RML_BINARY_GREATER_EQUAL},
    {.op_type = "HardSigmoid", .import = import_alpha, .option = RML_UNARY_HARD_SIGMOID},
    {.op_type = "HardSwish", .import = import_unary, .option = RML_UNARY_HARD_SWISH},
    {.op_type = "IsInf", .import = import_is_inf, .option = RML_UNARY_IS_INF},
    {.op_type = "IsNaN", .import = import_unary, .option = RML_UNARY_IS_NAN},
    {.op_type = "LeakyRelu", .import = import_alpha, .option = RML_UNARY_LEAKY_RELU},
    {.op_type = "Less", .import = import_binary, .option = RML_BINARY_LESS},
    {.op_type = "LessOrEqual", .import = import_binary, .option = RML_BINARY_LESS_EQUAL},
    {.op_type = "Log", .import = import_unary, .option = RML_UNARY_LOG},
    {.op_type = "Max", .import = import_many, .option = RML_BINARY_MAX},
    {.op_type = "Mean", .import = import_many, .option = RML_BINARY_ADD},
    {.op_type = "Min", .import = import_many, .option = RML_BINARY_MIN},
    {.op_type = "Mish", .import = import_unary, .option = RML_UNARY_MISH},
    {.op_type = "Mod", .import = import_mod},
    {.op_type = "Mul", .import = import_binary, .option = RML_BINARY_MUL},
    {.op_type = "Neg", .import = import_unary, .option = RML_UNARY_NEG},
    {.op_type = "Not", .import = import_unary, .option = RML_UNARY_NOT},
    {.op_type = "Or", .import = import_binary, .option = RML_BINARY_OR},
    {.op_type = "PRelu", .import = import_prelu},
    {.op_type = "Pow", .import = import_binary, .option = RML_BINARY_POW},
    {.op_type = "Reciprocal", .import = import_unary, .option = RML_UNARY_RECIPROCAL},
    {.op_type = "Relu", .import = import_relu, .option = RML_UNARY_CLAMP},
    {.op_type = "Round", .import = import_unary, .option = RML_UNARY_ROUND},
    {.op_type = "Selu", .import = import_alpha, .option = RML_UNARY_SELU},
    {.op_type = "Shrink", .import = import_shrink, .option = RML_UNARY_SHRINK},
    {.op_type = "Sigmoid", .import = import_unary, .option = RML_UNARY_SIGMOID},
    {.op_type = "Sign", .import = import_unary, .option = RML_UNARY_SIGN},
    {.op_type = "Sin", .import = import_unary, .option = RML_UNARY_SIN},
    {.op_type = "Sinh", .import = import_unary, .option = RML_UNARY_SINH},
    {.op_type = "Softplus", .import = import_unary, .option = RML_UNARY_SOFTPLUS},
    {.op_type = "Softsign", .import = import_unary, .option = RML_UNARY_SOFTSIGN},
    {.op_type = "Sqrt", .import = import_unary, .option = RML_UNARY_SQRT},
    {.op_type = "Sub", .import = import_binary, .option = RML_BINARY_SUB},
    {.op_type = "Sum", .import = import_many, .option = RML_BINARY_ADD},
    {.op_type = "SwiGLU", .import = import_swiglu},
    {.op_type = "Swish", .import = import_swish},
    {.op_type = "Tan", .import = import_unary, .option = RML_UNARY_TAN},
    {.op_type = "Tanh", .import = import_unary, .option = RML_UNARY_TANH},
    {.op_type = "ThresholdedRelu", .import = import_alpha, .option = RML_UNARY_THRESHOLDED_RELU},
    {.op_type = "Xor", .import = import_binary, .option = RML_BINARY_XOR},
    {.op_type = NULL},
};
