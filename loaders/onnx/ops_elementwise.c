// Elementwise operators.
#include "loaders/onnx/make.h"
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

// ---- one operand --------------------------------------------------------------------------------

static void import_gelu(rml_onnx_call *call)
{
    const bool is_tanh = rml_onnx_word(call, "approximate", "none tanh", 0) != 0;
    call->out[0] =
        unary_of(call, rml_onnx_in(call, 0), is_tanh ? RML_UNARY_GELU_TANH : RML_UNARY_GELU, 0, 0);
}

// gelu(x + bias), by the tangent where the option says so; the bias may be left out.
static void import_bias_gelu(rml_onnx_call *call)
{
    const rml_value_id bias = rml_onnx_in(call, 1);
    rml_value_id x = rml_onnx_in(call, 0);
    if (bias != RML_NO_VALUE)
        x = rml_onnx_binary(call, RML_BINARY_ADD, x, bias);
    call->out[0] = unary_of(call, x, (rml_unary)rml_onnx_option(call), 0, 0);
}

// The defaults were rounded otherwise before opset 6.
static void import_selu(rml_onnx_call *call)
{
    const bool old = call->opset < 6;
    rml_onnx_ignore(call, "consumed_inputs");
    const double p = rml_onnx_float(call, "alpha", old ? 1.6732f : 1.67326319217681884765625f);
    const double q = rml_onnx_float(call, "gamma", old ? 1.0507f : 1.05070102214813232421875f);
    call->out[0] = unary_of(call, rml_onnx_in(call, 0), RML_UNARY_SELU, p, q);
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
    call->out[0] = rml_onnx_binary(call, RML_BINARY_MUL, swish(call), rml_onnx_in(call, 1));
}

