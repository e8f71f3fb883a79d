// Pieces of transformers and of networks over time. A prefix is the state-dict path of a layer;
// sequences are (N,T,C).
#ifndef RML_MODELS_TRANSFORMER_H
#define RML_MODELS_TRANSFORMER_H

#include "models/blocks.h"

// The activation that a config names by one of transformers' words; GELU where it names none.
rml_activation rml_config_activation(rml_config *config, const char *key);

// Over the last dimension: "<prefix>.weight" and "<prefix>.bias" [C].
rml_value_id rml_layer_norm(rml_params *params, rml_value_id x, const char *prefix, float eps);

// Convolution over the columns of an image of one row, (N,C,1,T): "<prefix>.weight"
// [out, C/groups, K] and, with `bias`, "<prefix>.bias". attr->kernel[1] is the published K; the
// one that is stored counts.
rml_value_id rml_conv1d(rml_params *params, rml_value_id x, const char *prefix,
                        const rml_conv_attr *attr, int64_t out, bool bias);

// A weight [O,I,K] as that of a convolution with one row, [O,I,1,K]; and with a factor for each
// index of K, which is copied (NULL: none). No number is moved.
rml_value_id rml_row_weight(rml_params *params, rml_value_id weight, const double *factor);

// (N,T,C) as an image of one row (N,C,1,T), and back.
rml_value_id rml_to_row(rml_params *params, rml_value_id x, const char *name);
rml_value_id rml_from_row(rml_params *params, rml_value_id x, const char *name);

// What the projections of an attention are called behind its prefix. Keys have a bias unless
// `key_bias` is false.
typedef struct rml_attention_names {
    const char *query, *key, *value, *out;
    bool key_bias;
} rml_attention_names;

// Query (0), key (1) or value (2) of a sequence, and what is made of all three.
rml_value_id rml_attention_input(rml_params *params, rml_value_id x, const char *prefix,
                                 const rml_attention_names *names, int input);
rml_value_id rml_attend(rml_params *params, const rml_value_id in[3], const char *prefix,
                        const rml_attention_names *names, int64_t heads);

// Self-attention of a sequence: four projections of its own width.
rml_value_id rml_self_attention(rml_params *params, rml_value_id x, const char *prefix,
                                const rml_attention_names *names, int64_t heads);

#endif
