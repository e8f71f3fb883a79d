// Elementwise kernels, the definitions.
#include "kernels/kernels_internal.h"

#include <math.h>

#define SQRT_HALF 0.70710678118654752f

// Takes exp of -|x|, so that small results keep their precision.
static float sigmoid_f32(float x)
{
    float e = expf(-fabsf(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

static float softplus_f32(float x)
{
    return (x > 0.0f ? x : 0.0f) + (x == x ? log1pf(expf(-fabsf(x))) : x);
}

// 2 sqrt(2 / pi) (x + 0.044715 x^3)
static float gelu_tanh_argument(float x)
{
    return x * (1.595769122f + 7.135481628e-2f * (x * x));
}

#define UNARY(name, expression)                                                                    \
    void name(const float *src, float *dst, size_t count, const float *param)                      \
    {                                                                                              \
        (void)param;                                                                               \
        for (size_t i = 0; i < count; i++)                                                         \
            dst[i] = expression;                                                                   \
    }

#define BINARY(name, expression)                                                                   \
    void name(const float *a, const float *b, float *dst, size_t count)                            \
    {                                                                                              \
        for (size_t i = 0; i < count; i++) {                                                       \
            float x = a[i], y = b[i];                                                              \
            dst[i] = expression;                                                                   \
        }                                                                                          \
    }

#define BINARY_SCALAR(name, expression)                                                            \
    void name(const float *a, float b, float *dst, size_t count, bool swap)                        \
    {                                                                                              \
        for (size_t i = 0; i < count; i++) {                                                       \
            float x = swap ? b : a[i], y = swap ? a[i] : b;                                        \
            dst[i] = expression;                                                                   \
        }                                                                                          \
    }

UNARY(rml_clamp_f32_portable, clamp_f32(src[i], param[0], param[1]))
UNARY(rml_leaky_relu_f32_portable, src[i] < 0.0f ? src[i] * param[0] : src[i])
UNARY(rml_sigmoid_f32_portable, sigmoid_f32(src[i]))
UNARY(rml_tanh_f32_portable, tanhf(src[i]))
UNARY(rml_exp_f32_portable, expf(src[i]))
UNARY(rml_silu_f32_portable, src[i] * sigmoid_f32(src[i]))
UNARY(rml_gelu_f32_portable, 0.5f * src[i] * (1.0f + erff(src[i] * SQRT_HALF)))
UNARY(rml_erf_f32_portable, erff(src[i]))
UNARY(rml_gelu_tanh_f32_portable, src[i] * sigmoid_f32(gelu_tanh_argument(src[i])))
UNARY(rml_elu_f32_portable, src[i] > 0.0f ? src[i] : param[0] * expm1f(src[i]))
UNARY(rml_abs_f32_portable, fabsf(src[i]))
UNARY(rml_neg_f32_portable, -src[i])
UNARY(rml_sqrt_f32_portable, sqrtf(src[i]))
UNARY(rml_square_f32_portable, src[i] * src[i])
UNARY(rml_hard_sigmoid_f32_portable, clamp_f32(src[i] * param[0] + param[1], 0.0f, 1.0f))
UNARY(rml_hard_swish_f32_portable, src[i] * clamp_f32(src[i] / 6.0f + 0.5f, 0.0f, 1.0f))
UNARY(rml_thresholded_relu_f32_portable, src[i] > param[0] ? src[i] : 0.0f)
UNARY(rml_softsign_f32_portable, src[i] / (1.0f + fabsf(src[i])))
UNARY(rml_sign_f32_portable, src[i] != src[i] ? src[i] : (float)((src[i] > 0.0f) - (src[i] < 0.0f)))
UNARY(rml_floor_f32_portable, floorf(src[i]))
UNARY(rml_ceil_f32_portable, ceilf(src[i]))
UNARY(rml_round_f32_portable, nearbyintf(src[i]))
UNARY(rml_celu_f32_portable, src[i] < 0.0f ? param[0] * expm1f(src[i] / param[0]) : src[i])
UNARY(rml_selu_f32_portable, param[1] * (src[i] > 0.0f ? src[i] : param[0] * expm1f(src[i])))
UNARY(rml_swish_f32_portable, src[i] * sigmoid_f32(param[0] * src[i]))
UNARY(rml_log_f32_portable, logf(src[i]))
UNARY(rml_softplus_f32_portable, softplus_f32(src[i]))
UNARY(rml_mish_f32_portable, src[i] * tanhf(softplus_f32(src[i])))
UNARY(rml_atan_f32_portable, atanf(src[i]))

BINARY(rml_add_f32_portable, x + y)
BINARY(rml_sub_f32_portable, x - y)
BINARY(rml_mul_f32_portable, x *y)
BINARY(rml_div_f32_portable, x / y)
BINARY(rml_max_f32_portable, max_f32(x, y))
BINARY(rml_min_f32_portable, min_f32(x, y))

BINARY_SCALAR(rml_add_scalar_f32_portable, x + y)
BINARY_SCALAR(rml_sub_scalar_f32_portable, x - y)
BINARY_SCALAR(rml_mul_scalar_f32_portable, x *y)
BINARY_SCALAR(rml_div_scalar_f32_portable, x / y)
BINARY_SCALAR(rml_max_scalar_f32_portable, max_f32(x, y))
BINARY_SCALAR(rml_min_scalar_f32_portable, min_f32(x, y))
