#include "pipelines/lipsync/seam.h"

#include "tensor/alloc.h"

#include <math.h>
#include <string.h>

// Full multigrid: a grid of pixels, and coarser ones whose cells are 2 x 2 cells of the one before,
// down to the one in which no value is looked for. The solution goes from the coarsest to the
// finest; on the way each grid solves for its own error on the coarser ones.
enum {
    MAX_LEVELS = 16, // halve RML_FRAME_MAX_SIDE down to 1
    SWEEPS = 3,      // before a grid asks the coarser one for its error, and after
    COLOURS = 3
};
// Of each sweep how far it goes: the roots of the Chebyshev polynomial on 0.15..2, the part of the
// spectrum that the coarser grid, whose edge lies further inside, leaves over.
static const float steps[SWEEPS] = {0.5330f, 0.9302f, 3.6506f};

typedef struct grid {
    int width, height;
    float *free;          // 1 where a value is looked for, 0 where it is given
    float *edge;          // how many pixels of the edge a cell holds: these give its value
    float *value, *other; // a sweep reads one and writes the other
    float *wanted;        // what value - mean of its neighbours is to be
} grid;

struct rml_seam {
    const rml_allocator *allocator;
    float *room; // of all grids
    size_t capacity;
    grid grids[MAX_LEVELS];
    int levels;
};

rml_status rml_seam_create(rml_seam **out, const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_seam *seam;
    RML_TRY(rml_make(allocator, &seam, 1, sizeof *seam, "a seam", err));
    seam->allocator = allocator;
    *out = seam;
    return RML_OK;
}

void rml_seam_destroy(rml_seam **seam)
{
    rml_seam *old = *seam;
    *seam = NULL;
    if (!old)
        return;
    rml_free(old->allocator, old->room);
    rml_free(old->allocator, old);
}

static size_t cells(const grid *g)
{
    return (size_t)g->width * (size_t)g->height;
}

static int nearest(int index, int count)
{
    return index < 0 ? 0 : index >= count ? count - 1 : index;
}

static const float *row_of(const grid *g, const float *values, int y)
{
    return values + (size_t)nearest(y, g->height) * (size_t)g->width;
}

// ---- one grid ---------------------------------------------------------------------------------

// Beyond the sides of a grid are the values at its sides: only where the membrane is free are these
// looked for.
static float lack(float value, float left, float right, float up, float down, float wanted)
{
    return 0.25f * ((left + right) + (up + down)) - value + wanted;
}

// What is lacking in row y until the equation holds, 0 where the value is given.
static void lack_of_row(const grid *g, int y, float *restrict out)
{
    const float *v = row_of(g, g->value, y), *up = row_of(g, g->value, y - 1);
    const float *down = row_of(g, g->value, y + 1), *wanted = row_of(g, g->wanted, y);
    const float *is_free = row_of(g, g->free, y);
    const int last = g->width - 1;
    out[0] = is_free[0] * lack(v[0], v[0], v[last > 0], up[0], down[0], wanted[0]);
    for (int x = 1; x < last; x++)
        out[x] = is_free[x] * lack(v[x], v[x - 1], v[x + 1], up[x], down[x], wanted[x]);
    if (last > 0)
        out[last] =
            is_free[last] * lack(v[last], v[last - 1], v[last], up[last], down[last], wanted[last]);
}

static void sweep(grid *g)
{
    for (int i = 0; i < SWEEPS; i++) {
        for (int y = 0; y < g->height; y++) {
            float *out = g->other + (size_t)y * (size_t)g->width;
            const float *v = row_of(g, g->value, y);
            lack_of_row(g, y, out);
            for (int x = 0; x < g->width; x++)
                out[x] = v[x] + steps[i] * out[x];
        }
        float *const swept = g->other;
        g->other = g->value;
        g->value = swept;
    }
}

// ---- from grid to grid ------------------------------------------------------------------------

// A cell is free when all of its four are. False when none is.
static bool coarsen_shape(const grid *fine, grid *coarse)
{
    bool any = false;
    float *is_free = coarse->free, *edge = coarse->edge;
    for (int y = 0; y < coarse->height; y++) {
        const float *f0 = row_of(fine, fine->free, 2 * y),
                    *f1 = row_of(fine, fine->free, 2 * y + 1);
        const float *e0 = row_of(fine, fine->edge, 2 * y);
        const bool two = 2 * y + 1 < fine->height;
        const float *e1 = row_of(fine, fine->edge, 2 * y + 1);
        for (int x = 0; x < coarse->width; x++) {
            const int a = 2 * x, b = nearest(a + 1, fine->width);
            *is_free = f0[a] * f0[b] * f1[a] * f1[b];
            *edge = e0[a] + (b > a ? e0[b] : 0) + (two ? e1[a] + (b > a ? e1[b] : 0) : 0);
            any |= *is_free > 0;
            is_free++;
            edge++;
        }
    }
    return any;
}

