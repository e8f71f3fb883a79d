// Numbers that C and Python tests make alike: splitmix64 of a seed, see
// tests/golden/make/make_golden.py.
#ifndef RML_TESTS_SUPPORT_UNIFORM_H
#define RML_TESTS_SUPPORT_UNIFORM_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

static inline uint64_t uniform_bits(uint64_t seed, size_t index)
{
    uint64_t z = seed + (uint64_t)(index + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

// 24 bits in [-1, 1).
static inline float uniform_f32(uint64_t seed, size_t index)
{
    return (float)((double)(uniform_bits(seed, index) >> 40) * 0x1p-23 - 1.0);
}

// Modes: u as it is, s times 8, w times 64, p in [0.25,1.25], d like p with signs, n with NaN, i
// with infinities and NaN, m with -infinity in parts of rows and a whole row of 5.
static inline void uniform_fill(float *dst, size_t count, uint64_t seed, char mode)
{
    for (size_t i = 0; i < count; i++) {
        const float u = uniform_f32(seed, i);
        dst[i] = u;
        if (mode == 's')
            dst[i] = u * 8;
        else if (mode == 'w')
            dst[i] = u * 64;
        else if (mode == 'p')
            dst[i] = fabsf(u) + 0.25f;
        else if (mode == 'd')
            dst[i] = u < 0 ? u - 0.25f : u + 0.25f;
        else if (mode == 'n' && i % 5 == 3)
            dst[i] = NAN;
        else if (mode == 'm' && (i % 3 == 1 || i / 5 == 1))
            dst[i] = -INFINITY;
        else if (mode == 'i' && i % 11 == 6)
            dst[i] = NAN;
        else if (mode == 'i' && (i % 7 == 2 || i % 7 == 4))
            dst[i] = i % 7 == 2 ? INFINITY : -INFINITY;
    }
}

// The next of a sequence that every test begins anew: in [0, limit).
static inline int64_t below(int64_t limit)
{
    static uint64_t seed = 1;
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((seed >> 33) % (uint64_t)limit);
}

#endif
