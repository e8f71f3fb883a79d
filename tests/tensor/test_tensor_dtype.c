// Element types: every f16 and bf16, integers at their ends, rounding of f64 and i64, any
// alignment.
#include "tensor/dtype.h"
#include "tests/support/check.h"

#define TYPES 13

// The definition, by arithmetic instead of bits. NaN is checked apart.
static double half_value(unsigned bits, int exponent_bits, int fraction_bits)
{
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const unsigned fraction = bits & ((1u << fraction_bits) - 1);
    const int exponent = (int)(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
    const double sign = bits >> 15 ? -1.0 : 1.0;
    const double part = (double)fraction / (double)(1u << fraction_bits);
    if (exponent == (1 << exponent_bits) - 1)
        return fraction ? NAN : sign * INFINITY;
    return exponent ? sign * ldexp(1.0 + part, exponent - bias) : sign * ldexp(part, 1 - bias);
}

static void test_halves(void)
{
    int wrong[2] = {0, 0};
    for (unsigned i = 0; i < 65536; i++) {
        const uint16_t bits = (uint16_t)i;
        const double want[2] = {half_value(i, 5, 10), half_value(i, 8, 7)};
        const float got[2] = {rml_f16_to_f32(bits), rml_bf16_to_f32(bits)};
        const rml_dtype types[2] = {RML_F16, RML_BF16};
        for (int k = 0; k < 2; k++) {
            unsigned char odd[3];
            memcpy(odd + 1, &bits, sizeof bits);
            const float loaded = rml_dtype_load_f32(types[k], odd + 1);
            wrong[k] += memcmp(&loaded, &got[k], sizeof loaded) != 0;
            if (isnan(want[k]))
                wrong[k] += !isnan(got[k]) || !signbit(got[k]) != !(i >> 15);
            else
                wrong[k] += (double)got[k] != want[k] || !signbit(got[k]) != !signbit(want[k]);
        }
    }
    CHECK_MSG(wrong[0] == 0, "%d of f16", wrong[0]);
    CHECK_MSG(wrong[1] == 0, "%d of bf16", wrong[1]);
}

#define LOADS(type, dtype, value, want)                                                            \
    do {                                                                                           \
        const type element = value;                                                                \
        unsigned char at[16];                                                                      \
        memcpy(at + 3, &element, sizeof element);                                                  \
        const float got = rml_dtype_load_f32(dtype, at + 3);                                       \
        CHECK_MSG(got == (want), "%s: %.9g", rml_dtype_name(dtype), (double)got);                  \
    } while (0)

static void test_numbers(void)
{
    LOADS(int8_t, RML_I8, -128, -128.0f);
    LOADS(int8_t, RML_I8, 127, 127.0f);
    LOADS(uint8_t, RML_U8, 255, 255.0f);
    LOADS(uint8_t, RML_BOOL, 1, 1.0f);
    LOADS(uint8_t, RML_BOOL, 0, 0.0f);
    LOADS(uint8_t, RML_BOOL, 2, 1.0f); // damaged, but not undefined
    LOADS(int16_t, RML_I16, -32768, -32768.0f);
    LOADS(uint16_t, RML_U16, 65535, 65535.0f);
    LOADS(uint32_t, RML_U32, UINT32_MAX, 0x1p32f);
    LOADS(uint32_t, RML_U32, 16777217, 16777216.0f); // ties to even
    LOADS(uint64_t, RML_U64, UINT64_MAX, 0x1p64f);
    LOADS(uint64_t, RML_U64, ((uint64_t)1 << 63) + ((uint64_t)1 << 39), 0x1p63f); // a tie
    LOADS(int32_t, RML_I32, INT32_MIN, -0x1p31f);
    LOADS(int32_t, RML_I32, 16777217, 16777216.0f); // ties to even
    LOADS(int32_t, RML_I32, 16777219, 16777220.0f);
    LOADS(int64_t, RML_I64, INT64_MAX, 0x1p63f);
    LOADS(int64_t, RML_I64, INT64_MIN, -0x1p63f);
    LOADS(int64_t, RML_I64, ((int64_t)1 << 40) + 1, 0x1p40f);
    LOADS(float, RML_F32, 0x1.fffffep127f, 0x1.fffffep127f);
    LOADS(double, RML_F64, 1.0 + 0x1p-24, 1.0f);              // a tie, to even
    LOADS(double, RML_F64, 1.0 + 0x1.8p-23, 1.0f + 0x1p-22f); // a tie, to even
    LOADS(double, RML_F64, 1.0 + 0x1.000002p-24, 1.0f + 0x1p-23f);
    LOADS(double, RML_F64, 1e300, INFINITY);
    LOADS(double, RML_F64, -1e300, -INFINITY);
    LOADS(double, RML_F64, 0x1p-149, 0x1p-149f);
    LOADS(double, RML_F64, 0x1p-151, 0.0f);
}

// A run of elements at every alignment is what its elements are.
static void test_runs(void)
{
    unsigned char bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 151 + 7);
    for (int type = 0; type < TYPES; type++)
        for (size_t shift = 0; shift < 9; shift++)
            for (size_t count = 0; count < 34; count++) {
                float got[35];
                int wrong = 0;
                got[count] = 12.25f;
                rml_dtype_to_f32((rml_dtype)type, bytes + shift, got, count);
                for (size_t i = 0; i < count; i++) {
                    const float want = rml_dtype_load_f32(
                        (rml_dtype)type, bytes + shift + i * rml_dtype_size((rml_dtype)type));
                    wrong += memcmp(&got[i], &want, sizeof want) != 0;
                }
                CHECK_MSG(wrong == 0 && got[count] == 12.25f, "%s",
                          rml_dtype_name((rml_dtype)type));
            }
}

