// Elementwise layers. Truth is 1 or 0 here, like every other number.
#include "loaders/coreml/nn_handler.h"

#include <math.h>

static rml_value_id as_number(rml_nn_call *call, rml_value_id truth)
{
    return rml_coreml_cast(&call->make, truth, RML_F32);
}

static rml_value_id as_truth(rml_nn_call *call, rml_value_id number)
{
    return rml_coreml_cast(&call->make, number, RML_BOOL);
}

// ---- any number of operands ---------------------------------------------------------------------

static rml_value_id folded(rml_nn_call *call, rml_binary kind)
{
    rml_value_id out = rml_nn_in(call, 0);
    for (size_t i = 1; i < call->layer->input_count; i++)
        out = rml_coreml_binary(&call->make, kind, out, call->in[i]);
    return out;
}

// With one operand, the other is alpha.
static void import_add_multiply(rml_nn_call *call)
{
    const rml_binary kind = (rml_binary)call->option;
    call->out[0] =
        call->layer->input_count == 1
            ? rml_coreml_binary(&call->make, kind, rml_nn_in(call, 0),
                                rml_coreml_number(&call->make, rml_nn_float(call, 1), RML_F32))
            : folded(call, kind);
}

static void import_many(rml_nn_call *call)
{
    call->out[0] = folded(call, (rml_binary)call->option);
}

static void import_average(rml_nn_call *call)
{
    call->out[0] = rml_coreml_binary(
        &call->make, RML_BINARY_DIV, folded(call, RML_BINARY_ADD),
        rml_coreml_number(&call->make, (double)call->layer->input_count, RML_F32));
}

static void import_floor_div(rml_nn_call *call)
{
    call->out[0] =
        rml_coreml_unary(&call->make, RML_UNARY_FLOOR, folded(call, RML_BINARY_DIV), 0, 0);
}

// ---- comparisons --------------------------------------------------------------------------------

enum { NOT_EQUAL = 1000 }; // in the place of a binary function

// With one operand, the other is alpha, whose field has one of two numbers.
static void import_compare(rml_nn_call *call)
{
    const bool is_equality = call->option == RML_BINARY_EQUAL || call->option == NOT_EQUAL;
    const rml_value_id a = rml_nn_in(call, 0);
    const rml_value_id b =
        call->layer->input_count > 1
            ? call->in[1]
            : rml_coreml_number(&call->make, rml_nn_float(call, is_equality ? 1 : 2), RML_F32);
    rml_value_id out = rml_coreml_binary(
        &call->make, is_equality ? RML_BINARY_EQUAL : (rml_binary)call->option, a, b);
    if (call->option == NOT_EQUAL)
        out = rml_coreml_unary(&call->make, RML_UNARY_NOT, out, 0, 0);
    call->out[0] = as_number(call, out);
}

static void import_logical(rml_nn_call *call)
{
    const rml_value_id a = as_truth(call, rml_nn_in(call, 0));
    const rml_value_id b = as_truth(call, rml_nn_in(call, 1));
    call->out[0] = as_number(call, rml_coreml_binary(&call->make, (rml_binary)call->option, a, b));
}

static void import_not(rml_nn_call *call)
{
    call->out[0] = as_number(call, rml_coreml_unary(&call->make, RML_UNARY_NOT,
                                                    as_truth(call, rml_nn_in(call, 0)), 0, 0));
}

static void import_where(rml_nn_call *call)
{
    const rml_value_id in[] = {as_truth(call, rml_nn_in(call, 0)), rml_nn_in(call, 1),
                               rml_nn_in(call, 2)};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_WHERE, NULL, in, 3);
}

// ---- one operand --------------------------------------------------------------------------------

static void import_plain(rml_nn_call *call)
{
    call->out[0] = rml_coreml_unary(&call->make, (rml_unary)call->option, rml_nn_in(call, 0), 0, 0);
}

static void import_exp2(rml_nn_call *call)
{
    call->out[0] =
        rml_coreml_binary(&call->make, RML_BINARY_POW, rml_coreml_number(&call->make, 2, RML_F32),
                          rml_nn_in(call, 0));
}