// The second operand where its dimensions lie at `axis` of the first one.
static rml_value_id operand_at(rml_onnx_call *call, int64_t axis)
{
    const rml_shape a = rml_onnx_fact(call, 0).shape, b = rml_onnx_fact(call, 1).shape;
    rml_shape shape = b;
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

// Before opset 7 an attribute told the axis.
static rml_value_id old_operand(rml_onnx_call *call)
{
    const int64_t broadcast = rml_onnx_int(call, "broadcast", 0);
    const int64_t axis = rml_onnx_int(call, "axis", INT64_MIN);
    rml_onnx_ignore(call, "consumed_inputs");
    return broadcast && axis != INT64_MIN ? operand_at(call, axis) : rml_onnx_in(call, 1);
}

static void import_binary(rml_onnx_call *call)
{
    const rml_value_id second = call->opset < 7 ? old_operand(call) : rml_onnx_in(call, 1);
    if (!call->refused)
        call->out[0] =
            rml_onnx_binary(call, (rml_binary)rml_onnx_option(call), rml_onnx_in(call, 0), second);
}

static void import_mod(rml_onnx_call *call)
{
    const rml_binary kind = rml_onnx_int(call, "fmod", 0) ? RML_BINARY_FMOD : RML_BINARY_MOD;
    call->out[0] = rml_onnx_binary(call, kind, rml_onnx_in(call, 0), rml_onnx_in(call, 1));
}

static void import_shift(rml_onnx_call *call)
{
    const int direction = rml_onnx_word(call, "direction", "LEFT RIGHT", -1);
    if (direction < 0)
        rml_onnx_refuse(call, "it has no direction");
    else
        call->out[0] =
            rml_onnx_binary(call, direction ? RML_BINARY_SHIFT_RIGHT : RML_BINARY_SHIFT_LEFT,
                            rml_onnx_in(call, 0), rml_onnx_in(call, 1));
}

// Any number of operands, from one side to the other; their mean is the sum divided.
static void import_many(rml_onnx_call *call)
{
    rml_value_id out = rml_onnx_in(call, 0);
    rml_onnx_ignore(call, "consumed_inputs");
    for (int i = 1; i < call->in_count; i++)
        out = rml_onnx_binary(call, (rml_binary)rml_onnx_option(call), out, rml_onnx_in(call, i));
    if (strcmp(call->node->op_type, "Mean") == 0) {
        const rml_value_id count =
            rml_onnx_scalar(call, rml_onnx_fact(call, 0).dtype, call->in_count);
        out = rml_onnx_binary(call, RML_BINARY_DIV, out, count);
    }
    call->out[0] = out;
}

// A slope for each channel stood alone before opset 7.
static void import_prelu(rml_onnx_call *call)
{
    const bool alone = call->opset < 7 && rml_onnx_fact(call, 0).shape.rank > 2 &&
                       rml_onnx_fact(call, 1).shape.rank == 1;
    rml_onnx_ignore(call, "consumed_inputs");
    call->out[0] = rml_onnx_binary(call, RML_BINARY_PRELU, rml_onnx_in(call, 0),
                                   alone ? operand_at(call, 1) : rml_onnx_in(call, 1));
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
        out = rml_onnx_binary(call, RML_BINARY_MAX, out, rml_onnx_in(call, 1));
    if (rml_onnx_in(call, 2) != RML_NO_VALUE)
        out = rml_onnx_binary(call, RML_BINARY_MIN, out, rml_onnx_in(call, 2));
    call->out[0] = out;
}

// ---- casts and dropout --------------------------------------------------------------------------

static void import_cast(rml_onnx_call *call)
{
    const size_t before = call->graph->node_count;
    rml_dtype to = RML_F32;
    rml_onnx_ignore(call, "saturate"); // both are about floats of 8 bits
    rml_onnx_ignore(call, "round_mode");
    if (strcmp(call->node->op_type, "CastLike") == 0)
        to = rml_onnx_fact(call, 1).dtype;
    else if (call->opset >= 6)
        to = rml_onnx_dtype_of(call, "to", RML_F32);
    else
        rml_onnx_refuse(call, "its meaning before opset 6 is not supported");
    if (call->refused)
        return;
    call->out[0] = rml_onnx_cast(call, rml_onnx_in(call, 0), to);
    if (call->out[0] != RML_NO_VALUE && call->graph->node_count > before)
        call->graph->nodes[before].attr.cast.asked = true;
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
    const rml_value_id same = rml_onnx_binary(call, RML_BINARY_EQUAL, x, x); // false for NaN alone
    const rml_value_id kept =
        rml_onnx_binary(call, RML_BINARY_OR, same, unary_of(call, same, RML_UNARY_NOT, 0, 0));
    call->out[1] =
        call->opset < 10 ? rml_onnx_cast(call, kept, rml_onnx_fact(call, 0).dtype) : kept;
}

// ---- functions with parameters ------------------------------------------------------------------

#define KIND RML_FIELD(OPTION, NULL, unary.kind, .absent = 0)
#define HINT                                                                                       \
    {                                                                                              \
        .kind = RML_FIELD_IGNORE, .name = "consumed_inputs"                                        \
    } // about memory, before opset 6
#define P(title, value) RML_FIELD(FLOAT, title, unary.param[0], .number = value)
#define Q(title, value) RML_FIELD(FLOAT, title, unary.param[1], .number = value)

static const rml_onnx_field unary[] = {KIND, HINT, {0}};
static const rml_onnx_field relu[] = {
    KIND, HINT, RML_FIELD(NUMBER, NULL, unary.param[1], .number = INFINITY), {0}};
static const rml_onnx_field alpha[] = {KIND, HINT, P("alpha", 1), {0}};
static const rml_onnx_field leaky_relu[] = {KIND, HINT, P("alpha", 0.01f), {0}};
static const rml_onnx_field quick_gelu[] = {KIND, P("alpha", 1.702f), {0}};
static const rml_onnx_field hard_sigmoid[] = {KIND, HINT, P("alpha", 0.2f), Q("beta", 0.5), {0}};
static const rml_onnx_field shrink[] = {KIND, P("bias", 0), Q("lambd", 0.5), {0}};
static const rml_onnx_field is_inf[] = {
    KIND,
    RML_FIELD(INT_AS_FLOAT, "detect_negative", unary.param[0], .absent = 1),
    RML_FIELD(INT_AS_FLOAT, "detect_positive", unary.param[1], .absent = 1),
    {0}};

#define OF(title, list, which)                                                                     \
    {                                                                                              \
        .op_type = title, .op = RML_OP_UNARY, .fields = list, .option = RML_UNARY_##which          \
    }
#define UNARY(upper, lower, types, onnx) OF(onnx, unary, upper),
#define BY(title, handler, which)                                                                  \
    {                                                                                              \
        .op_type = title, .import = handler, .option = RML_BINARY_##which                          \
    }
#define BINARY(upper, lower, types, onnx) BY(onnx, import_binary, upper),
#define MANY(title, which) BY(title, import_many, which)

// ---- functions that other operators end with ----------------------------------------------------

rml_value_id rml_onnx_activate(rml_onnx_call *call, rml_value_id x, const char *name,
                               const float *param, size_t count)
{
    static const struct {
        const char *name;
        rml_unary kind;
        size_t params;
        double param[2]; // where none are given
    } functions[] = {
        {"Relu", RML_UNARY_CLAMP, 0, {0, INFINITY}},
        {"Clip", RML_UNARY_CLAMP, 2, {-FLT_MAX, FLT_MAX}},
        {"LeakyRelu", RML_UNARY_LEAKY_RELU, 1, {0.01f, 0}},
        {"Sigmoid", RML_UNARY_SIGMOID, 0, {0, 0}},
        {"Tanh", RML_UNARY_TANH, 0, {0, 0}},
        {"HardSigmoid", RML_UNARY_HARD_SIGMOID, 2, {0.2f, 0.5}},
        {"HardSwish", RML_UNARY_HARD_SWISH, 0, {0, 0}},
        {"Elu", RML_UNARY_ELU, 1, {1, 0}},
        {"Selu", RML_UNARY_SELU, 2, {1.67326319217681884765625f, 1.05070102214813232421875f}},
        {"Softplus", RML_UNARY_SOFTPLUS, 0, {0, 0}},
        {"Softsign", RML_UNARY_SOFTSIGN, 0, {0, 0}},
        {"ThresholdedRelu", RML_UNARY_THRESHOLDED_RELU, 1, {1, 0}},
    };
    if (!name || !*name)
        return x;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].name, name) == 0) {
            double p[2] = {functions[i].param[0], functions[i].param[1]};
            for (size_t k = 0; k < functions[i].params && k < count; k++)
                p[k] = (double)param[k];
            return unary_of(call, x, functions[i].kind, p[0], p[1]);
        }
    rml_onnx_refuse(call, "activation \"%.40s\" is not supported", name);
    return RML_NO_VALUE;
}

