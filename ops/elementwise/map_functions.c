#include "ops/elementwise/map.h"

#include <math.h>

static const double half_pi_root = 0.7978845608028654; // sqrt(2 / pi)

const char *rml_map_name(rml_map kind)
{
    static const char *const names[RML_MAP_COUNT] = {
#define MAP(upper, lower) [RML_MAP_##upper] = lower,
#include "ops/elementwise/map.inc"
#undef MAP
    };
    return names[kind];
}

const char *rml_zip_name(rml_zip kind)
{
    static const char *const names[RML_ZIP_COUNT] = {
#define ZIP(upper, lower) [RML_ZIP_##upper] = lower,
#include "ops/elementwise/map.inc"
#undef ZIP
    };
    return names[kind];
}

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

// Parameters are named p and q; ONNX's defaults are the importer's matter.
double rml_map_f64(const rml_map_attr *map, double x)
{
    const double p = map->param[0], q = map->param[1];
    switch (map->kind) {
    case RML_MAP_ABS:
        return fabs(x);
    case RML_MAP_NEG:
        return -x;
    case RML_MAP_SIGN:
        return isnan(x) ? x : (x > 0) - (x < 0);
    case RML_MAP_CLAMP:
        return clamp(x, p, q);
    case RML_MAP_SHRINK:
        return x < -q ? x + p : x > q ? x - p : 0;
    case RML_MAP_FLOOR:
        return floor(x);
    case RML_MAP_CEIL:
        return ceil(x);
    case RML_MAP_ROUND:
        return nearbyint(x); // half to even
    case RML_MAP_SQRT:
        return sqrt(x);
    case RML_MAP_EXP:
        return exp(x);
    case RML_MAP_LOG:
        return log(x);
    case RML_MAP_SIN:
        return sin(x);
    case RML_MAP_COS:
        return cos(x);
    case RML_MAP_TAN:
        return tan(x);
    case RML_MAP_ASIN:
        return asin(x);
    case RML_MAP_ACOS:
        return acos(x);
    case RML_MAP_ATAN:
        return atan(x);
    case RML_MAP_SINH:
        return sinh(x);
    case RML_MAP_COSH:
        return cosh(x);
    case RML_MAP_TANH:
        return tanh(x);
    case RML_MAP_ASINH:
        return asinh(x);
    case RML_MAP_ACOSH:
        return acosh(x);
    case RML_MAP_ATANH:
        return atanh(x);
    case RML_MAP_ERF:
        return erf(x);
    case RML_MAP_RECIPROCAL:
        return 1 / x;
    case RML_MAP_SIGMOID:
        return sigmoid(x);
    case RML_MAP_SOFTPLUS:
        return softplus(x);
    case RML_MAP_SOFTSIGN:
        return x / (1 + fabs(x));
    case RML_MAP_RELU:
        return x < 0 ? 0 : x;
    case RML_MAP_LEAKY_RELU:
        return x < 0 ? p * x : x;
    case RML_MAP_THRESHOLDED_RELU:
        return x > p ? x : 0;
    case RML_MAP_ELU:
        return x < 0 ? p * expm1(x) : x;
    case RML_MAP_CELU:
        return x < 0 ? p * expm1(x / p) : x;
    case RML_MAP_SELU:
        return q * (x > 0 ? x : p * expm1(x));
    case RML_MAP_HARD_SIGMOID:
        return clamp(p * x + q, 0, 1);
    case RML_MAP_HARD_SWISH:
        return x * clamp(x / 6 + 0.5, 0, 1);
    case RML_MAP_SWISH:
        return x * sigmoid(p * x);
    case RML_MAP_MISH:
        return x * tanh(softplus(x));
    case RML_MAP_GELU:
        return 0.5 * x * (1 + erf(x * 0.7071067811865476));
    case RML_MAP_GELU_TANH:
        return 0.5 * x * (1 + tanh(half_pi_root * (x + 0.044715 * x * x * x)));
    case RML_MAP_IS_NAN:
        return isnan(x) ? 1 : 0;
    case RML_MAP_IS_INF:
        return (isinf(x) && (x < 0 ? p != 0 : q != 0)) ? 1 : 0;
    case RML_MAP_NOT:
    case RML_MAP_BIT_NOT:
    case RML_MAP_COUNT:
        break;
    }
    return x;
}

