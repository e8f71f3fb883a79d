// FFDNet on pictures of any size, kind and depth.
#ifndef RML_PIPELINES_DENOISE_DENOISE_H
#define RML_PIPELINES_DENOISE_DENOISE_H

#include "media/image/picture.h"

// The noise of a picture: one level, or one for each pixel.
typedef struct rml_noise {
    double sigma;           // standard deviation in [0,1]
    const rml_picture *map; // gray, of the picture's size: white is 1; NULL: sigma everywhere
} rml_noise;

typedef struct rml_denoiser_settings {
    rml_session_settings session;
    bool truncate; // cut the result down to whole levels, as IPOL's script does; else round
} rml_denoiser_settings;

// A network with its session. `weights` must outlive it.
typedef struct rml_denoiser rml_denoiser;
rml_status rml_denoiser_create(rml_denoiser **out, const rml_weights *weights,
                               const rml_denoiser_settings *settings, rml_error *err);
void rml_denoiser_destroy(rml_denoiser **denoiser);

const rml_session *rml_denoiser_session(const rml_denoiser *denoiser);

// Makes `out`, of the same kind as `in`; alpha is copied. A colour network takes a gray picture as
// three equal colours and gives their mean, a gray network each colour by itself. `bands` (may be
// NULL): into how many the session's memory limit made it cut the picture, with the bits of the
// whole; 1: none.
rml_status rml_denoise(rml_denoiser *denoiser, rml_picture *out, const rml_picture *in,
                       const rml_noise *noise, int *bands, rml_error *err);

#endif
