#include "pipelines/lipsync/latent_layout.h"

#include "pipelines/lipsync/lip_net.h"

#include <math.h>
#include <string.h>

#define COLOURS 3
#define HALVES 2

// The face as planes of -1..1, the lower half grey or as it is.
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

// Both latents as the UNet takes them.
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

// What the UNet made of a face, as the decoder takes it.
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
            patch[COLOURS * i + c] = rml_lip_byte((value + 1.0f) / 2.0f, round);
        }
    }
    return true;
}
