#include "ops/elementwise/functions.h"

#include "ops/elementwise/widen.h"

#include <math.h>

static const double half_pi_root = 0.7978845608028654; // sqrt(2 / pi)

// Types a function is defined for.
typedef enum domain { ANY, FLOAT, INTEGER, BOOL } domain;

typedef struct entry {
    const char *name;
    domain domain;
} entry;

static const entry unary[] = {
#define UNARY(upper, lower, types, onnx) [RML_UNARY_##upper] = {lower, types},
#include "kernels/functions.inc"
#undef UNARY
};

static const entry binary[] = {
#define BINARY(upper, lower, types, onnx) [RML_BINARY_##upper] = {lower, types},
#include "kernels/functions.inc"
#undef BINARY
};

static bool takes(domain types, rml_dtype dtype)
{
    const bool is_float = rml_dtype_is_float(dtype);
    return types == ANY || (types == FLOAT && is_float) || (types == INTEGER && !is_float) ||
           (types == BOOL && dtype == RML_BOOL);
}

const char *rml_unary_name(rml_unary kind)
{
    return unary[kind].name;
}

const char *rml_binary_name(rml_binary kind)
{
    return binary[kind].name;
}

bool rml_unary_takes(rml_unary kind, rml_dtype dtype)
{
    return takes(unary[kind].domain, dtype);
}

bool rml_binary_takes(rml_binary kind, rml_dtype dtype)
{
    return takes(binary[kind].domain, dtype);
}

