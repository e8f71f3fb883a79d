#include "pipelines/denoise/tiles.h"

static int round_up(int value)
{
    return (value + RML_TILE_STEP - 1) / RML_TILE_STEP * RML_TILE_STEP;
}

// The smallest extent of a tile, for a side that is cut.
static int least_extent(int halo)
{
    const int least = 2 * halo + RML_TILE_STEP;
    return least > RML_TILE_LEAST ? least : RML_TILE_LEAST;
}

// Extent of `count` tiles that share a side evenly.
static int extent_of(int side, int halo, int count)
{
    if (count == 1)
        return side;
    const int inside = side - 2 * halo, least = least_extent(halo);
    int extent = inside > 0 ? round_up((inside + count - 1) / count) + 2 * halo : 0;
    extent = extent > least ? extent : least;
    return extent < side ? extent : side;
}

// Number of tiles of this extent.
static int count_of(int side, int halo, int extent)
{
    if (extent >= side)
        return 1;
    const int step = extent - 2 * halo;
    return 1 + (side - extent + step - 1) / step;
}

static rml_tile_span span(int side, int halo, int extent, int count, int index)
{
    const int step = extent - 2 * halo;
    rml_tile_span s = {index * step, index * step + extent, index * step + halo,
                       (index + 1) * step + halo};
    if (index == 0)
        s.from = 0;
    if (index == count - 1) {
        // No larger than the others, and still at a multiple of the step.
        s.start = extent >= side ? 0 : round_up(side - extent);
        s.end = s.to = side;
    }
    return s;
}

rml_tile_span rml_tile_column(const rml_tiling *t, int index)
{
    return span(t->width, t->halo, t->extent_x, t->count_x, index);
}

rml_tile_span rml_tile_row(const rml_tiling *t, int index)
{
    return span(t->height, t->halo, t->extent_y, t->count_y, index);
}

static int smallest(int side, int halo)
{
    const int least = least_extent(halo);
    return side < least ? side : least;
}

int64_t rml_tiling_least_pixels(int width, int height, int halo)
{
    return (int64_t)smallest(width, halo) * smallest(height, halo);
}

bool rml_tiling_choose(rml_tiling *out, int width, int height, int halo, int64_t most_pixels)
{
    int64_t best = INT64_MAX;
    const int most_columns = count_of(width, halo, least_extent(halo));
    for (int columns = 1; columns <= most_columns; columns++) {
        rml_tiling t = {.width = width, .height = height, .halo = halo};
        t.extent_x = extent_of(width, halo, columns);
        t.count_x = count_of(width, halo, t.extent_x);
        const int64_t rows = most_pixels / t.extent_x;
        int extent = rows < height ? (int)rows / RML_TILE_STEP * RML_TILE_STEP : height;
        if (extent < smallest(height, halo))
            continue;
        t.count_y = count_of(height, halo, extent);
        t.extent_y = extent_of(height, halo, t.count_y);
        t.count_y = count_of(height, halo, t.extent_y);
        const int64_t work = (int64_t)t.count_x * t.extent_x * t.count_y * t.extent_y;
        if (work < best) {
            best = work;
            *out = t;
        }
    }
    return best != INT64_MAX;
}
