// Cutting an image into tiles that together give the bits of the whole.
//
// Each tile is computed with a border that is thrown away (`halo` pixels wherever the tile is cut),
// starts at a multiple of RML_TILE_STEP, and is no smaller than RML_TILE_LEAST unless the image is.
#ifndef RML_PIPELINES_DENOISE_TILES_H
#define RML_PIPELINES_DENOISE_TILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Winograd convolution rounds blocks of 4x4 values of FFDNet's half size together, and is chosen
// for images of at least 16x16 of them.
#define RML_TILE_STEP 8
#define RML_TILE_LEAST 40 // 32, and room for a last tile that is up to 7 pixels shorter

// Along one side: computed from `start` to `end`, of which `from` to `to` is kept.
typedef struct rml_tile_span {
    int start, end, from, to;
} rml_tile_span;

typedef struct rml_tiling {
    int width, height;      // of the image
    int halo;               // a multiple of RML_TILE_STEP
    int extent_x, extent_y; // most pixels of a tile; the image's own where it is not cut
    int count_x, count_y;
} rml_tiling;

// The tiling of at most `most_pixels` a tile that computes the fewest pixels in all; false when no
// tile is that small.
bool rml_tiling_choose(rml_tiling *out, int width, int height, int halo, int64_t most_pixels);

// Pixels of the smallest tile there can be.
int64_t rml_tiling_least_pixels(int width, int height, int halo);

rml_tile_span rml_tile_column(const rml_tiling *tiling, int index);
rml_tile_span rml_tile_row(const rml_tiling *tiling, int index);

#endif
