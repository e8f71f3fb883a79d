// What kind of UNet2DConditionModel it is: shared by the files that find out and that build it.
#ifndef RML_MODELS_UNET_H
#define RML_MODELS_UNET_H

#include "models/params.h"

#define RML_UNET_LEVELS 8
#define RML_UNET_LAYERS 8

typedef struct rml_unet_plan {
    int64_t in, out, context; // channels of the latents, width of what is attended to
    size_t levels;
    int64_t layers; // of a level on the way down; one more on the way up
    int64_t channels[RML_UNET_LEVELS], heads[RML_UNET_LEVELS];
    int64_t depth[RML_UNET_LEVELS];                  // transformer blocks of a layer
    bool down[RML_UNET_LEVELS], up[RML_UNET_LEVELS]; // attention; `up` from the deepest level on
    int64_t groups;
    float eps;
    bool linear; // projections around a transformer; else convolutions
    bool sine_first, centred;
    double frequency_shift;
    int64_t pad; // top and left, of what halves the size
} rml_unet_plan;

// The config's plan; what it does not say is told by the weights, or published. Mistakes are kept
// in the config.
rml_unet_plan rml_unet_find_plan(rml_params *params);

#endif
