// How near a picture is to another.
#ifndef RML_PIPELINES_DENOISE_QUALITY_H
#define RML_PIPELINES_DENOISE_QUALITY_H

#include "media/image/picture.h"

typedef struct rml_quality {
    double psnr; // dB over all channels but alpha; infinite for equal pictures
    double ssim; // Wang et al. 2004: Gaussian window of 11x11, deviation 1.5; mean of the channels;
                 // not a number for pictures smaller than the window
} rml_quality;

// Both must have the same size, the same colours and the same bits, else RML_ERR_SHAPE.
rml_status rml_quality_measure(rml_quality *out, const rml_picture *a, const rml_picture *b,
                               const rml_allocator *allocator, rml_error *err);

#endif
