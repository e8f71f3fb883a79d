// Normal deviates for samples of a latent's distribution, made so that a frame gets the same ones
// in any batch, order or number of threads.
//
// Deviate i of stream s of frame f under a seed depends on these four numbers alone. They are
// counter and key of Philox 4x32 with 10 rounds (Salmon and others, "Parallel random numbers: as
// easy as 1, 2, 3", 2011):
//   counter = { i / 4 low half, s * 2^24 + i / 4 high half, f low half, f high half },
//   key = { seed low half, seed high half }
// whose four words make two pairs by Box and Muller's rule, in double:
//   u = (word 0 + 0.5) / 2^32, v = (word 1 + 0.5) / 2^32
//   deviates sqrt(-2 ln u) cos(2 pi v), sqrt(-2 ln u) sin(2 pi v); words 2 and 3 likewise
#ifndef RML_PIPELINES_LIPSYNC_GAUSSIAN_NOISE_H
#define RML_PIPELINES_LIPSYNC_GAUSSIAN_NOISE_H

#include <stddef.h>
#include <stdint.h>

// One block: out[4] from counter[4] and key[2].
void rml_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

// dst[i] = deviate i. `stream` is below 256; i is below 2^58.
void rml_gaussian_noise(uint64_t seed, uint64_t frame, uint32_t stream, float *dst, size_t count);

#endif
