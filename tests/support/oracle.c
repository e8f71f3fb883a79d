#include "tests/support/oracle.h"

#include "kernels/winograd.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define SQRT_2_BY_PI 0.79788456080286535588

void oracle_add(oracle_sum *sum, double term)
{
    sum->value += term;
    sum->magnitude += isfinite(term) ? fabs(term) : 0.0;
    sum->terms++;
}

oracle_value oracle_sum_value(const oracle_sum *sum)
{
    double roundings = (double)sum->terms + 2.0;
    return (oracle_value){
        .want = sum->value,
        .bound = roundings * (ORACLE_U * sum->magnitude + ORACLE_DENORMAL),
        .any = sum->magnitude > FLT_MAX,
    };
}

oracle_value oracle_clamp(oracle_value v, double low, double high)
{
    v.want = v.want < low ? low : v.want; // NaN passes
    v.want = v.want > high ? high : v.want;
    return v;
}

bool oracle_accepts(float got, oracle_value v)
{
    if (v.any)
        return true;
    if (isnan(v.want))
        return isnan(got);
    if (isnan(got))
        return false;
    if (fabs(v.want) > (double)FLT_MAX * (1.0 + ORACLE_U))
        return isinf(got) ? (got > 0) == (v.want > 0)
                          : !isinf(v.want) && fabs((double)got - v.want) <= v.bound;
    if (isinf(got))
        return fabs(v.want) + v.bound > FLT_MAX && (got > 0) == (v.want > 0);
    return fabs((double)got - v.want) <= v.bound;
}

double oracle_ulp(double want)
{
    if (!isfinite(want))
        return 0.0;
    int exponent;
    frexp(fabs(want), &exponent);
    if (want == 0.0 || exponent < FLT_MIN_EXP)
        exponent = FLT_MIN_EXP;
    return ldexp(1.0, exponent - FLT_MANT_DIG);
}

oracle_value oracle_gemm(const rml_gemm_tile *tile, size_t mr, const float *b, size_t b_pitch,
                         size_t i, size_t n, float residual)
{
    oracle_sum sum = {0};
    for (size_t t = 0; t < tile->taps; t++) {
        const float *a = tile->a[t * mr + i];
        for (size_t k = 0; k < tile->depth; k++)
            oracle_add(&sum, (double)a[k] * b[(t * tile->depth + k) * b_pitch + n]);
    }
    if (tile->bias)
        oracle_add(&sum, tile->bias[n]);
    if (tile->row_bias)
        oracle_add(&sum, tile->row_bias[i]);
    if (tile->residual)
        oracle_add(&sum, residual);
    return oracle_clamp(oracle_sum_value(&sum), tile->low, tile->high);
}

// Errors in ULP of the result; 0.5 is correct rounding, 0 the exact bits.
static const double unary_ulp[RML_UNARY_KERNELS] = {
    [RML_UNARY_LEAKY_RELU] = 0.5,   [RML_UNARY_SIGMOID] = 2.5,    [RML_UNARY_TANH] = 2.5,
    [RML_UNARY_EXP] = 1.5,          [RML_UNARY_SILU] = 3.5,       [RML_UNARY_ELU] = 3.0,
    [RML_UNARY_SQRT] = 0.5,         [RML_UNARY_SQUARE] = 0.5,     [RML_UNARY_GELU_TANH] = 3.5,
    [RML_UNARY_ERF] = 1.5,          [RML_UNARY_SOFTSIGN] = 1.5,   [RML_UNARY_LOG] = 1.5,
    [RML_UNARY_CELU] = 4.0,         [RML_UNARY_SELU] = 4.0,       [RML_UNARY_SWISH] = 3.5,
    [RML_UNARY_SOFTPLUS] = 3.5,     [RML_UNARY_MISH] = 5.0,       [RML_UNARY_ATAN] = 2.0,
    [RML_UNARY_HARD_SIGMOID] = 0.5, [RML_UNARY_HARD_SWISH] = 1.5,
};