// The mean of the edge within each cell; 0 without any, as where values are looked for.
static void coarsen_edge(const grid *fine, grid *coarse)
{
    float *value = coarse->value;
    const float *edge = coarse->edge;
    for (int y = 0; y < coarse->height; y++)
        for (int x = 0; x < coarse->width; x++, value++, edge++) {
            float sum = 0;
            if (*edge > 0)
                for (int j = 2 * y; j < 2 * y + 2 && j < fine->height; j++)
                    for (int i = 2 * x; i < 2 * x + 2 && i < fine->width; i++)
                        sum += row_of(fine, fine->edge, j)[i] * row_of(fine, fine->value, j)[i];
            *value = *edge > 0 ? sum / *edge : 0;
        }
}

// What the finer grid lacks becomes what is wanted of its error: the sum over each cell, so that
// none is lost at sides where the membrane is free.
static void coarsen_lack(const grid *fine, grid *coarse)
{
    const int pairs = fine->width / 2;
    float *const lacking = fine->other, *const below = lacking + fine->width;
    for (int y = 0; y < coarse->height; y++) {
        float *wanted = coarse->wanted + (size_t)y * (size_t)coarse->width;
        lack_of_row(fine, 2 * y, lacking);
        if (2 * y + 1 < fine->height) {
            lack_of_row(fine, 2 * y + 1, below);
            for (int x = 0; x < fine->width; x++)
                lacking[x] += below[x];
        }
        for (int x = 0; x < pairs; x++)
            wanted[x] = lacking[2 * x] + lacking[2 * x + 1];
        if (fine->width % 2)
            wanted[pairs] = lacking[2 * pairs];
    }
}

// Adds the values of the coarser grid, bilinear, where values are looked for.
static void refine(const grid *coarse, grid *fine)
{
    float *const mixed = fine->other; // a row of the coarser grid, between two of them
    for (int y = 0; y < fine->height; y++) {
        const float *near = row_of(coarse, coarse->value, y / 2);
        const float *far = row_of(coarse, coarse->value, y % 2 ? y / 2 + 1 : y / 2 - 1);
        const int last = coarse->width - 1;
        for (int x = 0; x <= last; x++)
            mixed[x] = 0.75f * near[x] + 0.25f * far[x];
        float *value = fine->value + (size_t)y * (size_t)fine->width;
        const float *is_free = row_of(fine, fine->free, y);
        value[0] += is_free[0] * mixed[0];
        for (int x = 0; x < last; x++) {
            value[2 * x + 1] += is_free[2 * x + 1] * (0.75f * mixed[x] + 0.25f * mixed[x + 1]);
            value[2 * x + 2] += is_free[2 * x + 2] * (0.75f * mixed[x + 1] + 0.25f * mixed[x]);
        }
        if (2 * last + 1 < fine->width)
            value[2 * last + 1] += is_free[2 * last + 1] * mixed[last];
    }
}

static void clear(float *values, const grid *g)
{
    memset(values, 0, cells(g) * sizeof *values);
}

static void cycle(rml_seam *seam, int level)
{
    grid *g = &seam->grids[level], *coarse = g + 1;
    if (level + 1 == seam->levels)
        return; // all is given
    sweep(g);
    coarsen_lack(g, coarse);
    clear(coarse->value, coarse);
    cycle(seam, level + 1);
    refine(coarse, g);
    sweep(g);
}

// From the values of the edge on the finest grid, and 0 elsewhere.
static void solve(rml_seam *seam)
{
    for (int level = 1; level < seam->levels; level++)
        coarsen_edge(&seam->grids[level - 1], &seam->grids[level]);
    for (int level = seam->levels - 2; level >= 0; level--) {
        grid *g = &seam->grids[level];
        clear(g->wanted, g);
        refine(g + 1, g);
        cycle(seam, level);
    }
}

// ---- the picture ------------------------------------------------------------------------------

static rml_status make_grids(rml_seam *seam, int width, int height, rml_error *err)
{
    size_t total = 0;
    int levels = 0;
    for (int w = width, h = height;; w = (w + 1) / 2, h = (h + 1) / 2) {
        seam->grids[levels++] = (grid){.width = w, .height = h};
        total = rml_sat_add(total, rml_sat_mul(5, rml_sat_mul((size_t)w, (size_t)h)));
        if (w == 1 && h == 1)
            break;
    }
    RML_TRY(rml_reserve(seam->allocator, &seam->room, &seam->capacity, total, sizeof *seam->room,
                        "the seam of a face", err));
    float *next = seam->room;
    for (int i = 0; i < levels; i++) {
        grid *g = &seam->grids[i];
        float **const parts[5] = {&g->free, &g->edge, &g->value, &g->other, &g->wanted};
        for (int k = 0; k < 5; k++, next += cells(g))
            *parts[k] = next;
    }
    seam->levels = levels;
    return RML_OK;
}

