
#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

uint16_t rml_f32_to_bf16(float value)
{
    const uint32_t bits = bits_of(value);
    if (isnan(value))
        return (uint16_t)((bits >> 16) | 0x40);
    return (uint16_t)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

uint16_t rml_f32_to_f16(float value)
{
    const uint32_t bits = bits_of(value);
    const uint16_t sign = (uint16_t)((bits >> 16) & 0x8000);
    if (isnan(value))
        return sign | 0x7E00;
    const float size = fabsf(value);
    if (size >= 65520.0f) // half way to 65536 and above
        return sign | 0x7C00;
    if (size < 6.103515625e-05f) { // subnormal: units of 2^-24
        const float units = nearbyintf(size * 16777216.0f);
        return (uint16_t)(sign | (uint16_t)units);
    }
    const uint32_t rounded = (bits & 0x7FFFFFFF) + 0xFFF + ((bits >> 13) & 1);
    return (uint16_t)(sign | ((rounded >> 13) - (112u << 10)));
}

// To f32 by cutting, with the last bit set where anything was cut off. What rounds that to fewer
// bits rounds the value itself: the bit breaks false ties, and cannot make any.
static float to_odd(double value)
{
    float narrow = (float)value;
    if ((double)narrow == value || isnan(value))
        return narrow;
    uint32_t bits = bits_of(narrow);
    if (fabs((double)narrow) > fabs(value)) // rounded away from zero, maybe to infinity
        bits--;
    bits |= 1;
    memcpy(&narrow, &bits, sizeof narrow);
    return narrow;
}

uint16_t rml_f64_to_f16(double value)
{
    return rml_f32_to_f16(to_odd(value));
}

uint16_t rml_f64_to_bf16(double value)
{
    return rml_f32_to_bf16(to_odd(value));
}

// An integer as a double that rounds to f32 and less as the integer itself: the same thought.
static double odd_integer(int64_t value, bool is_unsigned)
{
    const bool negative = value < 0 && !is_unsigned;
    uint64_t size = negative ? 0 - (uint64_t)value : (uint64_t)value;
    if (size >> 53)
        size = (size & ~(uint64_t)0x7FF) | (size & 0x7FF ? 0x800 : 0);
    return negative ? -(double)size : (double)size;
}

// ---- through double or 64-bit integers ----------------------------------------------------------

static double load_float(rml_dtype dtype, const void *src, size_t i)
{
    switch (dtype) {
    case RML_F64:
        return ((const double *)src)[i];
    case RML_F16:
        return (double)rml_f16_to_f32(((const uint16_t *)src)[i]);
    case RML_BF16:
        return (double)rml_bf16_to_f32(((const uint16_t *)src)[i]);
    default:
        return (double)((const float *)src)[i];
    }
}

static int64_t load_integer(rml_dtype dtype, const void *src, size_t i)
{
    switch (dtype) {
    case RML_I8:
        return ((const int8_t *)src)[i];
    case RML_U8:
    case RML_BOOL:
        return ((const uint8_t *)src)[i];
    case RML_I16:
        return ((const int16_t *)src)[i];
    case RML_U16:
        return ((const uint16_t *)src)[i];
    case RML_I32:
        return ((const int32_t *)src)[i];
    case RML_U32:
        return ((const uint32_t *)src)[i];
    default:
        return ((const int64_t *)src)[i];
    }
}

static void store_float(rml_dtype dtype, void *dst, size_t i, double value)
{
    switch (dtype) {
    case RML_F64:
        ((double *)dst)[i] = value;
        break;
    case RML_F16:
        ((uint16_t *)dst)[i] = rml_f64_to_f16(value);
        break;
    case RML_BF16:
        ((uint16_t *)dst)[i] = rml_f64_to_bf16(value);
        break;
    default:
        ((float *)dst)[i] = (float)value;
        break;
    }
}

static void store_integer(rml_dtype dtype, void *dst, size_t i, int64_t value)
{
    switch (rml_dtype_size(dtype)) {
    case 1:
        ((uint8_t *)dst)[i] = dtype == RML_BOOL ? value != 0 : (uint8_t)value;
        break;
    case 2:
        ((uint16_t *)dst)[i] = (uint16_t)value;
        break;
    case 4:
        ((uint32_t *)dst)[i] = (uint32_t)value;
        break;
    default:
        ((uint64_t *)dst)[i] = (uint64_t)value;
        break;
    }
}

static int64_t cut(double value, rml_dtype to)
{
    if (isnan(value))
        return 0;
    if (to == RML_U64 && value >= 9223372036854775808.0)
        return value >= 18446744073709551616.0 ? -1 : (int64_t)(uint64_t)value;
    if (value >= 9223372036854775808.0)
        return INT64_MAX;
    return value < -9223372036854775808.0 ? INT64_MIN : (int64_t)value;
}

#define CONVERT_LOOP(from_type, to_type)                                                           \
    do {                                                                                           \
        const from_type *in = src;                                                                 \
        to_type *out = dst;                                                                        \
        for (size_t i = 0; i < count; i++)                                                         \
            out[i] = (to_type)in[i];                                                               \
        return true;                                                                               \
    } while (0)

// The pairs that chunks of elements are widened and narrowed by most, in loops without a choice.
// They wrap and round as those of the general loop.
static bool convert_usual(rml_dtype from, const void *src, rml_dtype to, void *dst, size_t count)
{
    if (from == RML_F32 && to == RML_F64)
        CONVERT_LOOP(float, double);
    if (from == RML_F64 && to == RML_F32)
        CONVERT_LOOP(double, float);
    if (from == RML_U8 && to == RML_F32)
        CONVERT_LOOP(uint8_t, float);
    if (from == RML_U8 && to == RML_F64)
        CONVERT_LOOP(uint8_t, double);
    if (from == RML_I8 && to == RML_F64)
        CONVERT_LOOP(int8_t, double);
    if (from == RML_I32 && to == RML_F64)
        CONVERT_LOOP(int32_t, double);
    if (from == RML_I64 && (to == RML_U8 || to == RML_I8))
        CONVERT_LOOP(int64_t, uint8_t);
    if (from == RML_I32 && to == RML_I64)
        CONVERT_LOOP(int32_t, int64_t);
    return false;
}

void rml_dtype_convert(rml_dtype from, const void *src, rml_dtype to, void *dst, size_t count)
{
    if (from == to && count > 0)
        memcpy(dst, src, count * rml_dtype_size(from));
    if (from == to || convert_usual(from, src, to, dst, count))
        return;
    for (size_t i = 0; i < count; i++) {
        if (!rml_dtype_is_float(from)) {
            const int64_t value = load_integer(from, src, i);
            if (!rml_dtype_is_float(to))
                store_integer(to, dst, i, value);
            else if (to == RML_F64)
                ((double *)dst)[i] = from == RML_U64 ? (double)(uint64_t)value : (double)value;
            else
                store_float(to, dst, i, odd_integer(value, from == RML_U64));
            continue;
        }
        const double value = load_float(from, src, i);
        if (rml_dtype_is_float(to))
            store_float(to, dst, i, value);
        else if (to == RML_BOOL)
            ((uint8_t *)dst)[i] = value != 0;
        else
            store_integer(to, dst, i, cut(value, to));
    }
}
