#include "tensor/dtype.h"

#include <assert.h>
#include <string.h>

// Files hold the lowest byte first, and what is mapped is read as it lies there.
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "this library runs on little-endian machines only"
#endif

typedef struct kind {
    const char *name;
    size_t bytes;
} kind;

static const kind kinds[] = {
    [RML_F32] = {"f32", 4},   [RML_F16] = {"f16", 2}, [RML_BF16] = {"bf16", 2},
    [RML_F64] = {"f64", 8},   [RML_I8] = {"i8", 1},   [RML_U8] = {"u8", 1},
    [RML_I16] = {"i16", 2},   [RML_I32] = {"i32", 4}, [RML_I64] = {"i64", 8},
    [RML_BOOL] = {"bool", 1}, [RML_U16] = {"u16", 2}, [RML_U32] = {"u32", 4},
    [RML_U64] = {"u64", 8},
};

// A number from outside may be none of them.
static kind kind_of(rml_dtype dtype)
{
    return (size_t)dtype < sizeof kinds / sizeof *kinds ? kinds[dtype] : (kind){"?", 0};
}

size_t rml_dtype_size(rml_dtype dtype)
{
    return kind_of(dtype).bytes;
}

const char *rml_dtype_name(rml_dtype dtype)
{
    return kind_of(dtype).name;
}

static float bits_to_f32(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float rml_bf16_to_f32(uint16_t bfloat)
{
    return bits_to_f32((uint32_t)bfloat << 16);
}

float rml_f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 0x1F;
    uint32_t fraction = half & 0x3FF;
    if (exponent == 0x1F) // infinity and NaN keep their payload
        return bits_to_f32(sign | 0x7F800000u | (fraction << 13));
    if (exponent == 0) { // zero and subnormals: fraction * 2^-24, exact in f32
        float value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    return bits_to_f32(sign | ((exponent + 112) << 23) | (fraction << 13));
}

float rml_dtype_load_f32(rml_dtype dtype, const void *src)
{
    // memcpy because tensors inside mapped files start at any byte
    union {
        double f64;
        float f32;
        uint16_t u16;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint32_t u32;
        uint64_t u64;
        int8_t i8;
        uint8_t u8;
    } element;
    memcpy(&element, src, rml_dtype_size(dtype));
    switch (dtype) {
    case RML_F64:
        return (float)element.f64;
    case RML_F32:
        return element.f32;
    case RML_F16:
        return rml_f16_to_f32(element.u16);
    case RML_BF16:
        return rml_bf16_to_f32(element.u16);
    case RML_I64:
        return (float)element.i64;
    case RML_I32:
        return (float)element.i32;
    case RML_I16:
        return (float)element.i16;
    case RML_I8:
        return (float)element.i8;
    case RML_U8:
        return (float)element.u8;
    case RML_BOOL:
        return element.u8 ? 1.0f : 0.0f;
    case RML_U16:
        return (float)element.u16;
    case RML_U32:
        return (float)element.u32;
    case RML_U64:
        return (float)element.u64;
    }
    assert(!"unknown dtype");
    return 0.0f;
}

// As rml_f16_to_f32 of each, without branches, so that compilers take several at a time.
static void halves_to_f32(const void *src, float *dst, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, (const char *)src + 2 * i, sizeof half);
        const uint32_t exponent = (half >> 10) & 0x1F, fraction = half & 0x3FF;
        const float small = (float)(int32_t)fraction * 0x1p-24f;
        uint32_t low;
        memcpy(&low, &small, sizeof low);
        const uint32_t wide = exponent == 0x1F ? 255 : exponent + 112;
        const uint32_t size = exponent == 0 ? low : wide << 23 | fraction << 13;
        const uint32_t bits = (uint32_t)(half & 0x8000) << 16 | size;
        memcpy(&dst[i], &bits, sizeof bits);
    }
}

static void bfloats_to_f32(const void *src, float *dst, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t bfloat;
        memcpy(&bfloat, (const char *)src + 2 * i, sizeof bfloat);
        const uint32_t bits = (uint32_t)bfloat << 16;
        memcpy(&dst[i], &bits, sizeof bits);
    }
}

void rml_dtype_to_f32(rml_dtype dtype, const void *src, float *dst, size_t count)
{
    if (dtype == RML_F32) {
        memcpy(dst, src, count * sizeof *dst);
        return;
    }
    if (dtype == RML_F16 || dtype == RML_BF16) {
        (dtype == RML_F16 ? halves_to_f32 : bfloats_to_f32)(src, dst, count);
        return;
    }
    size_t element_bytes = rml_dtype_size(dtype);
    for (size_t i = 0; i < count; i++)
        dst[i] = rml_dtype_load_f32(dtype, (const char *)src + i * element_bytes);
}