bool oracle_unary_exact(rml_unary op)
{
    return op == RML_UNARY_CLAMP || op == RML_UNARY_ABS || op == RML_UNARY_NEG ||
           op == RML_UNARY_SIGN || op == RML_UNARY_FLOOR || op == RML_UNARY_CEIL ||
           op == RML_UNARY_ROUND || op == RML_UNARY_THRESHOLDED_RELU;
}

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

// max(0, min(1, x)), NaN as it is.
static double cut_to_one(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

// The activations that networks have beside the usual ones, and functions that need no more.
static double want_more(rml_unary op, double x, const float *param, double *extra)
{
    const double p = param[0], q = param[1];
    switch (op) {
    case RML_UNARY_HARD_SIGMOID: // the product and the sum are rounded
        *extra = isfinite(x) ? 2 * ORACLE_U * (fabs(p * x) + fabs(q)) : 0;
        return cut_to_one(x * p + q);
    case RML_UNARY_HARD_SWISH:
        *extra = fabs(x) < 4 ? 2 * ORACLE_U * fabs(x) : 0;
        return x * cut_to_one(x / 6 + 0.5);
    case RML_UNARY_THRESHOLDED_RELU:
        return x > p ? x : 0;
    case RML_UNARY_SOFTSIGN:
        return x / (1 + fabs(x));
    case RML_UNARY_SIGN:
        return isnan(x) ? x : (x > 0) - (x < 0);
    case RML_UNARY_FLOOR:
        return floor(x);
    case RML_UNARY_CEIL:
        return ceil(x);
    case RML_UNARY_ROUND:
        return nearbyint(x);
    case RML_UNARY_CELU:
        return x < 0 ? p * expm1(x / p) : x;
    case RML_UNARY_SELU:
        return q * (x > 0 ? x : p * expm1(x));
    case RML_UNARY_SWISH:
        *extra =
            isfinite(x) ? 2 * ORACLE_U * fabs(p * x * x * sigmoid(p * x)) * sigmoid(-p * x) : 0;
        *extra += fabs(x) * ORACLE_DENORMAL; // where the sigmoid is denormal
        return x == -INFINITY && p > 0 ? NAN : x * sigmoid(p * x);
    case RML_UNARY_LOG:
        return log(x);
    case RML_UNARY_SOFTPLUS:
        return softplus(x);
    case RML_UNARY_MISH:
        *extra = isfinite(x) && x < 0 ? 2 * fabs(x) * ORACLE_DENORMAL : 0; // of the exponential
        return x * tanh(softplus(x));
    case RML_UNARY_ATAN:
        return atan(x);
    default:
        return NAN;
    }
}

oracle_value oracle_unary(rml_unary op, float value, const float *param)
{
    double x = value, want = NAN, extra = 0.0;
    switch (op) {
    case RML_UNARY_CLAMP:
        want = oracle_clamp((oracle_value){.want = x}, param[0], param[1]).want;
        break;
    case RML_UNARY_LEAKY_RELU:
        want = x < 0 ? x * param[0] : x;
        break;
    case RML_UNARY_SIGMOID:
        want = sigmoid(x);
        break;
    case RML_UNARY_TANH:
        want = tanh(x);
        break;
    case RML_UNARY_EXP:
        want = exp(x);
        break;
    case RML_UNARY_SILU:
        want = x == -INFINITY ? NAN : x * sigmoid(x); // -inf * 0, as torch
        extra = fabs(x) * ORACLE_DENORMAL;            // where the sigmoid is denormal
        break;
    case RML_UNARY_GELU:
        // The formula with erf is the definition; below zero it cancels, so the error is of |x|.
        want = x == -INFINITY ? NAN : 0.5 * x * (1.0 + erf(x * 0.70710678118654752440));
        extra = isinf(x) ? 0.0 : 4.0 * ORACLE_U * fabs(x) * (fabs(want) > 0.25 ? 1.0 : 0.5);
        extra += ORACLE_DENORMAL;
        break;
    case RML_UNARY_ERF:
        want = erf(x);
        break;
    case RML_UNARY_GELU_TANH: {
        // The argument of the sigmoid has four roundings, and the sigmoid's own slope is s (1 - s).
        const double t = 2.0 * SQRT_2_BY_PI * (x + 0.044715 * x * x * x);
        want = x == -INFINITY ? NAN : x * sigmoid(t);
        extra = isfinite(t) ? 4.0 * ORACLE_U * fabs(t * want) * sigmoid(-t) : 0.0;
        extra += (1.0 + fabs(x)) * ORACLE_DENORMAL; // where the sigmoid is denormal
        break;
    }
    case RML_UNARY_ELU:
        want = x > 0 ? x : param[0] * expm1(x);
        break;
    case RML_UNARY_ABS:
        want = fabs(x);
        break;
    case RML_UNARY_NEG:
        want = -x;
        break;
    case RML_UNARY_SQRT:
        want = sqrt(x);
        break;
    case RML_UNARY_SQUARE:
        want = x * x;
        break;
    default:
        want = want_more(op, x, param, &extra);
        break;
    }
    return (oracle_value){.want = want, .bound = unary_ulp[op] * oracle_ulp(want) + extra};
}

oracle_value oracle_binary(rml_binary op, float x, float y)
{
    double a = x, b = y, want = NAN;
    switch (op) {
    case RML_BINARY_ADD:
        want = a + b;
        break;
    case RML_BINARY_SUB:
        want = a - b;
        break;
    case RML_BINARY_MUL:
        want = a * b;
        break;
    case RML_BINARY_DIV:
        want = a / b;
        break;
    case RML_BINARY_MAX:
        return (oracle_value){.want = isnan(a) || isnan(b) ? NAN : a > b ? a : b};
    case RML_BINARY_MIN:
        return (oracle_value){.want = isnan(a) || isnan(b) ? NAN : a < b ? a : b};
    default:
        break;
    }
    return (oracle_value){.want = want, .bound = 0.5 * oracle_ulp(want)};
}

void oracle_softmax(const float *src, size_t count, bool logarithm, oracle_value *out)
{
    double top = -INFINITY, sum = 0.0, spread = 0.0;
    for (size_t i = 0; i < count; i++)
        top = isnan(src[i]) || src[i] > top ? src[i] : top;
    for (size_t i = 0; i < count; i++) {
        out[i].any = false;
        out[i].want = exp(src[i] - top);
        sum += out[i].want;
        if (out[i].want > 0)
            spread += out[i].want * (top - src[i]);
    }
    // The rounding of x - top grows into a relative error of |x - top| U; exp errs by 1.5 ULP = 3
    // U.
    spread /= sum;
    for (size_t i = 0; i < count && logarithm; i++) {
        const double away = src[i] - top, shift = log(sum);
        out[i].want = away - shift;
        out[i].bound = ORACLE_U * (fabs(away) + fabs(out[i].want) + 2.0 * shift + spread + 8.0 +
                                   (double)count);
    }
    for (size_t i = 0; i < count && !logarithm; i++) {
        double own = out[i].want > 0 ? top - src[i] : 0.0;
        out[i].want /= sum;
        out[i].bound =
            ORACLE_U * (own + spread + 8.0 + (double)count) * out[i].want + 2.0 * ORACLE_DENORMAL;
    }
}

void oracle_l2norm(const float *src, const float *scale, float eps, size_t count, oracle_value *out)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += (double)src[i] * src[i];
    double norm = sqrt(sum) + eps;
    for (size_t i = 0; i < count; i++) {
        out[i].any = isfinite(sum) && sum > FLT_MAX; // of squares
        out[i].want = src[i] / norm * (scale ? scale[i] : 1.0);
        out[i].bound = ORACLE_U * ((double)count / 2.0 + 6.0) * fabs(out[i].want) + ORACLE_DENORMAL;
    }
}

