// Products of bf16 pairs on the tiles of AMX: 16 x 16 sums take 16 pairs of depth in one
// instruction. The packed panels are what it wants: rows of pairs, 16 columns side by side.
//
// Tiles are set up and given back in every call, which costs less than one step of depth in f32, so
// that the kernel keeps no state and the system has none to save.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_avx512.h"

#include <math.h>
#include <string.h>

#if !defined(__AMX_BF16__) && !defined(__AMXBF16__) // as clang before 15 has it
#error "this file needs -mamx-tile -mamx-bf16"
#endif

#define DEPTH 16 // pairs in a step
#define MR 12

// Tiles 0, 1: sums of both halves of the columns. 2: a, 3 and 4: b. 5 to 7: the same where less
// than a step is left.
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

static void set_up(size_t rows, size_t rest)
{
    const uint8_t height = (uint8_t)rows, left = (uint8_t)(rest ? rest : 1);
    const tile_config config = {.palette = 1,
                                .row_bytes = {64, 64, 64, 64, 64, (uint16_t)(4 * left), 64, 64},
                                .rows = {height, height, height, DEPTH, DEPTH, height, left, left}};
    _tile_loadconfig(&config);
}

// Bytes from each row to the next, or 0 where they lie at uneven steps.
static ptrdiff_t step_of(const float *const *a, size_t rows)
{
    const ptrdiff_t step = rows > 1 ? (const char *)a[1] - (const char *)a[0] : 64;
    for (size_t i = 2; i < rows; i++)
        if ((const char *)a[i] - (const char *)a[i - 1] != step)
            return 0;
    return step;
}

// `count` pairs of each row from `at` on, in rows of DEPTH.
static void gather(const float *const *a, size_t rows, size_t at, size_t count, float *dst)
{
    for (size_t i = 0; i < rows; i++)
        vf32_store_part(dst + i * DEPTH, vf32_load_part(a[i] + at, count), count);
}

static void multiply(const rml_gemm_tile *tile, const bool wide, size_t rest)
{
    const size_t pitch = wide ? 32 : 16, row_bytes = pitch * sizeof(float);
    const float *b = tile->b;
    float rows[MR * DEPTH];
    for (size_t t = 0; t < tile->taps; t++) {
        const float *const *a = tile->a + t * MR;
        const ptrdiff_t step = step_of(a, tile->rows);
        size_t k = 0;
        for (; k + DEPTH <= tile->depth; k += DEPTH, b += DEPTH * pitch) {
            if (!step)
                gather(a, tile->rows, k, DEPTH, rows);
            _tile_loadd(2, step ? a[0] + k : rows, step ? step : 64);
            _tile_loadd(3, b, row_bytes);
            _tile_dpbf16ps(0, 2, 3);
            if (wide) {
                _tile_loadd(4, b + 16, row_bytes);
                _tile_dpbf16ps(1, 2, 4);
            }
        }
        if (!rest)
            continue;
        if (!step)
            gather(a, tile->rows, k, rest, rows);
        _tile_loadd(5, step ? a[0] + k : rows, step ? step : 64);
        _tile_loadd(6, b, row_bytes);
        _tile_dpbf16ps(0, 5, 6);
        if (wide) {
            _tile_loadd(7, b + 16, row_bytes);
            _tile_dpbf16ps(1, 5, 7);
        }
        b += rest * pitch;
    }
}

static void finish(const rml_gemm_tile *tile, const float *sums, size_t first, size_t count)
{
    const vf32 low = vf32_set(tile->low), high = vf32_set(tile->high);
    const vf32 bias = tile->bias ? vf32_load_part(tile->bias + first, count) : vf32_set(0.0f);
    for (size_t i = 0; i < tile->rows; i++) {
        vf32 value = vf32_add(vf32_load(sums + i * 16), bias);
        if (tile->residual)
            value = vf32_add(value, vf32_load_part(tile->residual[i] + first, count));
        value = vf32_at_most(vf32_at_least(value, low), high);
        vf32_store_part(tile->c[i] + first, value, count);
    }
}

// Sums that nothing is added to, in rows at even steps, go where they belong at once.
static bool store_plain(const rml_gemm_tile *tile, bool wide)
{
    const ptrdiff_t step = step_of((const float *const *)tile->c, tile->rows);
    if (!step || tile->cols != (wide ? 32 : 16) || tile->bias || tile->residual ||
        tile->low != -INFINITY || tile->high != INFINITY)
        return false;
    _tile_stored(0, tile->c[0], step);
    if (wide)
        _tile_stored(1, tile->c[0] + 16, step);
    _tile_release();
    return true;
}

void rml_gemm_bf16_amxbf16(const rml_gemm_tile *tile)
{
    const bool wide = tile->cols > 16;
    float low[MR * 16], high[MR * 16];
    set_up(tile->rows, tile->depth % DEPTH);
    _tile_zero(0);
    _tile_zero(1);
    multiply(tile, wide, tile->depth % DEPTH);
    if (store_plain(tile, wide))
        return;
    _tile_stored(0, low, 64);
    if (wide)
        _tile_stored(1, high, 64);
    _tile_release();
    finish(tile, low, 0, wide ? 16 : tile->cols);
    if (wide)
        finish(tile, high, 16, tile->cols - 16);
}