const rml_onnx_entry rml_onnx_elementwise[] = {
#include "kernels/functions.inc"
    OF("Celu", alpha, CELU),
    OF("Elu", alpha, ELU),
    OF("HardSigmoid", hard_sigmoid, HARD_SIGMOID),
    OF("IsInf", is_inf, IS_INF),
    OF("LeakyRelu", leaky_relu, LEAKY_RELU),
    OF("Relu", relu, CLAMP),
    OF("Shrink", shrink, SHRINK),
    OF("ThresholdedRelu", alpha, THRESHOLDED_RELU),
    MANY("Max", MAX),
    MANY("Mean", ADD),
    MANY("Min", MIN),
    MANY("Sum", ADD),
    OF("com.microsoft.QuickGelu", quick_gelu, SWISH),
    OF("com.microsoft.Gelu", unary, GELU),
    {.op_type = "com.microsoft.BiasGelu", .import = import_bias_gelu, .option = RML_UNARY_GELU},
    {.op_type = "com.microsoft.FastGelu",
     .import = import_bias_gelu,
     .option = RML_UNARY_GELU_TANH},
    {.op_type = "Selu", .import = import_selu},
    {.op_type = "BitShift", .import = import_shift},
    {.op_type = "Cast", .import = import_cast, .stand_ins = RML_STAND_INS_READ},
    {.op_type = "CastLike", .import = import_cast},
    {.op_type = "Clip", .import = import_clip},
    {.op_type = "Dropout", .import = import_dropout},
    {.op_type = "Gelu", .import = import_gelu},
    {.op_type = "Mod", .import = import_mod},
    {.op_type = "PRelu", .import = import_prelu},
    {.op_type = "SwiGLU", .import = import_swiglu},
    {.op_type = "Swish", .import = import_swish},
    {.op_type = NULL},
};
