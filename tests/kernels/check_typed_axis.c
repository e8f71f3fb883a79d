// Choosing, running sums, and searches along an axis, of every type, against plain definitions.
#include "tests/kernels/check_kernels.h"

#include "ops/elementwise/widen.h"
#include "tensor/dtype.h"

#include <string.h>

enum { FIRST, SECOND, CONDITION, OUTPUT, TOPS, MOST = 150 };

static char *place(check *c, size_t slot, size_t bytes, guard_side side)
{
    char *at = (char *)guard_place(&c->buffer[slot], (bytes + 3) / 4, side);
    return side == GUARD_BEHIND ? at + (bytes + 3) / 4 * 4 - bytes : at;
}

// Few different numbers, so that some are equal, and NaN.
static void fill(check *c, rml_dtype dtype, char *dst, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double few[] = {-2, -1, 0, 1, 2, 100, (double)special_float(random_below(c, 30))};
        const double number = few[random_below(c, 7)];
        rml_dtype_convert(RML_F64, &number, dtype, dst + i * rml_dtype_size(dtype), 1);
    }
}

void check_select(check *c, int which)
{
    (void)which;
    for (size_t bytes = 1; bytes <= 8; bytes *= 2)
        for (size_t count = 0; count < MOST; count += 1 + count / 4)
            for (int side = 0; side < GUARD_SIDES; side++) {
                char *a = place(c, FIRST, count * bytes, (guard_side)side);
                char *b = place(c, SECOND, count * bytes, (guard_side)side);
                char *dst = place(c, OUTPUT, count * bytes, (guard_side)side);
                char *condition = place(c, CONDITION, count, (guard_side)side);
                for (size_t i = 0; i < count * bytes; i++) {
                    a[i] = (char)random_bits(c);
                    b[i] = (char)random_bits(c);
                }
                for (size_t i = 0; i < count; i++)
                    condition[i] = (char)random_below(c, 2);
                c->cases++;
                RML_KERNEL(&c->kernels, select)
                (bytes, (const uint8_t *)condition, a, b, dst, count);
                for (size_t i = 0; i < count; i++)
                    if (memcmp(dst + i * bytes, (condition[i] ? a : b) + i * bytes, bytes) != 0)
                        check_fail(c, "element %zu of %zu, %zu bytes", i, count, bytes);
            }
}

void check_add_scaled(check *c, int which)
{
    (void)which;
    for (int type = 0; type <= RML_U64; type++)
        for (size_t count = 0; count < MOST; count += 1 + count / 3)
            for (int side = 0; side < GUARD_SIDES; side++) {
                const size_t bytes = rml_dtype_size((rml_dtype)type);
                char *row = place(c, FIRST, count * bytes, (guard_side)side);
                char *sum = place(c, OUTPUT, count * bytes, (guard_side)side), before[MOST * 8];
                uint64_t factor = random_bits(c);
                for (size_t i = 0; i < count * bytes; i++)
                    row[i] = sum[i] = before[i] = (char)random_bits(c);
                if (!RML_KERNEL(&c->kernels, add_scaled)((rml_dtype)type, &factor, row, sum, count))
                    continue;
                c->cases++;
                for (size_t i = 0; i < count; i++) {
                    uint64_t x = 0, y = 0;
                    memcpy(&x, row + i * bytes, bytes);
                    memcpy(&y, before + i * bytes, bytes);
                    y += x * factor;
                    if (memcmp(&y, sum + i * bytes, bytes) != 0)
                        check_fail(c, "%s: element %zu of %zu", rml_dtype_name((rml_dtype)type), i,
                                   count);
                }
            }
}

// Rows follow one another, or each lies in front of the one before.
static void running_case(check *c, rml_dtype dtype, size_t count, guard_side side, int form)
{
    const bool product = form & 1, exclusive = form & 2, backwards = form & 4;
    const size_t bytes = rml_dtype_size(dtype), rows = 1 + random_below(c, 4);
    const size_t pitch = count + random_below(c, 3), all = (rows - 1) * pitch + count;
    const bool whole = !rml_dtype_is_float(dtype);
    char *src = place(c, FIRST, all * bytes, side), *dst = place(c, OUTPUT, all * bytes, side);
    uint64_t *sum = (uint64_t *)(void *)place(c, TOPS, count * 8, side), before[MOST];
    fill(c, dtype, src, all);
    for (size_t i = 0; i < count; i++) {
        const double start = (double)random_float(c);
        sum[i] = random_bits(c);
        if (!whole)
            memcpy(&sum[i], &start, sizeof start);
    }
    memcpy(before, sum, count * sizeof *sum);
    const size_t begin = backwards ? (rows - 1) * pitch * bytes : 0;
    if (!RML_KERNEL(&c->kernels, running)(dtype, src + begin,
                                          backwards ? -(int64_t)pitch : (int64_t)pitch, rows,
                                          dst + begin, sum, count, product, exclusive))
        return;
    c->cases++;
    for (size_t k = 0; k < rows * count; k++) {
        const size_t row = backwards ? rows - 1 - k / count : k / count, i = k % count;
        const size_t at = (row * pitch + i) * bytes;
        char want[8];
        double x, total;
        uint64_t n, after = before[i];
        memcpy(&total, &before[i], sizeof total);
        rml_dtype_convert(dtype, src + at, RML_F64, &x, 1);
        rml_dtype_convert(dtype, src + at, RML_I64, &n, 1);
        const double joined = product ? total * x : total + x;
        after = product ? after * n : after + n;
        if (whole)
            rml_dtype_convert(RML_I64, exclusive ? &before[i] : &after, dtype, want, 1);
        else
            rml_dtype_convert(RML_F64, exclusive ? &total : &joined, dtype, want, 1);
        if (memcmp(want, dst + at, bytes) != 0 && joined == joined)
            check_fail(c, "%s: element %zu of row %zu of %zu", rml_dtype_name(dtype), i, row,
                       count);
        if (whole)
            before[i] = after;
        else
            memcpy(&before[i], &joined, sizeof joined);
    }
    for (size_t i = 0; i < count; i++) {
        double total, want;
        memcpy(&total, &sum[i], sizeof total);
        memcpy(&want, &before[i], sizeof want);
        if (whole ? memcmp(&sum[i], &before[i], bytes) != 0 : total != want && want == want)
            check_fail(c, "%s: sum %zu of %zu", rml_dtype_name(dtype), i, count);
    }
    check_guards(c, "running");
}

