// Elementwise functions of other types than f32, against what operators define on widened numbers,
// bit by bit; NaN stays one.
#include "tests/kernels/check_kernels.h"

#include "ops/elementwise/functions.h"
#include "ops/elementwise/widen.h"
#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

enum { FIRST, SECOND, OUTPUT, MOST = 70 };

static char *place(check *c, size_t slot, size_t bytes, guard_side side)
{
    char *at = (char *)guard_place(&c->buffer[slot], (bytes + 3) / 4, side);
    return side == GUARD_BEHIND ? at + (bytes + 3) / 4 * 4 - bytes : at;
}

// Small numbers, those at the ends of the type, and any bits; of f32 half of the time numbers below
// 2^20 alone, for kernels that compute a block with others in it another way.
static void fill(check *c, rml_dtype dtype, char *dst, size_t count)
{
    const size_t bytes = rml_dtype_size(dtype);
    if (dtype == RML_F32 && random_below(c, 2)) {
        random_fill(c, (float *)(void *)dst, count);
        for (size_t i = 0; i < count; i++)
            ((float *)(void *)dst)[i] *= (float)(1u << random_below(c, 20));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = random_bits(c);
        const double ends[] = {0, -0.0, 1, -1, (double)INT64_MIN, 9e18, (double)NAN, INFINITY};
        const double number =
            random_below(c, 2) ? (double)random_below(c, 9) - 4 : ends[random_below(c, 8)];
        if (random_below(c, 3))
            rml_dtype_convert(RML_F64, &number, dtype, dst + i * bytes, 1);
        else
            memcpy(dst + i * bytes, &bits, bytes);
        if (dtype == RML_BOOL)
            dst[i] &= 1;
    }
}

static void compare(check *c, const char *name, rml_dtype dtype, const char *got, const char *want)
{
    double number = 0, wanted = 0;
    if (memcmp(got, want, rml_dtype_size(dtype)) == 0)
        return;
    rml_dtype_convert(dtype, got, RML_F64, &number, 1);
    rml_dtype_convert(dtype, want, RML_F64, &wanted, 1);
    const bool zeros = rml_dtype_is_float(dtype) && number == 0 && wanted == 0;
    if (!zeros && !(isnan(number) && isnan(wanted)))
        check_fail(c, "%s of %s is %g, expected %g", name, rml_dtype_name(dtype), number, wanted);
}

static void want_binary(rml_binary op, rml_dtype dtype, const char *a, const char *b, char *dst)
{
    const rml_wide wide = rml_wide_of(dtype);
    const rml_dtype held = wide == RML_WIDE_F64   ? RML_F64
                           : wide == RML_WIDE_I64 ? RML_I64
                                                  : RML_U64;
    const bool is_unsigned = wide == RML_WIDE_U64, compares = rml_binary_compares(op);
    const int bits = 8 * (int)rml_dtype_size(dtype);
    union {
        double f;
        int64_t i;
    } x, y, z;
    rml_dtype_convert(dtype, a, held, &x, 1);
    rml_dtype_convert(dtype, b, held, &y, 1);
    if (compares)
        *dst = (char)(wide == RML_WIDE_F64 ? rml_compare_f64(op, x.f, y.f)
                                           : rml_compare_i64(op, x.i, y.i, is_unsigned));
    else if (wide == RML_WIDE_F64)
        z.f = rml_binary_f64(op, x.f, y.f);
    else
        z.i = rml_binary_i64(op, x.i, y.i, is_unsigned, bits);
    if (!compares)
        rml_dtype_convert(held, &z, dtype, dst, 1);
}

