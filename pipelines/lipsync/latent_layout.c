#include "pipelines/lipsync/latent_layout.h"

#include "pipelines/lipsync/lip_net.h"

#include <math.h>
#include <string.h>

#define COLOURS 3
#define HALVES 2

void rml_latent_fill_image(float *image, const uint8_t *patch, size_t plane, bool grey)
{
    float scaled[256];
    for (int i = 0; i < 256; i++)
        scaled[i] = 2.0f * ((float)i / 255.0f) - 1.0f;
    const size_t seen = grey ? plane / 2 : plane;
    for (size_t c = 0; c < COLOURS; c++) {
        for (size_t i = 0; i < seen; i++)
            image[c * plane + i] = scaled[patch[COLOURS * i + c]];
        memset(image + c * plane + seen, 0, (plane - seen) * sizeof *image);
    }
}

void rml_latent_place(float *sample, const float *latent, size_t plane, bool stacked)
{
    const size_t half = RML_LATENT_CHANNELS * plane;
    if (!stacked) {
        memcpy(sample, latent, HALVES * half * sizeof *sample);
        return;
    }
    for (size_t c = 0; c < RML_LATENT_CHANNELS; c++)
        for (size_t i = 0; i < HALVES; i++)
            memcpy(sample + (HALVES * c + i) * plane, latent + i * half + c * plane,
                   plane * sizeof *sample);
}

void rml_latent_take(float *latent, const float *made, size_t plane, bool stacked)
{
    const size_t step = stacked ? HALVES * plane : plane;
    for (size_t c = 0; c < RML_LATENT_CHANNELS; c++)
        for (size_t i = 0; i < plane; i++)
            latent[c * plane + i] =
                stacked ? made[c * step + i] : made[c * step + i] / RML_LATENT_SCALE;
}

bool rml_latent_read_face(uint8_t *patch, const float *image, size_t plane, bool round)
{
    for (size_t c = 0; c < COLOURS; c++) {
        for (size_t i = 0; i < plane; i++) {
            const float value = image[c * plane + i];
            if (!isfinite(value))
                return false;
            patch[COLOURS * i + c] = rml_lip_byte((value + 1.0f) / 2.0f * 255.0f, round);
        }
    }
    return true;
}

// ---- noise -----------------------------------------------------------------------------------

#define ROUNDS 10

static uint32_t multiply(uint32_t a, uint32_t b, uint32_t *high)
{
    const uint64_t product = (uint64_t)a * b;
    *high = (uint32_t)(product >> 32);
    return (uint32_t)product;
}

void rml_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t k[2] = {key[0], key[1]};
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t high[2];
        const uint32_t low[2] = {multiply(0xD2511F53u, c[0], &high[0]),
                                 multiply(0xCD9E8D57u, c[2], &high[1])};
        c[0] = high[1] ^ c[1] ^ k[0];
        c[1] = low[1];
        c[2] = high[0] ^ c[3] ^ k[1];
        c[3] = low[0];
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    for (int i = 0; i < 4; i++)
        out[i] = c[i];
}

static double uniform(uint32_t word) // in (0, 1): its logarithm is finite
{
    return ((double)word + 0.5) * 0x1p-32;
}

void rml_gaussian_noise(uint64_t seed, uint64_t frame, uint32_t stream, float *dst, size_t count)
{
    const double turn = 6.283185307179586476925286766559;
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (size_t i = 0; i < count; i += 4) {
        const uint64_t block = i / 4;
        const uint32_t counter[4] = {(uint32_t)block, (stream << 24) | (uint32_t)(block >> 32),
                                     (uint32_t)frame, (uint32_t)(frame >> 32)};
        uint32_t word[4];
        rml_philox4x32(counter, key, word);
        for (size_t k = 0; k < 4 && i + k < count; k++) {
            const double radius = sqrt(-2.0 * log(uniform(word[k & 2])));
            const double angle = turn * uniform(word[(k & 2) + 1]);
            dst[i + k] = (float)(radius * (k & 1 ? sin(angle) : cos(angle)));
        }
    }
}