// As the kernel: raises first, so that a low above high gives high.
static double clamp(double x, double low, double high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

double rml_unary_f64(const rml_activation *function, double x)
{
    const double p = (double)function->param[0], q = (double)function->param[1];
    static double (*const plain[RML_UNARY_COUNT])(double) = {
        [RML_UNARY_ABS] = fabs,         [RML_UNARY_FLOOR] = floor, [RML_UNARY_CEIL] = ceil,
        [RML_UNARY_ROUND] = nearbyint,  [RML_UNARY_SQRT] = sqrt,   [RML_UNARY_EXP] = exp,
        [RML_UNARY_LOG] = log,          [RML_UNARY_SIN] = sin,     [RML_UNARY_COS] = cos,
        [RML_UNARY_TAN] = tan,          [RML_UNARY_ASIN] = asin,   [RML_UNARY_ACOS] = acos,
        [RML_UNARY_ATAN] = atan,        [RML_UNARY_SINH] = sinh,   [RML_UNARY_COSH] = cosh,
        [RML_UNARY_TANH] = tanh,        [RML_UNARY_ASINH] = asinh, [RML_UNARY_ACOSH] = acosh,
        [RML_UNARY_ATANH] = atanh,      [RML_UNARY_ERF] = erf,     [RML_UNARY_SIGMOID] = sigmoid,
        [RML_UNARY_SOFTPLUS] = softplus};
    if (plain[function->kind]) // ROUND: half to even
        return plain[function->kind](x);
    switch (function->kind) {
    case RML_UNARY_NEG:
        return -x;
    case RML_UNARY_SIGN:
        return isnan(x) ? x : (x > 0) - (x < 0);
    case RML_UNARY_CLAMP:
        return clamp(x, p, q);
    case RML_UNARY_SHRINK:
        return x < -q ? x + p : x > q ? x - p : 0;
    case RML_UNARY_RECIPROCAL:
        return 1 / x;
    case RML_UNARY_SOFTSIGN:
        return x / (1 + fabs(x));
    case RML_UNARY_LEAKY_RELU:
        return x < 0 ? p * x : x;
    case RML_UNARY_THRESHOLDED_RELU:
        return x > p ? x : 0;
    case RML_UNARY_ELU:
        return x < 0 ? p * expm1(x) : x;
    case RML_UNARY_CELU:
        return x < 0 ? p * expm1(x / p) : x;
    case RML_UNARY_SELU:
        return q * (x > 0 ? x : p * expm1(x));
    case RML_UNARY_HARD_SIGMOID:
        return clamp(p * x + q, 0, 1);
    case RML_UNARY_HARD_SWISH:
        return x * clamp(x / 6 + 0.5, 0, 1);
    case RML_UNARY_SILU:
        return x * sigmoid(x);
    case RML_UNARY_SQUARE:
        return x * x;
    case RML_UNARY_SWISH:
        return x * sigmoid(p * x);
    case RML_UNARY_MISH:
        return x * tanh(softplus(x));
    case RML_UNARY_GELU:
        return 0.5 * x * (1 + erf(x * 0.7071067811865476));
    case RML_UNARY_GELU_TANH:
        return 0.5 * x * (1 + tanh(half_pi_root * (x + 0.044715 * x * x * x)));
    case RML_UNARY_IS_NAN:
        return isnan(x) ? 1 : 0;
    case RML_UNARY_IS_INF:
        return (isinf(x) && (x < 0 ? p != 0 : q != 0)) ? 1 : 0;
    default:
        return x;
    }
}

int64_t rml_unary_i64(const rml_activation *function, int64_t x, bool is_unsigned)
{
    const double wide = is_unsigned ? (double)(uint64_t)x : (double)x;
    switch (function->kind) {
    case RML_UNARY_ABS:
        return is_unsigned || x >= 0 ? x : (int64_t)(0 - (uint64_t)x);
    case RML_UNARY_NEG:
        return (int64_t)(0 - (uint64_t)x);
    case RML_UNARY_SIGN:
        return is_unsigned ? x != 0 : (x > 0) - (x < 0);
    case RML_UNARY_NOT:
        return !x;
    case RML_UNARY_BIT_NOT:
        return ~x;
    case RML_UNARY_CLAMP:
    case RML_UNARY_SHRINK: {
        const double y = rml_unary_f64(function, wide);
        if (y != wide) // doubles do not hold every x
            rml_dtype_convert(RML_F64, &y, is_unsigned ? RML_U64 : RML_I64, &x, 1);
        return x;
    }
    default:
        return x; // floor, round and the like leave integers as they are
    }
}

// ---- two operands -------------------------------------------------------------------------------

double rml_binary_f64(rml_binary kind, double a, double b)
{
    switch (kind) {
    case RML_BINARY_ADD:
        return a + b;
    case RML_BINARY_SUB:
        return a - b;
    case RML_BINARY_MUL:
        return a * b;
    case RML_BINARY_DIV:
        return a / b;
    case RML_BINARY_POW:
        return pow(a, b);
    case RML_BINARY_MAX:
        return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    case RML_BINARY_MIN:
        return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    case RML_BINARY_FMOD:
        return fmod(a, b);
    case RML_BINARY_MOD: {
        const double rest = fmod(a, b); // the sign is the divisor's
        return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
    }
    case RML_BINARY_PRELU:
        return a < 0 ? a * b : a;
    default:
        return 0;
    }
}

static int64_t power(int64_t base, int64_t exponent, bool is_unsigned)
{
    uint64_t result = 1, factor = (uint64_t)base, left = (uint64_t)exponent;
    if (exponent < 0 && !is_unsigned)
        return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
    for (; left; left >>= 1, factor *= factor)
        if (left & 1)
            result *= factor;
    return (int64_t)result;
}

// The quotient cut towards zero, and the rest. What C leaves undefined gives 0.
static int64_t divide(int64_t a, int64_t b, bool is_unsigned, int64_t *rest)
{
    *rest = 0;
    if (b == 0)
        return 0;
    if (is_unsigned) {
        *rest = (int64_t)((uint64_t)a % (uint64_t)b);
        return (int64_t)((uint64_t)a / (uint64_t)b);
    }
    if (b == -1)
        return (int64_t)(0 - (uint64_t)a);
    *rest = a % b;
    return a / b;
}

int64_t rml_binary_i64(rml_binary kind, int64_t a, int64_t b, bool is_unsigned, int bits)
{
    const uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
    int64_t rest;
    switch (kind) {
    case RML_BINARY_ADD:
        return (int64_t)(ua + ub);
    case RML_BINARY_SUB:
        return (int64_t)(ua - ub);
    case RML_BINARY_MUL:
        return (int64_t)(ua * ub);
    case RML_BINARY_DIV:
        return divide(a, b, is_unsigned, &rest);
    case RML_BINARY_POW:
        return power(a, b, is_unsigned);
    case RML_BINARY_MAX:
        return (is_unsigned ? ua > ub : a > b) ? a : b;
    case RML_BINARY_MIN:
        return (is_unsigned ? ua < ub : a < b) ? a : b;
    case RML_BINARY_FMOD:
        divide(a, b, is_unsigned, &rest);
        return rest;
    case RML_BINARY_MOD:
        divide(a, b, is_unsigned, &rest);
        return rest != 0 && !is_unsigned && (rest < 0) != (b < 0) ? rest + b : rest;
    case RML_BINARY_PRELU:
        return is_unsigned || a >= 0 ? a : (int64_t)(ua * ub);
    case RML_BINARY_BIT_AND:
        return a & b;
    case RML_BINARY_BIT_OR:
        return a | b;
    case RML_BINARY_BIT_XOR:
        return a ^ b;
    case RML_BINARY_SHIFT_LEFT:
        return ub >= (uint64_t)bits ? 0 : (int64_t)(ua << ub);
    case RML_BINARY_SHIFT_RIGHT:
        if (!is_unsigned && a < 0) // -1 stays behind
            return ub >= (uint64_t)bits ? -1 : (int64_t) ~(~ua >> ub);
        return ub >= (uint64_t)bits ? 0 : (int64_t)(ua >> ub);
    default:
        return 0;
    }
}

bool rml_compare_f64(rml_binary kind, double a, double b)
{
    switch (kind) {
    case RML_BINARY_EQUAL:
        return a == b;
    case RML_BINARY_LESS:
        return a < b;
    case RML_BINARY_LESS_EQUAL:
        return a <= b;
    case RML_BINARY_GREATER:
        return a > b;
    default:
        return a >= b;
    }
}

bool rml_compare_i64(rml_binary kind, int64_t a, int64_t b, bool is_unsigned)
{
    const int order =
        is_unsigned ? ((uint64_t)a > (uint64_t)b) - ((uint64_t)a < (uint64_t)b) : (a > b) - (a < b);
    switch (kind) {
    case RML_BINARY_EQUAL:
        return order == 0;
    case RML_BINARY_LESS:
        return order < 0;
    case RML_BINARY_LESS_EQUAL:
        return order <= 0;
    case RML_BINARY_GREATER:
        return order > 0;
    case RML_BINARY_GREATER_EQUAL:
        return order >= 0;
    case RML_BINARY_AND:
        return a && b;
    case RML_BINARY_OR:
        return a || b;
    default:
        return !a != !b;
    }
}