// In each pass at most `chain` roundings lead from an element to the sum. A mean that is off by
// `shift` moves every result by as much and, because the deviations from the true mean sum to zero,
// the variance by the square of it only.
void oracle_layer_norm(const float *src, const float *gamma, const float *beta, float eps, bool rms,
                       size_t count, oracle_value *out)
{
    const double chain = (double)(count < 128 ? count : 128) + 16.0;
    double sum = 0.0, magnitude = 0.0, squares = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += src[i];
        magnitude += isfinite(src[i]) ? fabs(src[i]) : 0.0;
    }
    const double mean = rms ? 0.0 : sum / (double)count;
    const double shift = rms ? 0.0 : chain * ORACLE_U * magnitude / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (src[i] - mean) * (src[i] - mean);
    const double power = squares / (double)count + eps, factor = 1.0 / sqrt(power);
    const double off = 0.5 * (chain * ORACLE_U + shift * shift / power) + 6.0 * ORACLE_U;
    for (size_t i = 0; i < count; i++) {
        const double scale = gamma ? gamma[i] : 1.0, y = (src[i] - mean) * factor * scale;
        out[i].any = isfinite(squares) && squares / (double)count > FLT_MAX;
        out[i].want = y + (beta ? beta[i] : 0.0);
        out[i].bound = out[i].any
                           ? INFINITY
                           : fabs(scale * factor) * shift + (off + 4.0 * ORACLE_U) * fabs(y) +
                                 2.0 * ORACLE_U * fabs(out[i].want) + 4.0 * ORACLE_DENORMAL;
    }
}

