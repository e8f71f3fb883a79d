// Conversions of elements: every pair of types, against the definition, bit by bit; NaN stays one.
#include "tests/kernels/check_kernels.h"

#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

enum { SOURCE, OUTPUT, MOST = 1100 };

// Numbers at the ends of types and half way between two, and random bits.
static double corner(check *c)
{
    static const int steps[] = {0, 1, 7, 8, 15, 16, 24, 25, 31, 32, 53, 62, 63, 64, 127, 128, -24};
    const double power = ldexp(1, steps[random_below(c, sizeof steps / sizeof *steps)]);
    const double near = ldexp(1, (int)random_below(c, 80) - 60);
    const double x = random_below(c, 3) ? power + (random_below(c, 2) ? near : -near) : power * 1.5;
    return random_below(c, 2) ? x : -x;
}

static void fill(check *c, rml_dtype dtype, void *dst, size_t count)
{
    const size_t bytes = rml_dtype_size(dtype);
    for (size_t i = 0; i < count; i++) {
        char *at = (char *)dst + i * bytes;
        double number = random_below(c, 4)   ? corner(c)
                        : random_below(c, 2) ? ldexp((double)random_float(c), 20)
                                             : (double)special_float(random_below(c, 30));
        uint64_t bits = random_bits(c);
        if (random_below(c, 4))
            rml_dtype_convert(RML_F64, &number, dtype, at, 1);
        else
            memcpy(at, &bits, bytes);
        if (dtype == RML_BOOL)
            *(uint8_t *)at &= 1;
    }
}

static bool is_nan(rml_dtype dtype, const void *element)
{
    double number = 0;
    if (rml_dtype_is_float(dtype))
        rml_dtype_convert(dtype, element, RML_F64, &number, 1);
    return isnan(number);
}

static void convert_case(check *c, rml_dtype from, rml_dtype to, size_t count, guard_side side)
{
    static char want[MOST * sizeof(uint64_t)];
    const size_t in_bytes = rml_dtype_size(from), out_bytes = rml_dtype_size(to);
    // Guarded buffers are of floats: elements begin, or end, where they do.
    const size_t in_floats = (count * in_bytes + 3) / 4, out_floats = (count * out_bytes + 3) / 4;
    char *src = (char *)guard_place(&c->buffer[SOURCE], in_floats, side);
    char *dst = (char *)guard_place(&c->buffer[OUTPUT], out_floats, side);
    if (side == GUARD_BEHIND) {
        src += in_floats * 4 - count * in_bytes;
        dst += out_floats * 4 - count * out_bytes;
    }
    fill(c, from, src, count);
    rml_dtype_convert(from, src, to, want, count);
    c->cases++;
    RML_KERNEL(&c->kernels, convert)(from, src, to, dst, count);
    for (size_t i = 0; i < count; i++) {
        const char *got = dst + i * out_bytes, *is = want + i * out_bytes;
        if (memcmp(got, is, out_bytes) != 0 && !(is_nan(to, got) && is_nan(to, is)))
            check_fail(c, "%s to %s: element %zu of %zu differs", rml_dtype_name(from),
                       rml_dtype_name(to), i, count);
    }
}

void check_convert(check *c, int which)
{
    static const size_t counts[] = {0, 1, 3, 8, 15, 16, 17, 33, 511, 513, MOST};
    (void)which;
    for (int from = 0; from <= RML_U64; from++)
        for (int to = 0; to <= RML_U64; to++)
            for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
                for (int side = 0; side < GUARD_SIDES; side++)
                    convert_case(c, (rml_dtype)from, (rml_dtype)to, counts[k], (guard_side)side);
}
