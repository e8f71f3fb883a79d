// Winograd F(4x4, 3x3) transforms, the definition. Columns first, then rows.
#include "kernels/kernels_internal.h"
#include "kernels/winograd.h"

#define TILE RML_WINOGRAD_TILE
#define OUT RML_WINOGRAD_OUT

static void input_line(const float d[TILE], float v[TILE])
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

static void output_line(const float m[TILE], float y[OUT])
{
    float even_a = m[1] + m[2], odd_a = m[1] - m[2];
    float even_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + even_a + even_b;
    y[1] = RML_WINOGRAD_A * odd_a + RML_WINOGRAD_B * odd_b;
    y[2] = RML_WINOGRAD_A2 * even_a + RML_WINOGRAD_B2 * even_b;
    y[3] = RML_WINOGRAD_A3 * odd_a + RML_WINOGRAD_B3 * odd_b + m[5];
}

void rml_winograd_input_f32_portable(const float *const *src, size_t channels, float *dst,
                                     size_t plane)
{
    for (size_t c = 0; c < channels; c++) {
        float half[TILE][TILE]; // half[x] = B^T times column x
        for (size_t x = 0; x < TILE; x++) {
            float column[TILE];
            for (size_t y = 0; y < TILE; y++)
                column[y] = src[y * TILE + x][c];
            input_line(column, half[x]);
        }
        for (size_t y = 0; y < TILE; y++) {
            float row[TILE], line[TILE];
            for (size_t x = 0; x < TILE; x++)
                row[x] = half[x][y];
            input_line(row, line);
            for (size_t x = 0; x < TILE; x++)
                dst[(y * TILE + x) * plane + c] = line[x];
        }
    }
}

void rml_winograd_output_f32_portable(const float *src, size_t plane, size_t channels,
                                      const float *bias, float *const *dst,
                                      const float *const *residual, float low, float high)
{
    for (size_t c = 0; c < channels; c++) {
        float half[TILE][OUT]; // half[x] = A^T times column x
        for (size_t x = 0; x < TILE; x++) {
            float column[TILE];
            for (size_t y = 0; y < TILE; y++)
                column[y] = src[(y * TILE + x) * plane + c];
            output_line(column, half[x]);
        }
        for (size_t y = 0; y < OUT; y++) {
            float row[TILE], line[OUT];
            for (size_t x = 0; x < TILE; x++)
                row[x] = half[x][y];
            output_line(row, line);
            for (size_t x = 0; x < OUT; x++) {
                size_t q = y * OUT + x;
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
