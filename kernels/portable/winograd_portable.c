// Winograd transforms, the definition. Columns first, then rows.
#include "kernels/kernels_internal.h"
#include "kernels/winograd.h"

#define COLS RML_WINOGRAD_COLS
#define TILE_COLS RML_WINOGRAD_TILE_COLS

static void input_line_4(const float d[6], float v[6])
{
    const float a = RML_WINOGRAD_A, b = RML_WINOGRAD_B, a2 = RML_WINOGRAD_A2, b2 = RML_WINOGRAD_B2;
    float even_a = d[4] - b2 * d[2], odd_a = d[3] - b2 * d[1];
    float even_b = d[4] - a2 * d[2], odd_b = d[3] - a2 * d[1];
    v[0] = d[4] - RML_WINOGRAD_A2_PLUS_B2 * d[2] + RML_WINOGRAD_A2B2 * d[0];
    v[1] = even_a + a * odd_a;
    v[2] = even_a - a * odd_a;
    v[3] = even_b + b * odd_b;
    v[4] = even_b - b * odd_b;
    v[5] = d[5] - RML_WINOGRAD_A2_PLUS_B2 * d[3] + RML_WINOGRAD_A2B2 * d[1];
}

static void input_line_2(const float d[4], float v[4])
{
    v[0] = d[2] - d[0];
    v[1] = d[2] + d[1];
    v[2] = d[2] - d[1];
    v[3] = d[3] - d[1];
}

static void output_line_4(const float m[6], float y[4])
{
    float even_a = m[1] + m[2], odd_a = m[1] - m[2];
    float even_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + even_a + even_b;
    y[1] = RML_WINOGRAD_A * odd_a + RML_WINOGRAD_B * odd_b;
    y[2] = RML_WINOGRAD_A2 * even_a + RML_WINOGRAD_B2 * even_b;
    y[3] = RML_WINOGRAD_A3 * odd_a + RML_WINOGRAD_B3 * odd_b + m[5];
}

static void output_line_2(const float m[4], float y[2])
{
    y[0] = m[0] + (m[1] + m[2]);
    y[1] = (m[1] - m[2]) + m[3];
}

void rml_winograd_input_f32_portable(const float *const *src, size_t rows, size_t channels,
                                     float *dst, size_t plane)
{
    for (size_t c = 0; c < channels; c++) {
        float half[TILE_COLS][6]; // half[x] = B^T times column x
        for (size_t x = 0; x < TILE_COLS; x++) {
            float column[6];
            for (size_t y = 0; y < rows + 2; y++)
                column[y] = src[y * TILE_COLS + x][c];
            if (rows == 2)
                input_line_2(column, half[x]);
            else
                input_line_4(column, half[x]);
        }
        for (size_t y = 0; y < rows + 2; y++) {
            float row[TILE_COLS], line[TILE_COLS];
            for (size_t x = 0; x < TILE_COLS; x++)
                row[x] = half[x][y];
            input_line_4(row, line);
            for (size_t x = 0; x < TILE_COLS; x++)
                dst[(y * TILE_COLS + x) * plane + c] = line[x];
        }
    }
}

void rml_winograd_output_f32_portable(const float *src, size_t plane, size_t rows, size_t channels,
                                      const float *bias, float *const *dst,
                                      const float *const *residual, float low, float high)
{
    for (size_t c = 0; c < channels; c++) {
        float half[TILE_COLS][4]; // half[x] = A^T times column x
        for (size_t x = 0; x < TILE_COLS; x++) {
            float column[6];
            for (size_t y = 0; y < rows + 2; y++)
                column[y] = src[(y * TILE_COLS + x) * plane + c];
            if (rows == 2)
                output_line_2(column, half[x]);
            else
                output_line_4(column, half[x]);
        }
        for (size_t y = 0; y < rows; y++) {
            float row[TILE_COLS], line[COLS];
            for (size_t x = 0; x < TILE_COLS; x++)
                row[x] = half[x][y];
            output_line_4(row, line);
            for (size_t x = 0; x < COLS; x++) {
                size_t q = y * COLS + x;
                if (!dst[q])
                    continue;
                float value = line[x] + (bias ? bias[c] : 0.0f);
                if (residual)
                    value += residual[q][c];
                dst[q][c] = clamp_f32(value, low, high);
            }
        }
    }
}
