// Stages of blocks of convolution, batch norm, residual sum and activation, of which the networks
// of Wav2Lip are made: layers as data.
#ifndef RML_MODELS_LIP_BLOCKS_H
#define RML_MODELS_LIP_BLOCKS_H

#include "models/blocks.h"

// Blocks at one size of image. Those behind the first keep size and width: 3x3 with a residual sum,
// or, where `more` is negative, 1x1.
typedef struct rml_lip_stage {
    int out; // published width; 0 behind the last stage
    int kernel, stride_h, stride_w, pad;
    int more; // blocks behind the first
} rml_lip_stage;

typedef enum rml_lip_form { RML_LIP_CONV, RML_LIP_RESIDUAL, RML_LIP_TRANSPOSED } rml_lip_form;

// Weights that hold a slope for a block make it PReLU, whatever is said here.
typedef enum rml_lip_act {
    RML_LIP_RELU,
    RML_LIP_LEAKY, // LeakyReLU 0.2
    RML_LIP_PRELU  // published so; one slope for all channels
} rml_lip_act;

// Convolution -> batch norm -> (+ x) -> activation, keys "<prefix>.conv_block.0", ".1" and
// "<prefix>.act". `out` as in rml_conv; a residual block keeps the width.
rml_value_id rml_lip_block(rml_params *params, rml_value_id x, const char *prefix,
                           rml_lip_form form, int64_t out, const rml_conv_attr *attr,
                           rml_lip_act act);

// Blocks "<prefix>.<*at>" and on; *at is then that of the next. `to`, the size to reach, makes the
// first one transposed; 0: it is not.
rml_value_id rml_lip_blocks(rml_params *params, rml_value_id x, const char *prefix, int *at,
                            const rml_lip_stage *stage, int64_t to, rml_lip_act act);

#endif