static void binary_case(check *c, rml_binary op, rml_dtype dtype, size_t count, guard_side side)
{
    char want[8];
    const size_t bytes = rml_dtype_size(dtype), out = rml_binary_compares(op) ? 1 : bytes;
    char *a = place(c, FIRST, count * bytes, side), *b = place(c, SECOND, count * bytes, side);
    char *dst = place(c, OUTPUT, count * out, side);
    fill(c, dtype, a, count);
    fill(c, dtype, b, count);
    if (!RML_KERNEL(&c->kernels, typed_binary)(op, dtype, a, b, dst, count))
        return;
    c->cases++;
    for (size_t i = 0; i < count; i++) {
        want_binary(op, dtype, a + i * bytes, b + i * bytes, want);
        compare(c, rml_binary_name(op), out == 1 && bytes > 1 ? RML_BOOL : dtype, dst + i * out,
                want);
    }
}

void check_typed_binary(check *c, int which)
{
    (void)which;
    for (int op = 0; op < RML_BINARY_COUNT; op++)
        for (int type = 0; type <= RML_U64; type++)
            for (size_t count = 0; count <= MOST; count += 1 + count / 3)
                for (int side = 0; side < GUARD_SIDES; side++)
                    if (rml_binary_takes((rml_binary)op, (rml_dtype)type))
                        binary_case(c, (rml_binary)op, (rml_dtype)type, count, (guard_side)side);
}

// Odd functions keep the sign of a zero, which compare() lets pass: 1/sin(-0) is -infinity.
static void compare_zero(check *c, const char *name, rml_dtype dtype, const char *src,
                         const char *got, const char *want, rml_dtype to)
{
    double zero = 1, number = 0, wanted = 0;
    rml_dtype_convert(dtype, src, RML_F64, &zero, 1);
    rml_dtype_convert(to, got, RML_F64, &number, 1);
    rml_dtype_convert(to, want, RML_F64, &wanted, 1);
    if (zero == 0 && signbit(number) != signbit(wanted))
        check_fail(c, "%s of %s makes %g of %g, expected %g", name, rml_dtype_name(dtype), number,
                   zero, wanted);
}

static void unary_case(check *c, rml_unary op, rml_dtype dtype, size_t count, guard_side side)
{
    static const float params[][2] = {{0, INFINITY}, {-3, 3}, {0.25f, 1}, {5, 100}};
    const size_t bytes = rml_dtype_size(dtype);
    rml_activation function = {.kind = op};
    memcpy(function.param, params[random_below(c, 4)], sizeof params[0]);
    const rml_wide wide = rml_wide_of(dtype);
    const rml_dtype held = wide == RML_WIDE_F64   ? RML_F64
                           : wide == RML_WIDE_I64 ? RML_I64
                                                  : RML_U64;
    const rml_dtype to = op == RML_UNARY_IS_NAN || op == RML_UNARY_IS_INF ? RML_BOOL : dtype;
    const size_t out = rml_dtype_size(to);
    char *src = place(c, FIRST, count * bytes, side), *dst = place(c, OUTPUT, count * out, side);
    fill(c, dtype, src, count);
    if (!RML_KERNEL(&c->kernels, typed_unary)(op, dtype, src, dst, count, function.param))
        return;
    c->cases++;
    for (size_t i = 0; i < count; i++) {
        union {
            double f;
            int64_t i;
        } x;
        char want[8];
        rml_dtype_convert(dtype, src + i * bytes, held, &x, 1);
        if (wide == RML_WIDE_F64)
            x.f = rml_unary_f64(&function, x.f);
        else
            x.i = rml_unary_i64(&function, x.i, wide == RML_WIDE_U64);
        rml_dtype_convert(held, &x, to, want, 1);
        compare(c, rml_unary_name(op), to, dst + i * out, want);
        if (wide == RML_WIDE_F64)
            compare_zero(c, rml_unary_name(op), dtype, src + i * bytes, dst + i * out, want, to);
    }
}

void check_typed_unary(check *c, int which)
{
    (void)which;
    for (int op = 0; op < RML_UNARY_COUNT; op++)
        for (int type = 0; type <= RML_U64; type++)
            for (size_t count = 0; count <= MOST; count += 1 + count / 3)
                for (int side = 0; side < GUARD_SIDES; side++)
                    if (rml_unary_takes((rml_unary)op, (rml_dtype)type))
                        unary_case(c, (rml_unary)op, (rml_dtype)type, count, (guard_side)side);
}