// 1 where column x of the row is given and one of those around it is looked for.
static float touches(const float *up, const float *row, const float *down, int left, int right,
                     int x)
{
    const float around = (up[left] + up[x] + up[right]) + (row[left] + row[right]) +
                         (down[left] + down[x] + down[right]);
    return (float)((row[x] == 0) & (around > 0)); // no branch: a matter of vectors
}

// Which pixels of `part` are looked for, and which of the others touch them, if only at a corner: a
// coarser grid reads these when it is refined.
static void find_edge(grid *g, const float *mask, int width, int height, const rml_part *part,
                      rml_mask_border border)
{
    for (int y = 0; y < g->height; y++) {
        const int row = part->y + y;
        const bool given = (row == 0 && !border.top) || (row == height - 1 && !border.bottom);
        const float *weights = mask + (size_t)row * (size_t)width + (size_t)part->x;
        float *is_free = g->free + (size_t)y * (size_t)g->width;
        for (int x = 0; x < g->width; x++)
            is_free[x] = weights[x] > 0 && !given;
        if (part->x == 0 && !border.left)
            is_free[0] = 0;
        if (part->x + g->width == width && !border.right)
            is_free[g->width - 1] = 0;
    }
    for (int y = 0; y < g->height; y++) {
        const float *f = row_of(g, g->free, y);
        const float *up = row_of(g, g->free, y - 1), *down = row_of(g, g->free, y + 1);
        float *restrict edge = g->edge + (size_t)y * (size_t)g->width;
        const int last = g->width - 1;
        edge[0] = touches(up, f, down, 0, last > 0, 0);
        for (int x = 1; x < last; x++)
            edge[x] = touches(up, f, down, x - 1, x + 1, x);
        edge[last] = touches(up, f, down, last > 0 ? last - 1 : 0, last, last);
    }
}

// Of the edge: the sum of |old - made| over its pixels, which are counted.
static float sum_of_edge(const grid *g, const float *made, const float *old, size_t pitch,
                         size_t *count)
{
    float sum = 0;
    for (int y = 0; y < g->height; y++)
        for (int x = 0; x < g->width; x++) {
            const size_t pixel = (size_t)y * pitch + (size_t)x;
            if (row_of(g, g->edge, y)[x] > 0) {
                sum += fabsf(old[pixel] - made[pixel]);
                ++*count;
            }
        }
    return sum;
}

static void match_plane(rml_seam *seam, float *made, const float *old, const float *mask,
                        size_t pitch)
{
    grid *g = &seam->grids[0];
    for (int y = 0; y < g->height; y++) {
        const size_t at = (size_t)y * (size_t)g->width, row = (size_t)y * pitch;
        const float *was = old + row, *now = made + row, *is_free = g->free + at;
        float *restrict value = g->value + at;
        for (int x = 0; x < g->width; x++)
            value[x] = (1 - is_free[x]) * (was[x] - now[x]);
    }
    solve(seam);
    for (int y = 0; y < g->height; y++) {
        const float *value = g->value + (size_t)y * (size_t)g->width;
        const float *weights = mask + (size_t)y * pitch;
        float *restrict now = made + (size_t)y * pitch;
        for (int x = 0; x < g->width; x++)
            now[x] += (float)(weights[x] > 0) * value[x];
    }
}

rml_status rml_seam_match(rml_seam *seam, float *made, const float *old, const float *mask,
                          int width, int height, rml_mask_border border, float *step,
                          rml_error *err)
{
    if (step)
        *step = 0;
    if (width < 1 || height < 1 || width > RML_FRAME_MAX_SIDE || height > RML_FRAME_MAX_SIDE)
        return rml_fail(err, RML_ERR_ARG, "seam: the face is %dx%d", width, height);
    const rml_part part = rml_mask_surroundings(mask, width, height);
    if (!part.width)
        return RML_OK;
    RML_TRY(make_grids(seam, part.width, part.height, err));
    find_edge(&seam->grids[0], mask, width, height, &part, border);
    for (int level = 1; level < seam->levels; level++)
        if (!coarsen_shape(&seam->grids[level - 1], &seam->grids[level]))
            seam->levels = level + 1;
    const size_t pitch = (size_t)width, plane = pitch * (size_t)height;
    const size_t corner = (size_t)part.y * pitch + (size_t)part.x;
    float sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < COLOURS; i++) {
        float *to = made + i * plane + corner;
        const float *from = old + i * plane + corner;
        if (step)
            sum += sum_of_edge(&seam->grids[0], to, from, pitch, &count);
        match_plane(seam, to, from, mask + corner, pitch);
    }
    if (count)
        *step = sum / (float)count;
    return RML_OK;
}
