// Memory planner: no two buffers that live together overlap, nothing below the lower bound, the
// bound itself where it can be reached, and the plan does not depend on chance. The pool: what was
// given back is taken again.
#include "engine/memory.h"
#include "engine/memory_pool.h"
#include "tensor/sanitizer.h"
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/uniform.h"

#define MOST 60

// The most bytes alive in one step, each buffer rounded to the alignment.
static size_t lower_bound(const rml_buffer *buffers, size_t count)
{
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        // the maximum is reached where some buffer starts
        size_t bytes = 0;
        for (size_t k = 0; k < count; k++)
            if (buffers[k].first <= buffers[i].first && buffers[i].first <= buffers[k].last)
                bytes += (buffers[k].bytes + RML_ALIGNMENT - 1) / RML_ALIGNMENT * RML_ALIGNMENT;
        most = bytes > most ? bytes : most;
    }
    return most;
}

// Own check, independent of rml_memory_verify: every byte of every step has one owner at most.
static bool overlaps(const rml_buffer *buffers, size_t count, size_t total)
{
    for (size_t i = 0; i < count; i++) {
        if (buffers[i].bytes && buffers[i].offset + buffers[i].bytes > total)
            return true;
        for (size_t k = 0; k < i; k++) {
            const rml_buffer *a = &buffers[i], *b = &buffers[k];
            const bool apart_in_time = a->last < b->first || b->last < a->first;
            const bool apart =
                a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset;
            if (a->bytes && b->bytes && !apart_in_time && !apart)
                return true;
        }
    }
    return false;
}

static bool verify(const rml_buffer *buffers, size_t count, size_t total)
{
    const rml_status status =
        rml_memory_verify(buffers, count, total, rml_allocator_default(), NULL);
    CHECK(status == RML_OK || status == RML_ERR_INTERNAL);
    return status == RML_OK;
}

// Whether every buffer lies where the rule says, tried in the plainest way: by falling size, in the
// smallest gap between those before it that live at the same time, else behind them.
static bool follows_rule(const rml_buffer *buffers, size_t count)
{
    bool done[MOST] = {false};
    for (size_t turn = 0; turn < count; turn++) {
        size_t at = count, stop = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
        for (size_t i = 0; i < count; i++)
            if (!done[i] && (at == count || buffers[i].bytes > buffers[at].bytes))
                at = i;
        const rml_buffer *buffer = &buffers[at];
        bool met[MOST];
        for (size_t k = 0; k < count; k++)
            met[k] = done[k] && buffers[k].bytes && buffers[k].first <= buffer->last &&
                     buffer->first <= buffers[k].last;
        done[at] = true;
        for (;;) {
            size_t next = count;
            for (size_t k = 0; k < count; k++)
                if (met[k] && (next == count || buffers[k].offset < buffers[next].offset))
                    next = k;
            if (next == count)
                break;
            met[next] = false;
            const size_t low = buffers[next].offset;
            if (low > stop && low - stop >= buffer->bytes && low - stop < best_gap) {
                best = stop;
                best_gap = low - stop;
            }
            const size_t high =
                (low + buffers[next].bytes + RML_ALIGNMENT - 1) / RML_ALIGNMENT * RML_ALIGNMENT;
            stop = high > stop ? high : stop;
        }
        if (buffer->bytes && buffer->offset != (best != SIZE_MAX ? best : stop))
            return false;
    }
    return true;
}

static size_t plan(rml_buffer *buffers, size_t count)
{
    size_t total = 0;
    rml_error err = {0};
    CHECK_MSG(rml_memory_plan(buffers, count, &total, rml_allocator_default(), &err) == RML_OK,
              "%s", err.message);
    CHECK(verify(buffers, count, total) && !overlaps(buffers, count, total));
    for (size_t i = 0; i < count; i++)
        CHECK(buffers[i].offset % RML_ALIGNMENT == 0);
    const size_t least = lower_bound(buffers, count);
    CHECK_MSG(total >= least, "%zu bytes, at least %zu are alive", total, least);
    return total;
}

static void test_random(void)
{
    double worst = 1;
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        rml_buffer buffers[MOST], again[MOST];
        size_t drawn = 0;
        const size_t count = 1 + uniform_bits(seed, drawn++) % MOST;
        for (size_t i = 0; i < count; i++) {
            const size_t first = uniform_bits(seed, drawn++) % 40;
            const size_t length = uniform_bits(seed, drawn++) % (i % 4 ? 4 : 30);
            const size_t size = uniform_bits(seed, drawn++) % (i % 3 ? 500 : 20000);
            buffers[i] = (rml_buffer){.bytes = i % 7 == 5 ? 0 : size,
                                      .first = first,
                                      .last = first + length,
                                      .offset = SIZE_MAX};
        }
        memcpy(again, buffers, sizeof buffers);
        const size_t total = plan(buffers, count), least = lower_bound(buffers, count);
        CHECK(follows_rule(buffers, count));
        CHECK(plan(again, count) == total);
        for (size_t i = 0; i < count; i++)
            CHECK(buffers[i].bytes == 0 || buffers[i].offset == again[i].offset);
        if (least)
            worst = fmax(worst, (double)total / (double)least);
    }
    // greedy is not perfect; this says when a change makes it worse
    CHECK_MSG(worst < 1.6, "%g times the bytes alive", worst);
}

