#include "engine/memory.h"

#include "tensor/size.h"

#include <string.h>

// Neighbours in time that may be looked at for the smallest gap: so many, and so many a buffer.
// Networks stay far below. What a file makes of more is put on top of its neighbours, in less than
// linear time each.
#define NEIGHBOURS ((size_t)1 << 21)
#define NEIGHBOURS_EACH 16

// Buffers by the step they begin with: a rank is a place in that order. Two live at the same time
// when one of them begins while the other lives, and so at a rank that both cover.
typedef struct planner {
    const rml_allocator *allocator;
    rml_buffer *buffers;
    size_t count, leaves;    // leaves: of a tree over ranks, a power of two
    size_t *by_first, *rank; // what is at each rank; and the other way round
    size_t *order, *met, *spare;
    size_t met_count;
    size_t *last; // tree: the last step, plus one, of the placed buffers of these ranks, or 0
    size_t *top;  // tree: the end of the highest buffer that covers all of these ranks,
    size_t *most; // or any of them
} planner;

static bool larger(const rml_buffer *a, const rml_buffer *b)
{
    return a->bytes >= b->bytes;
}

static bool earlier(const rml_buffer *a, const rml_buffer *b)
{
    return a->first <= b->first;
}

static bool lower(const rml_buffer *a, const rml_buffer *b)
{
    return a->offset <= b->offset;
}

// Sorts ids[0..count); `before` is also true for equal ones, which keep their place, so that a plan
// does not depend on the sort.
static void sort(const planner *p, size_t *ids, size_t count,
                 bool (*before)(const rml_buffer *a, const rml_buffer *b))
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            const size_t middle = rml_min_size(low + width, count);
            const size_t high = rml_min_size(low + 2 * width, count);
            size_t a = low, b = middle;
            for (size_t i = low; i < high; i++) {
                const bool left =
                    a < middle && (b >= high || before(&p->buffers[ids[a]], &p->buffers[ids[b]]));
                p->spare[i] = left ? ids[a++] : ids[b++];
            }
        }
        memcpy(ids, p->spare, count * sizeof *ids);
    }
}

static rml_status begin(planner *p, rml_buffer *buffers, size_t count,
                        const rml_allocator *allocator, rml_error *err)
{
    *p = (planner){.allocator = allocator, .buffers = buffers, .count = count, .leaves = 1};
    while (p->leaves < count)
        p->leaves *= 2;
    p->by_first = rml_alloc_zero(allocator, 5 * count + 2 * p->leaves, sizeof *p->by_first);
    if (!p->by_first)
        return rml_fail_nomem(err, (5 * count + 2 * p->leaves) * sizeof *p->by_first,
                              "the memory plan");
    p->rank = p->by_first + count;
    p->order = p->rank + count;
    p->met = p->order + count;
    p->spare = p->met + count;
    p->last = p->spare + count;
    for (size_t i = 0; i < count; i++)
        p->by_first[i] = p->order[i] = i;
    sort(p, p->by_first, count, earlier);
    for (size_t i = 0; i < count; i++)
        p->rank[p->by_first[i]] = i;
    return RML_OK;
}

static void end(planner *p)
{
    rml_free(p->allocator, p->by_first);
    rml_free(p->allocator, p->top);
}

