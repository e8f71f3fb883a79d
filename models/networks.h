// The built-in networks: one builder each. Every builder reads its widths from the weights.
#ifndef RML_MODELS_NETWORKS_H
#define RML_MODELS_NETWORKS_H

#include "models/params.h"

void rml_build_wav2lip(rml_params *params);
void rml_build_s3fd(rml_params *params);
void rml_build_ffdnet(rml_params *params);
void rml_build_ffdnet_map(rml_params *params);
void rml_build_mobilenetv2(rml_params *params);
void rml_build_lstm(rml_params *params);
void rml_build_lstm_stream(rml_params *params);
void rml_build_unet(rml_params *params);
void rml_build_unet_step0(rml_params *params);
void rml_build_vae_encoder(rml_params *params);
void rml_build_vae_decoder(rml_params *params);
void rml_build_wav2vec2(rml_params *params);
void rml_build_wav2vec2_norm(rml_params *params);
void rml_build_wav2vec2_features(rml_params *params);
void rml_build_wav2vec2_encoder(rml_params *params);
void rml_build_whisper_encoder(rml_params *params);

#endif
