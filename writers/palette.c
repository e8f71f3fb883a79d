// k-means in one dimension: sorted numbers, of which each centre has a run. The first centres are
// quantiles; rounds of means and nearest centres follow until nothing moves.
#include "writers/palette.h"

#include <stdlib.h>
#include <string.h>

#define MOST_ROUNDS 100

static int compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// The first of the sorted numbers that is nearer to the centre on the right of `middle`.
static size_t border(const float *sorted, size_t count, float middle)
{
    size_t low = 0, high = count;
    while (low < high) {
        const size_t at = low + (high - low) / 2;
        if (sorted[at] > middle)
            high = at;
        else
            low = at + 1;
    }
    return low;
}

static float middle_of(float a, float b)
{
    return (float)(((double)a + (double)b) / 2);
}

// Centres that are quantiles of the different numbers' run; fewer where numbers are few.
static int first_centres(const float *sorted, size_t count, int wanted, float *centre)
{
    int used = 0;
    for (int i = 0; i < wanted && count; i++) {
        const size_t at = (size_t)(((double)i + 0.5) / wanted * (double)count);
        if (used == 0 || sorted[at] > centre[used - 1])
            centre[used++] = sorted[at];
    }
    return used;
}

// One round; returns whether a centre has moved. sum[i] is the sum of the first i numbers.
static bool move_centres(const float *sorted, const double *sum, size_t count, float *centre,
                         int used)
{
    bool moved = false;
    size_t from = 0;
    for (int i = 0; i < used; i++) {
        const float old = centre[i];
        const size_t to =
            i + 1 < used ? border(sorted, count, middle_of(old, centre[i + 1])) : count;
        if (to > from)
            centre[i] = (float)((sum[to] - sum[from]) / (double)(to - from));
        moved = moved || centre[i] != old;
        from = to;
    }
    return moved;
}

rml_status rml_palette_make(const float *number, size_t count, int bits, float *table,
                            uint8_t *place, const rml_allocator *allocator, rml_error *err)
{
    const int wanted = 1 << bits;
    float *sorted = rml_alloc(allocator, count * sizeof *sorted + 1);
    double *sum = rml_alloc(allocator, (count + 1) * sizeof *sum);
    rml_status status = RML_OK;
    memset(table, 0, (size_t)wanted * sizeof *table);
    if (sorted && sum) {
        memcpy(sorted, number, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, compare);
        sum[0] = 0;
        for (size_t i = 0; i < count; i++)
            sum[i + 1] = sum[i] + (double)sorted[i];
        const int used = first_centres(sorted, count, wanted, table);
        for (int round = 0; round < MOST_ROUNDS; round++)
            if (!move_centres(sorted, sum, count, table, used))
                break;
        for (size_t i = 0; i < count; i++) {
            int low = 0, high = used - 1;
            while (low < high) {
                const int at = (low + high) / 2;
                if (number[i] > middle_of(table[at], table[at + 1]))
                    low = at + 1;
                else
                    high = at;
            }
            place[i] = (uint8_t)low;
        }
    } else {
        status = rml_fail_nomem(err, count * sizeof *sum, "a palette");
    }
    rml_free(allocator, sorted);
    rml_free(allocator, sum);
    return status;
}
