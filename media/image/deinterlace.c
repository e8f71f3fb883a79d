#include "media/image/deinterlace.h"

#include <stdlib.h>
#include <string.h>

// Pixels to either side that an edge may lean.
#define LEAN 2

// The rows that a missing one is made from, all of one type of sample.
typedef struct {
    const void *above, *below;               // of the field that is kept
    const void *above_before, *below_before; // the same, a picture earlier
    const void *above_after, *below_after;   // and later
    const void *early, *late;                // of the missing field, before and after
    const void *early_above, *late_above;    // the same, two rows above
    const void *early_below, *late_below;    // and below
} neighbours;

static inline int least(int a, int b)
{
    return a < b ? a : b;
}

static inline int most(int a, int b)
{
    return a > b ? a : b;
}

// Both types of samples have the same lines; a macro makes each a loop that can be vectorised.
#define MISSING_ROW(NAME, SAMPLE)                                                                  \
    static inline int NAME##_lean(const SAMPLE *a, const SAMPLE *b, int lean, int step)            \
    {                                                                                              \
        return abs(a[lean - step] - b[-lean - step]) + abs(a[lean] - b[-lean]) +                   \
               abs(a[lean + step] - b[-lean + step]);                                              \
    }                                                                                              \
                                                                                                   \
    static void NAME(const neighbours *rows, SAMPLE *out, int width, int step)                     \
    {                                                                                              \
        const SAMPLE *above = rows->above, *below = rows->below;                                   \
        const SAMPLE *above_before = rows->above_before, *below_before = rows->below_before;       \
        const SAMPLE *above_after = rows->above_after, *below_after = rows->below_after;           \
        const SAMPLE *early = rows->early, *late = rows->late;                                     \
        const SAMPLE *early_above = rows->early_above, *late_above = rows->late_above;             \
        const SAMPLE *early_below = rows->early_below, *late_below = rows->late_below;             \
        const int margin = (LEAN + 1) * step;                                                      \
        for (int x = 0; x < width; x++) {                                                          \
            const int c = above[x], e = below[x], d = (early[x] + late[x]) >> 1;                   \
            const int still = abs(early[x] - late[x]) >> 1;                                        \
            const int past = (abs(above_before[x] - c) + abs(below_before[x] - e)) >> 1;           \
            const int next = (abs(above_after[x] - c) + abs(below_after[x] - e)) >> 1;             \
            const int b = ((early_above[x] + late_above[x]) >> 1) - c;                             \
            const int f = ((early_below[x] + late_below[x]) >> 1) - e;                             \
            const int high = most(most(d - e, d - c), least(b, f));                                \
            const int low = least(least(d - e, d - c), most(b, f));                                \
            const int motion = most(most(still, past), next);                                      \
            const int range = motion ? most(motion, most(low, -high)) : 0;                         \
            int guess = (c + e) >> 1;                                                              \
            if (x >= margin && x < width - margin) {                                               \
                int best = NAME##_lean(above + x, below + x, 0, step) - 1;                         \
                for (int lean = 1; lean <= LEAN; lean++) {                                         \
                    const int k = lean * step;                                                     \
                    const int right = NAME##_lean(above + x, below + x, k, step);                  \
                    const int left = NAME##_lean(above + x, below + x, -k, step);                  \
                    guess = right < best ? (above[x + k] + below[x - k]) >> 1 : guess;             \
                    best = least(best, right);                                                     \
                    guess = left < best ? (above[x - k] + below[x + k]) >> 1 : guess;              \
                    best = least(best, left);                                                      \
                }                                                                                  \
            }                                                                                      \
            out[x] = (SAMPLE)most(least(guess, d + range), d - range);                             \
        }                                                                                          \
    }

MISSING_ROW(missing_u8, uint8_t)
MISSING_ROW(missing_u16, uint16_t)

// Row y, or the nearest row inside of the same field.
static int inside(int y, int height)
{
    if (y < 0)
        return y + 2 < height ? y + 2 : y + 1;
    if (y >= height)
        return y - 2 >= 0 ? y - 2 : y - 1;
    return y;
}

static neighbours around(const rml_woven_plane *p, int y)
{
    const int above = inside(y - 1, p->height), below = inside(y + 1, p->height);
    const int far_above = inside(y - 2, p->height), far_below = inside(y + 2, p->height);
    return (neighbours){
        .above = p->at + above * p->stride,
        .below = p->at + below * p->stride,
        .above_before = p->before + above * p->before_stride,
        .below_before = p->before + below * p->before_stride,
        .above_after = p->after + above * p->after_stride,
        .below_after = p->after + below * p->after_stride,
        .early = p->before + y * p->before_stride,
        .late = p->at + y * p->stride,
        .early_above = p->before + far_above * p->before_stride,
        .late_above = p->at + far_above * p->stride,
        .early_below = p->before + far_below * p->before_stride,
        .late_below = p->at + far_below * p->stride,
    };
}

static void deinterlace(const rml_woven_plane *p, uint8_t *out, ptrdiff_t out_stride, bool wide)
{
    const size_t bytes = (size_t)p->width * (wide ? sizeof(uint16_t) : sizeof(uint8_t));
    for (int y = 0; y < p->height; y++) {
        uint8_t *row = out + y * out_stride;
        if (p->height < 2 || (y % 2 == 0) == p->top_first) {
            memcpy(row, p->at + y * p->stride, bytes);
            continue;
        }
        const neighbours rows = around(p, y);
        if (wide)
            missing_u16(&rows, (uint16_t *)(void *)row, p->width, p->step);
        else
            missing_u8(&rows, row, p->width, p->step);
    }
}

void rml_deinterlace_u8(const rml_woven_plane *plane, uint8_t *out, ptrdiff_t out_stride)
{
    deinterlace(plane, out, out_stride, false);
}

void rml_deinterlace_u16(const rml_woven_plane *plane, uint8_t *out, ptrdiff_t out_stride)
{
    deinterlace(plane, out, out_stride, true);
}