// Lagrange: row i of B^T holds the coefficients of the product of (x - q) over the other points q,
// G the powers of the point over that product's value, A^T its powers. The last point is infinity.
void oracle_winograd_init(oracle_winograd *w)
{
    const double a = RML_WINOGRAD_A, b = RML_WINOGRAD_B, point[5] = {0.0, a, -a, b, -b};
    memset(w, 0, sizeof *w);
    for (size_t i = 0; i < 6; i++) {
        double poly[7] = {1.0}, value = 1.0;
        size_t degree = 0;
        for (size_t j = 0; j < 5; j++) {
            if (j == i)
                continue;
            for (size_t k = ++degree; k > 0; k--)
                poly[k] = poly[k - 1] - point[j] * poly[k];
            poly[0] *= -point[j];
            if (i < 5)
                value *= point[i] - point[j];
        }
        for (size_t k = 0; k < 6; k++)
            w->bt[i][k] = poly[k];
        double power = 1.0;
        for (size_t k = 0; k < 4 && i < 5; k++, power *= point[i]) {
            w->at[k][i] = power;
            if (k < 3)
                w->g[i][k] = power / value;
        }
    }
    w->g[5][2] = 1.0;
    w->at[3][5] = 1.0;
}

void oracle_sandwich(const double *left, size_t rows, size_t inner, const double *x, bool magnitude,
                     double *out)
{
    double half[6][6];
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < inner; c++) {
            half[r][c] = 0.0;
            for (size_t k = 0; k < inner; k++) {
                double factor = left[r * inner + k];
                double term = factor == 0.0 ? 0.0 : factor * x[k * inner + c]; // also for NaN
                half[r][c] += magnitude ? fabs(term) : term;
            }
        }
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < rows; c++) {
            out[r * rows + c] = 0.0;
            for (size_t k = 0; k < inner; k++) {
                double factor = left[c * inner + k];
                double term = factor == 0.0 ? 0.0 : factor * half[r][k];
                out[r * rows + c] += magnitude ? fabs(term) : term;
            }
        }
    }
}
