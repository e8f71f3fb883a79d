// One LSTM step, the definition.
#include "kernels/kernels_internal.h"

#include <math.h>

#define UNITS 8

static float sigmoid(float x)
{
    float e = expf(-fabsf(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

void rml_lstm_f32_portable(const rml_lstm_tile *tile)
{
    for (size_t r = 0; r < tile->rows; r++) {
        float gate[4 * UNITS] = {0};
        const float *w = tile->weight;
        for (size_t q = 0; q < 4; q++)
            for (size_t u = 0; u < tile->units; u++)
                gate[q * UNITS + u] = tile->x[r][q * tile->gate + u];
        for (size_t k = 0; k < tile->depth; k++, w += 4 * UNITS)
            for (size_t i = 0; i < 4 * UNITS; i++)
                gate[i] += tile->h[r][k] * w[i];
        for (size_t u = 0; u < tile->units; u++) {
            float in = sigmoid(gate[u]), forget = sigmoid(gate[UNITS + u]);
            float cell = tanhf(gate[2 * UNITS + u]), out = sigmoid(gate[3 * UNITS + u]);
            float c = forget * tile->c[r][u] + in * cell;
            tile->c[r][u] = c;
            tile->out[r][u] = out * tanhf(c);
        }
    }
}
