// How faces and their latents lie for the networks; `plane` is the numbers of one channel.
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

#endif
