// Elementwise operations.
#include "loaders/coreml/mil_handler.h"

#include "tensor/dtype.h"

#include <string.h>

static void import_unary(rml_mil_call *call)
{
    call->out[0] =
        rml_coreml_unary(&call->make, (rml_unary)call->option, rml_mil_in(call, "x"), 0, 0);
}

static void import_binary(rml_mil_call *call)
{
    call->out[0] = rml_coreml_binary(&call->make, (rml_binary)call->option, rml_mil_in(call, "x"),
                                     rml_mil_in(call, "y"));
}

static void import_not_equal(rml_mil_call *call)
{
    const rml_value_id same = rml_coreml_binary(&call->make, RML_BINARY_EQUAL,
                                                rml_mil_in(call, "x"), rml_mil_in(call, "y"));
    call->out[0] = rml_coreml_unary(&call->make, RML_UNARY_NOT, same, 0, 0);
}

// Rounded down, and of integers, whose quotient is cut, too.
static void import_floor_div(rml_mil_call *call)
{
    rml_value_id x = rml_mil_in(call, "x");
    const rml_value_id y = rml_mil_in(call, "y");
    const rml_dtype dtype = rml_coreml_fact(&call->make, x).dtype;
    if (!rml_dtype_is_float(dtype))
        x = rml_coreml_binary(&call->make, RML_BINARY_SUB, x,
                              rml_coreml_binary(&call->make, RML_BINARY_MOD, x, y));
    const rml_value_id quotient = rml_coreml_binary(&call->make, RML_BINARY_DIV, x, y);
    call->out[0] = rml_dtype_is_float(dtype)
                       ? rml_coreml_unary(&call->make, RML_UNARY_FLOOR, quotient, 0, 0)
                       : quotient;
}

// Functions of x + epsilon.
static void import_with_epsilon(rml_mil_call *call)
{
    static const double defaults[] = {[0] = 1e-4, [1] = 1e-45, [2] = 1e-12};
    static const rml_unary kinds[] = {RML_UNARY_RECIPROCAL, RML_UNARY_LOG, RML_UNARY_SQRT};
    rml_value_id x = rml_mil_in(call, "x");
    const double epsilon = rml_mil_float(call, "epsilon", defaults[call->option]);
    if (epsilon != 0)
        x = rml_coreml_binary(&call->make, RML_BINARY_ADD, x,
                              rml_coreml_number_like(&call->make, x, epsilon));
    x = rml_coreml_unary(&call->make, kinds[call->option], x, 0, 0);
    call->out[0] =
        call->option == 2 ? rml_coreml_unary(&call->make, RML_UNARY_RECIPROCAL, x, 0, 0) : x;
}

static void import_exp2(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    call->out[0] = rml_coreml_binary(&call->make, RML_BINARY_POW,
                                     rml_coreml_number_like(&call->make, x, 2), x);
}

static void import_square(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    call->out[0] = rml_coreml_binary(&call->make, RML_BINARY_MUL, x, x);
}

static void import_cast(rml_mil_call *call)
{
    static const rml_dtype to[] = {RML_BOOL, RML_I32, RML_F32, RML_F32, RML_F32,
                                   RML_I8,   RML_U8,  RML_I16, RML_U16};
    const rml_value_id x = rml_mil_in(call, "x");
    const int dtype =
        rml_mil_word(call, "dtype", "bool int32 fp16 fp32 fp64 int8 uint8 int16 uint16", -1);
    if (dtype < 0)
        rml_coreml_refuse(&call->make, "it has no type to cast to");
    else
        call->out[0] = rml_coreml_cast(&call->make, x, to[dtype]);
}

static void import_select(rml_mil_call *call)
{
    const rml_value_id in[] = {rml_coreml_cast(&call->make, rml_mil_in(call, "cond"), RML_BOOL),
                               rml_mil_in(call, "a"), rml_mil_in(call, "b")};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_WHERE, NULL, in, 3);
}

static void import_identity(rml_mil_call *call)
{
    call->out[0] = rml_mil_in(call, "x");
}

#define OF(name, which)                                                                            \
    {                                                                                              \
        name, import_unary, RML_UNARY_##which                                                      \
    }
#define BY(name, which)                                                                            \
    {                                                                                              \
        name, import_binary, RML_BINARY_##which                                                    \
    }

const rml_mil_entry rml_mil_elementwise[] = {
    OF("abs", ABS),
    OF("acos", ACOS),
    OF("asin", ASIN),
    OF("atan", ATAN),
    OF("atanh", ATANH),
    OF("ceil", CEIL),
    OF("cos", COS),
    OF("cosh", COSH),
    OF("erf", ERF),
    OF("exp", EXP),
    OF("floor", FLOOR),
    OF("logical_not", NOT),
    OF("round", ROUND),
    OF("sign", SIGN),
    OF("sin", SIN),
    OF("sinh", SINH),
    OF("sqrt", SQRT),
    OF("tan", TAN),
    BY("add", ADD),
    BY("sub", SUB),
    BY("mul", MUL),
    BY("real_div", DIV),
    BY("mod", MOD),
    BY("pow", POW),
    BY("maximum", MAX),
    BY("minimum", MIN),
    BY("equal", EQUAL),
    BY("greater", GREATER),
    BY("greater_equal", GREATER_EQUAL),
    BY("less", LESS),
    BY("less_equal", LESS_EQUAL),
    BY("logical_and", AND),
    BY("logical_or", OR),
    BY("logical_xor", XOR),
    {"not_equal", import_not_equal, 0},
    {"floor_div", import_floor_div, 0},
    {"inverse", import_with_epsilon, 0},
    {"log", import_with_epsilon, 1},
    {"rsqrt", import_with_epsilon, 2},
    {"exp2", import_exp2, 0},
    {"square", import_square, 0},
    {"cast", import_cast, 0},
    {"select", import_select, 0},
    {"identity", import_identity, 0},
    {0},
};