// How many buffers begin before `step`.
static size_t rank_of(const planner *p, size_t step)
{
    size_t low = 0, high = p->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (p->buffers[p->by_first[middle]].first < step)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// ---- all that live at the same time -------------------------------------------------------------

static void enter(planner *p, size_t id)
{
    const rml_buffer *buffer = &p->buffers[id];
    for (size_t at = p->leaves + p->rank[id]; at > 0; at /= 2)
        if (p->last[at] <= buffer->last)
            p->last[at] = buffer->last + 1;
}

// Of the ranks below node `at`, `width` of them from `low` on, those before `stop`.
static void meet(planner *p, const rml_buffer *buffer, size_t stop, size_t at, size_t low,
                 size_t width)
{
    if (low >= stop || p->last[at] <= buffer->first)
        return;
    if (width == 1) {
        p->met[p->met_count++] = p->by_first[low];
        return;
    }
    meet(p, buffer, stop, 2 * at, low, width / 2);
    meet(p, buffer, stop, 2 * at + 1, low + width / 2, width / 2);
}

// Into the smallest gap, or behind the last one.
static size_t find_gap(planner *p, const rml_buffer *buffer)
{
    size_t stop = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
    p->met_count = 0;
    meet(p, buffer, rank_of(p, buffer->last + 1), 1, 0, p->leaves);
    sort(p, p->met, p->met_count, lower);
    for (size_t k = 0; k < p->met_count; k++) {
        const rml_buffer *other = &p->buffers[p->met[k]];
        if (other->offset > stop && other->offset - stop >= buffer->bytes &&
            other->offset - stop < best_gap) {
            best = stop;
            best_gap = other->offset - stop;
        }
        // bytes fitted when `other` was placed, so this cannot wrap
        const size_t other_stop = rml_round_up(other->offset + other->bytes, RML_ALIGNMENT);
        stop = other_stop > stop ? other_stop : stop;
    }
    return best != SIZE_MAX ? best : stop;
}

// ---- the highest that live at the same time -----------------------------------------------------

// The ranks at which others that live at the same time may begin, [from, to).
typedef struct span {
    size_t from, to;
} span;

static span span_of(const planner *p, const rml_buffer *buffer)
{
    return (span){rank_of(p, buffer->first), rank_of(p, buffer->last + 1)};
}

static void lift(planner *p, span s, size_t stop, size_t at, size_t low, size_t width)
{
    if (low >= s.to || low + width <= s.from)
        return;
    p->most[at] = stop > p->most[at] ? stop : p->most[at];
    if (s.from <= low && low + width <= s.to) {
        p->top[at] = stop > p->top[at] ? stop : p->top[at];
        return;
    }
    lift(p, s, stop, 2 * at, low, width / 2);
    lift(p, s, stop, 2 * at + 1, low + width / 2, width / 2);
}

static size_t highest(const planner *p, span s, size_t at, size_t low, size_t width)
{
    if (low >= s.to || low + width <= s.from)
        return 0;
    if (s.from <= low && low + width <= s.to)
        return p->most[at];
    const size_t left = highest(p, s, 2 * at, low, width / 2);
    const size_t right = highest(p, s, 2 * at + 1, low + width / 2, width / 2);
    const size_t below = left > right ? left : right;
    return below > p->top[at] ? below : p->top[at];
}

static void lift_over(planner *p, const rml_buffer *buffer)
{
    lift(p, span_of(p, buffer), buffer->offset + buffer->bytes, 1, 0, p->leaves);
}

// Makes the trees, and enters the first `placed` of the order.
static rml_status begin_heights(planner *p, size_t placed, rml_error *err)
{
    p->top = rml_alloc_zero(p->allocator, 4 * p->leaves, sizeof *p->top);
    if (!p->top)
        return rml_fail_nomem(err, 4 * p->leaves * sizeof *p->top, "the memory plan");
    p->most = p->top + 2 * p->leaves;
    for (size_t i = 0; i < placed; i++)
        lift_over(p, &p->buffers[p->order[i]]);
    return RML_OK;
}

// ---- plans --------------------------------------------------------------------------------------

static rml_status place_all(planner *p, size_t *total, rml_error *err)
{
    size_t left = NEIGHBOURS + NEIGHBOURS_EACH * p->count;
    sort(p, p->order, p->count, larger);
    for (size_t i = 0; i < p->count; i++) {
        rml_buffer *buffer = &p->buffers[p->order[i]];
        buffer->offset = 0;
        if (buffer->bytes == 0)
            continue;
        if (left == 0 && !p->top)
            RML_TRY(begin_heights(p, i, err));
        buffer->offset =
            left ? find_gap(p, buffer)
                 : rml_round_up(highest(p, span_of(p, buffer), 1, 0, p->leaves), RML_ALIGNMENT);
        size_t stop;
        if (!rml_size_add(buffer->offset, buffer->bytes, &stop) || stop > SIZE_MAX / 2)
            return rml_fail(err, RML_ERR_LIMIT, "the memory plan does not fit the address space");
        if (rml_round_up(stop, RML_ALIGNMENT) > *total)
            *total = rml_round_up(stop, RML_ALIGNMENT);
        if (p->top)
            lift_over(p, buffer);
        else
            enter(p, p->order[i]);
        left -= rml_min_size(left, p->met_count);
    }
    return RML_OK;
}

rml_status rml_memory_plan(rml_buffer *buffers, size_t count, size_t *total,
                           const rml_allocator *allocator, rml_error *err)
{
    planner p;
    *total = 0;
    if (count == 0)
        return RML_OK;
    RML_TRY(begin(&p, buffers, count, allocator, err));
    const rml_status status = place_all(&p, total, err);
    end(&p);
    return status;
}

// From the lowest offset up: whatever lives at the same time and was seen before must end there.
static bool stack_all(planner *p, size_t total)
{
    sort(p, p->order, p->count, lower);
    for (size_t i = 0; i < p->count; i++) {
        const rml_buffer *buffer = &p->buffers[p->order[i]];
        if (buffer->offset % RML_ALIGNMENT ||
            !rml_range_inside(buffer->offset, buffer->bytes, total))
            return false;
        if (buffer->bytes == 0)
            continue;
        if (highest(p, span_of(p, buffer), 1, 0, p->leaves) > buffer->offset)
            return false;
        lift_over(p, buffer);
    }
    return true;
}

rml_status rml_memory_verify(const rml_buffer *buffers, size_t count, size_t total,
                             const rml_allocator *allocator, rml_error *err)
{
    planner p;
    if (count == 0)
        return RML_OK;
    RML_TRY(begin(&p, (rml_buffer *)(uintptr_t)buffers, count, allocator, err)); // reads only
    rml_status status = begin_heights(&p, 0, err);
    if (status == RML_OK && !stack_all(&p, total))
        status = rml_fail(err, RML_ERR_INTERNAL, "the memory plan overlaps");
    end(&p);
    return status;
}
