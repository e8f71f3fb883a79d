// Products of bf16 on the tiles of AMX: 16 x 16 sums take 32 elements of depth in one instruction.
// Two tiles of rows meet two of columns, so that each that is loaded is used twice. The packed
// panels are what the instruction wants: rows of pairs, 16 columns side by side.
//
// Tiles are configured by `begin`, once for many calls: that takes as long as ten products. Rows of
// operands should begin at cache lines; a tile of others takes four times as long to load.
#include "kernels/kernels_internal.h"
#include "kernels/simd/f32_avx512.h"

#include <math.h>
#include <string.h>

#if !defined(__AMX_BF16__) && !defined(__AMXBF16__) // as clang before 15 has it
#error "this file needs -mamx-tile -mamx-bf16"
#endif

#define DEPTH 32 // elements in a step
#define SIDE 16  // rows, and columns, of a tile
#define MR 32

typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

// Tiles 0 to 3: sums of low and high rows and columns. 4, 5: a. 6, 7: b.
void rml_gemm_begin_amxbf16(void)
{
    static const tile_config config = {.palette = 1,
                                       .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                                       .rows = {SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE}};
    _tile_loadconfig(&config);
}

void rml_gemm_end_amxbf16(void)
{
    _tile_release(); // else the system saves 8 KB with every switch to another task
}

// Bytes from each of SIDE rows to the next, or 0 where they lie at uneven steps or are fewer.
static ptrdiff_t step_of(const void *const *a, size_t rows)
{
    if (rows < SIDE)
        return 0;
    const ptrdiff_t step = (const char *)a[1] - (const char *)a[0];
    for (size_t i = 2; i < SIDE; i++)
        if ((const char *)a[i] - (const char *)a[i - 1] != step)
            return 0;
    return step;
}

// Rows of one tile at a step of depth: where they are, or side by side in `dst`, where what lies
// behind the last row never meets a sum that is kept.
typedef struct source {
    const void *const *a;
    size_t rows;
    ptrdiff_t step;
    uint16_t *gathered;
} source;

static inline const void *rows_at(const source *from, size_t k)
{
    if (from->step)
        return (const uint16_t *)from->a[0] + k;
    for (size_t i = 0; i < from->rows; i++)
        _mm512_store_si512(from->gathered + i * DEPTH,
                           _mm512_loadu_si512((const uint16_t *)from->a[i] + k));
    return from->gathered;
}

static inline __attribute__((always_inline)) void
multiply(const rml_gemm_tile *tile, const bool tall, const bool wide, uint16_t *gathered)
{
    const size_t pitch = wide ? 2 * SIDE : SIDE;
    const uint16_t *b = tile->b;
    for (size_t t = 0; t < tile->taps; t++) {
        const void *const *a = tile->a + t * MR;
        const source low = {a, tall ? SIDE : tile->rows, step_of(a, tile->rows), gathered};
        source high = low;
        if (tall)
            high = (source){a + SIDE, tile->rows - SIDE, step_of(a + SIDE, tile->rows - SIDE),
                            gathered + SIDE * DEPTH};
        const ptrdiff_t low_step = low.step ? low.step : 64;
        const ptrdiff_t high_step = high.step ? high.step : 64;
        for (size_t k = 0; k < tile->depth; k += DEPTH, b += DEPTH * pitch) {
            _tile_loadd(6, b, pitch * 4);
            _tile_loadd(4, rows_at(&low, k), low_step);
            _tile_dpbf16ps(0, 4, 6);
            if (wide) {
                _tile_loadd(7, b + 2 * SIDE, pitch * 4);
                _tile_dpbf16ps(1, 4, 7);
            }
            if (tall) {
                _tile_loadd(5, rows_at(&high, k), high_step);
                _tile_dpbf16ps(2, 5, 6);
                if (wide)
                    _tile_dpbf16ps(3, 5, 7);
            }
        }
    }
}

static void finish(const rml_gemm_tile *tile, const float *sums, size_t row, size_t column)
{
    const size_t rows = tile->rows - row < SIDE ? tile->rows - row : SIDE;
    const size_t count = tile->cols - column < SIDE ? tile->cols - column : SIDE;
    const vf32 low = vf32_set(tile->low), high = vf32_set(tile->high);
    vf32 bias = tile->bias ? vf32_load_part(tile->bias + column, count) : vf32_set(0.0f);
    for (size_t i = 0; i < rows; i++) {
        if (tile->row_bias)
            bias = vf32_set(tile->row_bias[row + i]);
        vf32 value = vf32_add(vf32_load(sums + i * SIDE), bias);
        if (tile->residual)
            value = vf32_add(value, vf32_load_part(tile->residual[row + i] + column, count));
        value = vf32_at_most(vf32_at_least(value, low), high);
        vf32_store_part(tile->c[row + i] + column, value, count);
    }
}

// Sums that nothing is added to go where they belong at once, where rows are full and at even
// steps.
static ptrdiff_t plain_step(const rml_gemm_tile *tile, size_t row)
{
    if (tile->cols % SIDE || tile->bias || tile->row_bias || tile->residual ||
        tile->low != -INFINITY || tile->high != INFINITY)
        return 0;
    return step_of((const void *const *)(tile->c + row), tile->rows - row);
}

#define STORE(number, row, column)                                                                 \
    {                                                                                              \
        const ptrdiff_t step = plain_step(tile, row);                                              \
        if (step) {                                                                                \
            _tile_stored(number, tile->c[row] + (column), step);                                   \
        } else {                                                                                   \
            _tile_stored(number, sums, 64);                                                        \
            finish(tile, sums, row, column);                                                       \
        }                                                                                          \
    }

void rml_gemm_bf16_amxbf16(const rml_gemm_tile *tile)
{
    _Alignas(64) uint16_t gathered[MR * DEPTH];
    _Alignas(64) float sums[SIDE * SIDE];
    const bool tall = tile->rows > SIDE, wide = tile->cols > SIDE;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (tall && wide)
        multiply(tile, true, true, gathered);
    else if (tall)
        multiply(tile, true, false, gathered);
    else if (wide)
        multiply(tile, false, true, gathered);
    else
        multiply(tile, false, false, gathered);
    STORE(0, 0, 0)
    if (wide)
        STORE(1, 0, SIDE)
    if (tall)
        STORE(2, SIDE, 0)
    if (tall && wide)
        STORE(3, SIDE, SIDE)
}
