// How faces and their latents lie for the networks, and the noise of samples. `plane` is the
// numbers of one channel.
#ifndef RML_PIPELINES_LIPSYNC_LATENT_LAYOUT_H
#define RML_PIPELINES_LIPSYNC_LATENT_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RML_LATENT_CHANNELS 4
#define RML_LATENT_SCALE 0.18215f

// The face as planes of -1..1, the lower half grey or as it is.
void rml_latent_fill_image(float *image, const uint8_t *patch, size_t plane, bool grey);

// Both latents of a face as the UNet takes them: behind one another, or `stacked` as rows.
void rml_latent_place(float *sample, const float *latent, size_t plane, bool stacked);

// What the UNet made of a face, as the decoder takes it.
void rml_latent_take(float *latent, const float *made, size_t plane, bool stacked);

// The decoder's planes of -1..1 as a face; false where a number is not finite.
bool rml_latent_read_face(uint8_t *patch, const float *image, size_t plane, bool round);

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

// One block: out[4] from counter[4] and key[2].
void rml_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

// dst[i] = deviate i. `stream` is below 256; i is below 2^58.
void rml_gaussian_noise(uint64_t seed, uint64_t frame, uint32_t stream, float *dst, size_t count);

#endif
