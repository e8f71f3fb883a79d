// k-means in one dimension: sorted numbers, of which each centre has a run. The best runs of
// bins come first, by dynamic programming; then rounds of means and nearest centres until nothing
// moves.
#include "writers/palette.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ROUNDS 100
#define BINS 1024

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

// As many different numbers as there are, at most `most`, to `out`; `most` + 1: more.
static int different(const float *sorted, size_t count, int most, float *out)
{
    int used = 0;
    for (size_t i = 0; i < count; i++) {
        if (used && sorted[i] == out[used - 1])
            continue;
        if (used == most)
            return most + 1;
        out[used++] = sorted[i];
    }
    return used;
}

// Numbers in BINS bins of one width: how many come before the end of each, their sum, and that of
// their squares. And the best ways to cut the first bins into runs.
typedef struct plan {
    double count[BINS + 1], sum[BINS + 1], square[BINS + 1];
    double last[BINS + 1], now[BINS + 1]; // least errors of one run fewer, and of as many
    uint16_t from[1 << RML_PALETTE_MAX_BITS][BINS + 1]; // where the last run begins
} plan;

// What the mean of a run of bins leaves, in squares.
static double error_of(const plan *p, int from, int to)
{
    const double count = p->count[to] - p->count[from], sum = p->sum[to] - p->sum[from];
    return count > 0 ? p->square[to] - p->square[from] - sum * sum / count : 0;
}

// Row `k` for ends from `low` to `high`: the last run of a later end begins no earlier, so that the
// one in the middle bounds both halves.
static void fill_row(plan *p, int k, int low, int high, int first, int last)
{
    if (low > high)
        return;
    const int middle = (low + high) / 2;
    int best = first;
    p->now[middle] = INFINITY;
    for (int from = first; from <= last && from <= middle; from++) {
        const double error = p->last[from] + error_of(p, from, middle);
        if (error < p->now[middle]) {
            p->now[middle] = error;
            best = from;
        }
    }
    p->from[k][middle] = (uint16_t)best;
    fill_row(p, k, low, middle - 1, first, best);
    fill_row(p, k, middle + 1, high, best, last);
}

static void fill_bins(plan *p, const float *sorted, const double *sum, size_t count)
{
    const double low = (double)sorted[0], width = ((double)sorted[count - 1] - low) / BINS;
    double square = 0;
    size_t at = 0;
    p->count[0] = p->sum[0] = p->square[0] = 0;
    for (int b = 1; b <= BINS; b++) {
        const size_t to = b < BINS ? border(sorted, count, (float)(low + width * b)) : count;
        for (; at < to; at++)
            square += (double)sorted[at] * (double)sorted[at];
        p->count[b] = (double)at;
        p->sum[b] = sum[at];
        p->square[b] = square;
    }
}

// The means of the best runs of whole bins.
static int first_centres(plan *p, int wanted, float *centre)
{
    float backwards[1 << RML_PALETTE_MAX_BITS];
    int used = 0, end = BINS;
    for (int b = 0; b <= BINS; b++)
        p->last[b] = error_of(p, 0, b);
    memset(p->from[0], 0, sizeof p->from[0]);
    for (int k = 1; k < wanted; k++) {
        fill_row(p, k, 0, BINS, 0, BINS);
        memcpy(p->last, p->now, sizeof p->last);
    }
    for (int k = wanted - 1; k >= 0; k--) {
        const int from = p->from[k][end];
        const double count = p->count[end] - p->count[from];
        if (count > 0)
            backwards[used++] = (float)((p->sum[end] - p->sum[from]) / count);
        end = from;
    }
    for (int i = 0; i < used; i++)
        centre[i] = backwards[used - 1 - i];
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
    plan *p = rml_alloc(allocator, sizeof *p);
    rml_status status = RML_OK;
    memset(table, 0, (size_t)wanted * sizeof *table);
    if (sorted && sum && p && count) {
        memcpy(sorted, number, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, compare);
        sum[0] = 0;
        for (size_t i = 0; i < count; i++)
            sum[i + 1] = sum[i] + (double)sorted[i];
        int used = different(sorted, count, wanted, table);
        bool moves = used > wanted;
        if (moves) {
            fill_bins(p, sorted, sum, count);
            used = first_centres(p, wanted, table);
        }
        for (int round = 0; round < MOST_ROUNDS && moves; round++)
            moves = move_centres(sorted, sum, count, table, used);
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
    } else if (!sorted || !sum || !p) {
        status = rml_fail_nomem(err, count * sizeof *sum, "a palette");
    }
    rml_free(allocator, sorted);
    rml_free(allocator, sum);
    rml_free(allocator, p);
    return status;
}