static void test_simple(void)
{
    // a chain, as in a network without branches: two neighbours live at a time
    rml_buffer chain[20];
    for (size_t i = 0; i < 20; i++)
        chain[i] = (rml_buffer){.bytes = 64 * (1 + i), .first = i, .last = i + 1};
    CHECK(plan(chain, 20) == 64 * (19 + 20));
    // all together, and none together
    rml_buffer all[5], none[5];
    for (size_t i = 0; i < 5; i++) {
        all[i] = (rml_buffer){.bytes = 100 * (i + 1), .first = 0, .last = 9};
        none[i] = (rml_buffer){.bytes = 100 * (i + 1), .first = i, .last = i};
    }
    CHECK(plan(all, 5) == 128 + 256 + 320 + 448 + 512);
    CHECK(plan(none, 5) == 512);
    // a gap is filled by what fits it best
    rml_buffer gap[] = {{1024, 0, 9, 0}, {512, 0, 3, 0}, {768, 0, 9, 0}, {512, 4, 9, 0}};
    CHECK(plan(gap, 4) == 1024 + 768 + 512 && gap[1].offset == gap[3].offset);
    // nested lives of a U
    rml_buffer nested[10];
    for (size_t i = 0; i < 10; i++)
        nested[i] = (rml_buffer){.bytes = 256, .first = i, .last = 20 - i};
    CHECK(plan(nested, 10) == 2560);
    rml_buffer nothing = {.bytes = 0, .first = 0, .last = 3};
    CHECK(plan(&nothing, 1) == 0 && plan(NULL, 0) == 0);
}

// As many as a graph may have: minutes if the time were quadratic.
static void test_many(void)
{
    const size_t count = 200000;
    rml_buffer *buffers = malloc(count * sizeof *buffers);
    for (int kind = 0; kind < 3; kind++) {
        size_t total = 0, sum = 0, drawn = 0;
        for (size_t i = 0; i < count; i++) {
            const size_t bytes = RML_ALIGNMENT * (1 + uniform_bits(1, drawn++) % 50);
            const size_t longest = uniform_bits(1, drawn++) % 100 ? 20 : count;
            const size_t last = i + (kind ? uniform_bits(1, drawn++) % longest : 1);
            buffers[i] = (rml_buffer){.bytes = bytes, .first = i, .last = last};
            if (kind == 1)
                buffers[i] = (rml_buffer){.bytes = bytes, .first = 0, .last = count};
            sum += bytes;
        }
        CHECK(rml_memory_plan(buffers, count, &total, rml_allocator_default(), NULL) == RML_OK);
        CHECK(verify(buffers, count, total));
        CHECK(kind == 0 ? total <= 4 * 50 * RML_ALIGNMENT : kind == 1 ? total == sum : total < sum);
    }
    free(buffers);
}

static void test_limits(void)
{
    rml_buffer huge[] = {{SIZE_MAX / 4, 0, 1, 0}, {SIZE_MAX / 4, 0, 1, 0}, {SIZE_MAX / 4, 0, 1, 0}};
    size_t total;
    rml_error err = {0};
    CHECK(rml_memory_plan(huge, 3, &total, rml_allocator_default(), &err) == RML_ERR_LIMIT);
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    rml_buffer one = {64, 0, 0, 0};
    count.fail_at = 1;
    CHECK(rml_memory_plan(&one, 1, &total, &allocator, &err) == RML_ERR_NOMEM);
    CHECK(count.live_bytes == 0);
}

// What verify is there for.
static void test_verify(void)
{
    rml_buffer two[] = {{64, 0, 1, 0}, {64, 1, 2, 64}};
    CHECK(verify(two, 2, 128));
    CHECK(!verify(two, 2, 127));
    two[1].offset = 0;
    CHECK(!verify(two, 2, 128));
    two[1].first = 2;
    CHECK(verify(two, 2, 128));
    two[1].offset = 32;
    CHECK(!verify(two, 2, 128));
    two[1].offset = SIZE_MAX - 63;
    CHECK(!verify(two, 2, 128));
}

// A block that was given back is poison to AddressSanitizer.
static void test_pool(void)
{
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    rml_memory_pool pool = {.allocator = &allocator, .run = 1};
    void *lent = NULL, *again = NULL;
    rml_error err = {0};
    CHECK(rml_memory_pool_take(&pool, 100, &lent, &err) == RML_OK);
    memset(lent, 1, 100);
    rml_memory_pool_give(&pool, lent);
#if RML_WITH_ASAN
    CHECK(__asan_address_is_poisoned(lent) && __asan_address_is_poisoned((char *)lent + 99));
#endif
    CHECK(rml_memory_pool_take(&pool, 100, &again, &err) == RML_OK && again == lent);
    memset(again, 2, 100);
    rml_memory_pool_give(&pool, again);
    rml_memory_pool_release(&pool);
    CHECK(count.live_bytes == 0);
}

int main(void)
{
    test_pool();
    test_random();
    test_simple();
    test_limits();
    test_many();
    test_verify();
    return check_result();
}