static void test_names(void)
{
    static const size_t sizes[TYPES] = {4, 2, 2, 8, 1, 1, 2, 4, 8, 1, 2, 4, 8};
    for (int i = 0; i < TYPES; i++) {
        CHECK(rml_dtype_size((rml_dtype)i) == sizes[i]);
        for (int k = 0; k < i; k++)
            CHECK(strcmp(rml_dtype_name((rml_dtype)i), rml_dtype_name((rml_dtype)k)) != 0);
    }
    CHECK(rml_dtype_size((rml_dtype)TYPES) == 0 && !strcmp(rml_dtype_name((rml_dtype)TYPES), "?"));
}

// Values around every half way point between neighbours of a short float, where rounding to f32
// first would go wrong.
static void test_once(rml_dtype to, float (*widen)(uint16_t), uint16_t last)
{
    int wrong = 0;
    for (unsigned bits = 0; bits < last; bits++) {
        const double low = (double)widen((uint16_t)bits),
                     high = (double)widen((uint16_t)(bits + 1));
        const double middle = low + (high - low) / 2; // exact: bits are left
        const double values[] = {low,    nextafter(low, high),    nextafter(middle, low),
                                 middle, nextafter(middle, high), nextafter(high, low)};
        const unsigned even = bits & 1 ? bits + 1 : bits;
        const unsigned expected[] = {bits, bits, bits, even, bits + 1, bits + 1};
        for (int sign = 0; sign < 2; sign++)
            for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
                const double value = sign ? -values[i] : values[i];
                uint16_t got;
                rml_dtype_convert(RML_F64, &value, to, &got, 1);
                wrong += got != (expected[i] | (sign ? 0x8000u : 0));
            }
    }
    CHECK_MSG(wrong == 0, "%d of f64 to %s", wrong, rml_dtype_name(to));
}

// Whole numbers just beside half way points, more bits than a double has.
static void test_integers_once(void)
{
    int wrong = 0;
    for (int top = 10; top < 63; top++)
        for (int beside = -1; beside <= 1; beside++)
            for (int odd = 0; odd < 2; odd++) {
                // 1.000000o1 followed by zeros, and one less or more
                const int64_t unit = (int64_t)1 << (top - 7 > 0 ? top - 7 : 0);
                const int64_t value = ((int64_t)1 << top) + odd * unit + unit / 2 + beside;
                if (unit / 2 < 2)
                    continue;
                const int up = beside > 0 || (beside == 0 && odd);
                const float expected =
                    (float)(((int64_t)1 << top) + odd * unit) + (up ? (float)unit : 0.0f);
                uint16_t got;
                rml_dtype_convert(RML_I64, &value, RML_BF16, &got, 1);
                wrong += rml_bf16_to_f32(got) != expected;
                float single;
                rml_dtype_convert(RML_I64, &value, RML_F32, &single, 1);
                wrong += single != (float)value;
            }
    CHECK_MSG(wrong == 0, "%d whole numbers", wrong);
}

int main(void)
{
    test_once(RML_F16, rml_f16_to_f32, 0x7BFF);
    test_once(RML_BF16, rml_bf16_to_f32, 0x7F7F);
    test_integers_once();
    test_halves();
    test_numbers();
    test_runs();
    test_names();
    return check_result();
}
