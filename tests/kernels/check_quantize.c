// Floats to small whole numbers, and elements picked by index, against plain definitions.
#include "tests/kernels/check_kernels.h"

#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

enum { SOURCE, INDEX, OUTPUT, MOST = 150 };

static char *place(check *c, size_t slot, size_t bytes, guard_side side)
{
    char *at = (char *)guard_place(&c->buffer[slot], (bytes + 3) / 4, side);
    return side == GUARD_BEHIND ? at + (bytes + 3) / 4 * 4 - bytes : at;
}

static void quantize_case(check *c, rml_dtype dtype, size_t count, guard_side side)
{
    const size_t bytes = rml_dtype_size(dtype);
    const bool is_signed = dtype == RML_I8 || dtype == RML_I16;
    const float span = bytes == 1 ? 256.0f : 65536.0f, low = is_signed ? -span / 2 : 0;
    const float high = low + span - 1, scale = 0.5f + 0.25f * random_float(c);
    const float zero = floorf(random_float(c) * 100.0f) + (is_signed ? 0.0f : 100.0f);
    float *src = guard_place(&c->buffer[SOURCE], count, side);
    char *dst = place(c, OUTPUT, count * bytes, side);
    for (size_t i = 0; i < count; i++)
        src[i] = random_below(c, 6) ? random_float(c) * 300.0f
                                    : special_float(random_below(c, SPECIAL_COUNT));
    c->cases++;
    RML_KERNEL(&c->kernels, quantize)(src, scale, zero, low, high, dtype, dst, count);
    for (size_t i = 0; i < count; i++) {
        const double q = (double)(src[i] / scale), bottom = (double)(low - zero);
        const double top = (double)(high - zero),
                     inside = q >= bottom ? (q <= top ? q : top) : bottom;
        const double want = nearbyint(inside) + (double)zero;
        double got;
        rml_dtype_convert(dtype, dst + i * bytes, RML_F64, &got, 1);
        if (got != want)
            check_fail(c, "%g becomes %g of %s, expected %g", (double)src[i], got,
                       rml_dtype_name(dtype), want);
    }
}

void check_quantize(check *c, int which)
{
    static const rml_dtype types[] = {RML_I8, RML_U8, RML_I16, RML_U16};
    (void)which;
    for (size_t type = 0; type < 4; type++)
        for (size_t count = 0; count < MOST; count += 1 + count / 4)
            for (int side = 0; side < GUARD_SIDES; side++)
                quantize_case(c, types[type], count, (guard_side)side);
}

static void pick_case(check *c, size_t bytes, bool narrow, size_t count, guard_side side)
{
    enum { SIZE = 9 };
    const int64_t step = (int64_t)random_below(c, 3) + 1, along = (int64_t)random_below(c, 3);
    const size_t reach =
        (size_t)((SIZE - 1) * step) + (count ? (count - 1) * (size_t)along : 0) + 1;
    char *src = place(c, SOURCE, reach * bytes, side), *dst = place(c, OUTPUT, count * bytes, side);
    char *index = place(c, INDEX, count * (narrow ? 4 : 8), side);
    int64_t at[MOST];
    for (size_t i = 0; i < reach * bytes; i++)
        src[i] = (char)random_bits(c);
    const size_t inside = random_below(c, 2) ? 64 * random_below(c, 3) : 0; // in front, blocks
    for (size_t i = 0; i < count; i++) {
        at[i] = i < inside ? (int64_t)random_below(c, SIZE)
                           : (int64_t)random_below(c, 3 * SIZE) - SIZE - 3; // some outside
        rml_dtype_convert(RML_I64, &at[i], narrow ? RML_I32 : RML_I64, index + i * (narrow ? 4 : 8),
                          1);
    }
    c->cases++;
    RML_KERNEL(&c->kernels, pick)(bytes, src, index, narrow, SIZE, step, along, dst, count);
    for (size_t i = 0; i < count; i++) {
        int64_t k = at[i] < 0 ? at[i] + SIZE : at[i];
        k = k < 0 ? 0 : k < SIZE ? k : SIZE - 1;
        const size_t from = (size_t)(k * step) + i * (size_t)along;
        if (memcmp(dst + i * bytes, src + from * bytes, bytes) != 0)
            check_fail(c, "element %zu of %zu, %zu bytes", i, count, bytes);
    }
}

void check_pick(check *c, int which)
{
    (void)which;
    for (size_t bytes = 1; bytes <= 8; bytes *= 2)
        for (size_t count = 0; count < MOST; count += 1 + count / 4)
            for (int form = 0; form < 2; form++)
                for (int side = 0; side < GUARD_SIDES; side++)
                    pick_case(c, bytes, form, count, (guard_side)side);
}