int64_t rml_map_i64(const rml_map_attr *map, int64_t x, bool is_unsigned)
{
    switch (map->kind) {
    case RML_MAP_ABS:
        return is_unsigned || x >= 0 ? x : (int64_t)(0 - (uint64_t)x);
    case RML_MAP_NEG:
        return (int64_t)(0 - (uint64_t)x);
    case RML_MAP_SIGN:
        return is_unsigned ? x != 0 : (x > 0) - (x < 0);
    case RML_MAP_RELU:
        return is_unsigned || x > 0 ? x : 0;
    case RML_MAP_NOT:
        return !x;
    case RML_MAP_BIT_NOT:
        return ~x;
    case RML_MAP_CLAMP:
    case RML_MAP_SHRINK:
        return (int64_t)rml_map_f64(map, is_unsigned ? (double)(uint64_t)x : (double)x);
    default:
        return x; // floor, round and the like leave integers as they are
    }
}

// ---- two operands -------------------------------------------------------------------------------

double rml_zip_f64(rml_zip kind, double a, double b)
{
    switch (kind) {
    case RML_ZIP_ADD:
        return a + b;
    case RML_ZIP_SUB:
        return a - b;
    case RML_ZIP_MUL:
        return a * b;
    case RML_ZIP_DIV:
        return a / b;
    case RML_ZIP_POW:
        return pow(a, b);
    case RML_ZIP_MAX:
        return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    case RML_ZIP_MIN:
        return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    case RML_ZIP_FMOD:
        return fmod(a, b);
    case RML_ZIP_MOD: {
        const double rest = fmod(a, b); // the sign is the divisor's
        return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
    }
    case RML_ZIP_PRELU:
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

int64_t rml_zip_i64(rml_zip kind, int64_t a, int64_t b, bool is_unsigned, int bits)
{
    const uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
    int64_t rest;
    switch (kind) {
    case RML_ZIP_ADD:
        return (int64_t)(ua + ub);
    case RML_ZIP_SUB:
        return (int64_t)(ua - ub);
    case RML_ZIP_MUL:
        return (int64_t)(ua * ub);
    case RML_ZIP_DIV:
        return divide(a, b, is_unsigned, &rest);
    case RML_ZIP_POW:
        return power(a, b, is_unsigned);
    case RML_ZIP_MAX:
        return (is_unsigned ? ua > ub : a > b) ? a : b;
    case RML_ZIP_MIN:
        return (is_unsigned ? ua < ub : a < b) ? a : b;
    case RML_ZIP_FMOD:
        divide(a, b, is_unsigned, &rest);
        return rest;
    case RML_ZIP_MOD:
        divide(a, b, is_unsigned, &rest);
        return rest != 0 && !is_unsigned && (rest < 0) != (b < 0) ? rest + b : rest;
    case RML_ZIP_PRELU:
        return is_unsigned || a >= 0 ? a : (int64_t)(ua * ub);
    case RML_ZIP_BIT_AND:
        return a & b;
    case RML_ZIP_BIT_OR:
        return a | b;
    case RML_ZIP_BIT_XOR:
        return a ^ b;
    case RML_ZIP_SHIFT_LEFT:
        return ub >= (uint64_t)bits ? 0 : (int64_t)(ua << ub);
    case RML_ZIP_SHIFT_RIGHT:
        if (!is_unsigned && a < 0) // -1 stays behind
            return ub >= (uint64_t)bits ? -1 : (int64_t) ~(~ua >> ub);
        return ub >= (uint64_t)bits ? 0 : (int64_t)(ua >> ub);
    default:
        return 0;
    }
}

bool rml_compare_f64(rml_zip kind, double a, double b)
{
    switch (kind) {
    case RML_ZIP_EQUAL:
        return a == b;
    case RML_ZIP_LESS:
        return a < b;
    case RML_ZIP_LESS_EQUAL:
        return a <= b;
    case RML_ZIP_GREATER:
        return a > b;
    default:
        return a >= b;
    }
}

bool rml_compare_i64(rml_zip kind, int64_t a, int64_t b, bool is_unsigned)
{
    const int order =
        is_unsigned ? ((uint64_t)a > (uint64_t)b) - ((uint64_t)a < (uint64_t)b) : (a > b) - (a < b);
    switch (kind) {
    case RML_ZIP_EQUAL:
        return order == 0;
    case RML_ZIP_LESS:
        return order < 0;
    case RML_ZIP_LESS_EQUAL:
        return order <= 0;
    case RML_ZIP_GREATER:
        return order > 0;
    case RML_ZIP_GREATER_EQUAL:
        return order >= 0;
    case RML_ZIP_AND:
        return a && b;
    case RML_ZIP_OR:
        return a || b;
    default:
        return !a != !b;
    }
}
