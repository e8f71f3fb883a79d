// How strong the noise of a picture is, from the picture alone.
#ifndef RML_PIPELINES_DENOISE_NOISE_LEVEL_H
#define RML_PIPELINES_DENOISE_NOISE_LEVEL_H

#include "media/image/picture.h"

// Standard deviation of white noise in [0,1], alpha left out; channels count as one by their mean
// square. Texture is taken for noise where there is nothing smoother: docs/denoise.md has the
// error. RML_ERR_ARG for a picture of less than 4x4 pixels.
rml_status rml_noise_estimate(double *sigma, const rml_picture *picture,
                              const rml_allocator *allocator, rml_error *err);

#endif