void check_running(check *c, int which)
{
    (void)which;
    for (int type = 0; type <= RML_U64; type++)
        for (size_t count = 0; count < MOST; count += 1 + count / 3)
            for (int form = 0; form < 8; form++)
                for (int side = 0; side < GUARD_SIDES; side++)
                    running_case(c, (rml_dtype)type, count, (guard_side)side, form);
}

// Keys of an order in which all numbers are comparable, the best ones the largest.
static uint64_t key_of(rml_dtype dtype, const char *element, bool smallest)
{
    rml_widen one;
    const rml_wide wide = rml_wide_of(dtype);
    rml_widen_load(dtype, element, 1, 0, 1, wide, &one);
    rml_widen_keys(wide, 1, &one);
    return smallest ? ~one.u64[0] : one.u64[0];
}

static bool better(uint64_t key, uint64_t best, bool last)
{
    return key > best || (last && key == best);
}

static void lines_case(check *c, rml_dtype dtype, size_t count, guard_side side, int form)
{
    const bool smallest = form & 1, last = form & 2;
    const size_t bytes = rml_dtype_size(dtype);
    char *src = place(c, FIRST, count * bytes, side), *best = place(c, TOPS, count * bytes, side);
    uint32_t *where = (uint32_t *)(void *)guard_place(&c->buffer[OUTPUT], count, side);
    char before[MOST * 8];
    fill(c, dtype, src, count);
    fill(c, dtype, best, count);
    memcpy(before, best, count * bytes);
    for (size_t i = 0; i < count; i++)
        where[i] = 3;
    if (!RML_KERNEL(&c->kernels, search_lines)(dtype, src, best, where, 7, count, smallest, last))
        return;
    c->cases++;
    for (size_t i = 0; i < count; i++) {
        const bool takes = better(key_of(dtype, src + i * bytes, smallest),
                                  key_of(dtype, before + i * bytes, smallest), last);
        if (where[i] != (takes ? 7u : 3u) ||
            memcmp(best + i * bytes, (takes ? src : before) + i * bytes, bytes) != 0)
            check_fail(c, "%s: line %zu of %zu%s%s", rml_dtype_name(dtype), i, count,
                       smallest ? " smallest" : "", last ? " last" : "");
    }
}

void check_search_lines(check *c, int which)
{
    (void)which;
    for (int type = 0; type <= RML_U64; type++)
        for (size_t count = 0; count < MOST; count += 1 + count / 3)
            for (int form = 0; form < 4; form++)
                for (int side = 0; side < GUARD_SIDES; side++)
                    lines_case(c, (rml_dtype)type, count, (guard_side)side, form);
}

static void row_case(check *c, rml_dtype dtype, size_t count, guard_side side, int form)
{
    const bool smallest = form & 1, last = form & 2;
    const size_t bytes = rml_dtype_size(dtype);
    char *src = place(c, FIRST, count * bytes, side);
    int64_t got = -1, want = 0;
    fill(c, dtype, src, count);
    if (!RML_KERNEL(&c->kernels, search_row)(dtype, src, count, smallest, last, &got))
        return;
    c->cases++;
    uint64_t best = key_of(dtype, src, smallest);
    for (size_t i = 1; i < count; i++) {
        const uint64_t key = key_of(dtype, src + i * bytes, smallest);
        if (better(key, best, last)) {
            best = key;
            want = (int64_t)i;
        }
    }
    if (got != want)
        check_fail(c, "%s: %lld of %zu, expected %lld%s%s", rml_dtype_name(dtype), (long long)got,
                   count, (long long)want, smallest ? ", smallest" : "", last ? ", last" : "");
}

void check_search_row(check *c, int which)
{
    (void)which;
    for (int type = 0; type <= RML_U64; type++)
        for (size_t count = 1; count < 2 * MOST; count += 1 + count / 5)
            for (int form = 0; form < 4; form++)
                for (int side = 0; side < GUARD_SIDES; side++)
                    row_case(c, (rml_dtype)type, count, (guard_side)side, form);
}
