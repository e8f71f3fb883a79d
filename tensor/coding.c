#include "tensor/coding.h"

#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

typedef struct float8 {
    int mantissa_bits, bias;
    bool has_infinity, is_unsigned_zero;
} float8;

static const float8 float8s[] = {
    [RML_CODING_F8_E4M3FN] = {3, 7, false, false},
    [RML_CODING_F8_E5M2] = {2, 15, true, false},
    [RML_CODING_F8_E4M3FNUZ] = {3, 8, false, true},
    [RML_CODING_F8_E5M2FNUZ] = {2, 16, false, true},
};

static float float8_to_f32(const float8 *type, uint8_t code)
{
    const int magnitude = code & 0x7F, mantissa_max = (1 << type->mantissa_bits) - 1;
    const int mantissa = magnitude & mantissa_max, exponent = magnitude >> type->mantissa_bits;
    const bool is_negative = code & 0x80;
    if (type->is_unsigned_zero ? code == 0x80 : !type->has_infinity && magnitude == 0x7F)
        return NAN;
    if (type->has_infinity && exponent == 0x7F >> type->mantissa_bits)
        return mantissa ? NAN : is_negative ? -INFINITY : INFINITY;
    const int lowest = 1 - type->bias - type->mantissa_bits; // exponent of subnormal steps
    const float value = exponent
                            ? ldexpf((float)(mantissa + mantissa_max + 1), lowest + exponent - 1)
                            : ldexpf((float)mantissa, lowest);
    return is_negative ? -value : value;
}

static float decode(const rml_coding *coding, rml_dtype dtype, const void *element)
{
    double number;
    uint8_t code;
    switch (coding->kind) {
    case RML_CODING_NONE:
        return rml_dtype_load_f32(dtype, element);
    case RML_CODING_AFFINE:
        rml_dtype_convert(dtype, element, RML_F64, &number, 1);
        return (float)((number - (double)coding->zero) * coding->scale);
    case RML_CODING_F8_E8M0FNU:
        memcpy(&code, element, 1);
        return code == 0xFF ? NAN : ldexpf(1.0f, code - 127);
    default:
        memcpy(&code, element, 1);
        return float8_to_f32(&float8s[coding->kind], code);
    }
}

void rml_coding_copy(const rml_coding *coding, rml_dtype dtype, const void *src, void *dst,
                     size_t count)
{
    const size_t bytes = rml_dtype_size(dtype);
    const uint8_t *from = src;
    uint8_t *to = dst;
    if (!coding->swapped) {
        memcpy(to, from, count * bytes);
        return;
    }
    for (size_t i = 0; i < count; i++, from += bytes, to += bytes)
        for (size_t k = 0; k < bytes; k++)
            to[k] = from[bytes - 1 - k];
}

void rml_coding_to_f32(const rml_coding *coding, rml_dtype dtype, const void *src, float *dst,
                       size_t count)
{
    const size_t bytes = rml_dtype_size(dtype);
    const uint8_t *from = src;
    uint64_t element;
    for (size_t i = 0; i < count; i++, from += bytes) {
        rml_coding_copy(coding, dtype, from, &element, 1);
        dst[i] = decode(coding, dtype, &element);
    }
}
