#include "engine/memory.h"

#include "tensor/size.h"

#include <stdlib.h>

static bool together(const rml_buffer *a, const rml_buffer *b)
{
    return a->bytes && b->bytes && a->first <= b->last && b->first <= a->last;
}

// Sorts order[0..count) so that larger buffers come first; equal ones keep their place, so that a
// plan does not depend on the sort.
static void sort_by_size(const rml_buffer *buffers, size_t *order, size_t *spare, size_t count)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            const size_t middle = rml_min_size(low + width, count);
            const size_t high = rml_min_size(low + 2 * width, count);
            size_t a = low, b = middle;
            for (size_t i = low; i < high; i++) {
                const bool left =
                    a < middle && (b >= high || buffers[order[a]].bytes >= buffers[order[b]].bytes);
                spare[i] = left ? order[a++] : order[b++];
            }
        }
        for (size_t i = 0; i < count; i++)
            order[i] = spare[i];
    }
}

// Inserts `id` into the list of placed buffers, which is sorted by offset.
static void insert_placed(const rml_buffer *buffers, size_t *placed, size_t count, size_t id)
{
    size_t at = count;
    while (at > 0 && buffers[placed[at - 1]].offset > buffers[id].offset) {
        placed[at] = placed[at - 1];
        at--;
    }
    placed[at] = id;
}

rml_status rml_memory_plan(rml_buffer *buffers, size_t count, size_t *total,
                           const rml_allocator *allocator, rml_error *err)
{
    *total = 0;
    if (count == 0)
        return RML_OK;
    size_t *order = rml_alloc_zero(allocator, count * 3, sizeof *order);
    if (!order)
        return rml_fail_nomem(err, count * 3 * sizeof *order, "the memory plan");
    size_t *spare = order + count, *placed = order + 2 * count, placed_count = 0;
    rml_status status = RML_OK;
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    sort_by_size(buffers, order, spare, count);
    for (size_t i = 0; i < count && status == RML_OK; i++) {
        rml_buffer *buffer = &buffers[order[i]];
        buffer->offset = 0;
        if (buffer->bytes == 0)
            continue;
        size_t end = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
        for (size_t k = 0; k < placed_count; k++) {
            const rml_buffer *other = &buffers[placed[k]];
            if (!together(buffer, other))
                continue;
            if (other->offset > end && other->offset - end >= buffer->bytes &&
                other->offset - end < best_gap) {
                best = end;
                best_gap = other->offset - end;
            }
            // bytes fitted when `other` was placed, so this cannot wrap
            const size_t other_end = rml_round_up(other->offset + other->bytes, RML_ALIGNMENT);
            end = other_end > end ? other_end : end;
        }
        buffer->offset = best != SIZE_MAX ? best : end;
        size_t stop;
        if (!rml_size_add(buffer->offset, buffer->bytes, &stop) || stop > SIZE_MAX / 2)
            status = rml_fail(err, RML_ERR_LIMIT, "the memory plan does not fit the address space");
        else if (rml_round_up(stop, RML_ALIGNMENT) > *total)
            *total = rml_round_up(stop, RML_ALIGNMENT);
        insert_placed(buffers, placed, placed_count++, order[i]);
    }
    rml_free(allocator, order);
    return status;
}

bool rml_memory_verify(const rml_buffer *buffers, size_t count, size_t total)
{
    for (size_t i = 0; i < count; i++) {
        if (buffers[i].offset % RML_ALIGNMENT ||
            !rml_range_inside(buffers[i].offset, buffers[i].bytes, total))
            return false;
        for (size_t k = 0; k < i; k++)
            if (together(&buffers[i], &buffers[k]) &&
                buffers[i].offset < buffers[k].offset + buffers[k].bytes &&
                buffers[k].offset < buffers[i].offset + buffers[i].bytes)
                return false;
    }
    return true;
}