// A function of scale * x + shift. A scale of 0 is one that is not given, and so is an epsilon.
static void import_unary(rml_nn_call *call)
{
    enum { SQRT, RSQRT, INVERSE, POWER, EXP, LOG, ABS, THRESHOLD };
    rml_value_id x = rml_nn_in(call, 0);
    const double alpha = rml_nn_float(call, 2), shift = rml_nn_float(call, 4);
    const double given = rml_nn_float(call, 3), scale = rml_nn_float(call, 5);
    const rml_value_id epsilon = rml_coreml_number(&call->make, given != 0 ? given : 1e-6, RML_F32);
    if (scale != 0 && scale != 1)
        x = rml_coreml_binary(&call->make, RML_BINARY_MUL, x,
                              rml_coreml_number(&call->make, scale, RML_F32));
    if (shift != 0)
        x = rml_coreml_binary(&call->make, RML_BINARY_ADD, x,
                              rml_coreml_number(&call->make, shift, RML_F32));
    switch (rml_nn_int(call, 1)) {
    case SQRT:
        call->out[0] = rml_coreml_unary(&call->make, RML_UNARY_SQRT, x, 0, 0);
        break;
    case RSQRT:
        x = rml_coreml_unary(&call->make, RML_UNARY_SQRT,
                             rml_coreml_binary(&call->make, RML_BINARY_ADD, x, epsilon), 0, 0);
        call->out[0] = rml_coreml_unary(&call->make, RML_UNARY_RECIPROCAL, x, 0, 0);
        break;
    case INVERSE:
        x = rml_coreml_binary(&call->make, RML_BINARY_ADD, x, epsilon);
        call->out[0] = rml_coreml_unary(&call->make, RML_UNARY_RECIPROCAL, x, 0, 0);
        break;
    case POWER:
        call->out[0] = rml_coreml_binary(&call->make, RML_BINARY_POW, x,
                                         rml_coreml_number(&call->make, alpha, RML_F32));
        break;
    case EXP:
        call->out[0] = rml_coreml_unary(&call->make, RML_UNARY_EXP, x, 0, 0);
        break;
    case LOG:
        call->out[0] = rml_coreml_unary(&call->make, RML_UNARY_LOG, x, 0, 0);
        break;
    case ABS:
        call->out[0] = rml_coreml_unary(&call->make, RML_UNARY_ABS, x, 0, 0);
        break;
    case THRESHOLD:
        call->out[0] = rml_coreml_unary(&call->make, RML_UNARY_CLAMP, x, alpha, INFINITY);
        break;
    default:
        rml_coreml_refuse(&call->make, "function %lld is not known",
                          (long long)rml_nn_int(call, 1));
    }
}

static void import_copy(rml_nn_call *call)
{
    call->out[0] = rml_nn_in(call, 0);
}

#define OF(number, name, which)                                                                    \
    {                                                                                              \
        number, name, import_plain, RML_UNARY_##which                                              \
    }
#define BY(number, name, which)                                                                    \
    {                                                                                              \
        number, name, import_many, RML_BINARY_##which                                              \
    }

const rml_nn_entry rml_nn_elementwise[] = {
    {230, "add", import_add_multiply, RML_BINARY_ADD},
    {231, "multiply", import_add_multiply, RML_BINARY_MUL},
    {240, "average", import_average, 0},
    BY(260, "max", MAX),
    BY(261, "min", MIN),
    BY(880, "addBroadcastable", ADD),
    BY(905, "subtractBroadcastable", SUB),
    BY(900, "multiplyBroadcastable", MUL),
    BY(890, "divideBroadcastable", DIV),
    BY(865, "modBroadcastable", MOD),
    BY(885, "powBroadcastable", POW),
    BY(875, "maxBroadcastable", MAX),
    BY(870, "minBroadcastable", MIN),
    {895, "floorDivBroadcastable", import_floor_div, 0},
    {815, "equal", import_compare, RML_BINARY_EQUAL},
    {820, "notEqual", import_compare, NOT_EQUAL},
    {825, "lessThan", import_compare, RML_BINARY_LESS},
    {827, "lessEqual", import_compare, RML_BINARY_LESS_EQUAL},
    {830, "greaterThan", import_compare, RML_BINARY_GREATER},
    {832, "greaterEqual", import_compare, RML_BINARY_GREATER_EQUAL},
    {840, "logicalOr", import_logical, RML_BINARY_OR},
    {845, "logicalXor", import_logical, RML_BINARY_XOR},
    {855, "logicalAnd", import_logical, RML_BINARY_AND},
    {850, "logicalNot", import_not, 0},
    {1330, "whereBroadcastable", import_where, 0},
    {220, "unary", import_unary, 0},
    {700, "exp2", import_exp2, 0},
    {600, "copy", import_copy, 0},
    OF(665, "ceil", CEIL),
    OF(670, "floor", FLOOR),
    OF(680, "sign", SIGN),
    OF(685, "round", ROUND),
    OF(710, "sin", SIN),
    OF(715, "cos", COS),
    OF(720, "tan", TAN),
    OF(730, "asin", ASIN),
    OF(735, "acos", ACOS),
    OF(740, "atan", ATAN),
    OF(750, "sinh", SINH),
    OF(755, "cosh", COSH),
    OF(760, "tanh", TANH),
    OF(770, "asinh", ASINH),
    OF(775, "acosh", ACOSH),
    OF(780, "atanh", ATANH),
    OF(790, "erf", ERF),
    {0},
};
