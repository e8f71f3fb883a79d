// One LSTM step, the definition.
#include "kernels/kernels_internal.h"

#include <math.h>

#define UNITS 8

static float sigmoid(float x)
{
    float e = expf(-fabsf(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

static void run_block(const rml_lstm_tile *tile, size_t r, size_t first, size_t units)
{
    float gate[4 * UNITS] = {0}, *cells = tile->c[r] + first;
    const float *w = tile->weight + first * 4 * tile->depth;
    for (size_t q = 0; q < 4; q++)
        for (size_t u = 0; u < units; u++)
            gate[q * UNITS + u] = tile->x[r][q * tile->gate + first + u];
    for (size_t k = 0; k < tile->depth; k++, w += 4 * UNITS)
        for (size_t i = 0; i < 4 * UNITS; i++)
            gate[i] += tile->h[r][k] * w[i];
    for (size_t u = 0; u < units; u++) {
        const float in = sigmoid(gate[u]), forget = sigmoid(gate[UNITS + u]);
        const float cell = tanhf(gate[2 * UNITS + u]), out = sigmoid(gate[3 * UNITS + u]);
        cells[u] = forget * cells[u] + in * cell;
        tile->out[r][first + u] = out * tanhf(cells[u]);
    }
}

void rml_lstm_f32_portable(const rml_lstm_tile *tile)
{
    for (size_t r = 0; r < tile->rows; r++)
        for (size_t first = 0; first < tile->units; first += UNITS)
            run_block(tile, r, first, tile->units - first < UNITS ? tile->units - first : UNITS);
}
