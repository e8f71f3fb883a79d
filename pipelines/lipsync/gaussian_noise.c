#include "pipelines/lipsync/gaussian_noise.h"

#include <math.h>

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
