// runmodel_networks.h - the built-in networks one by one, for programs that know which they want.
//
// The names of rml_model_create (runmodel.h) may ask for any network, and a file for any operator,
// so that a static program which uses those holds all of the library. One that names its network
// here and is linked with --gc-sections holds what that uses.
#ifndef RML_RUNMODEL_NETWORKS_H
#define RML_RUNMODEL_NETWORKS_H

#include "runmodel.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rml_network rml_network;

RML_API const rml_network *rml_network_wav2lip(void);
RML_API const rml_network *rml_network_syncnet(void);
RML_API const rml_network *rml_network_syncnet_latent(void);
RML_API const rml_network *rml_network_s3fd(void);
RML_API const rml_network *rml_network_ffdnet(void);
RML_API const rml_network *rml_network_ffdnet_map(void);
RML_API const rml_network *rml_network_mobilenetv2(void);
RML_API const rml_network *rml_network_lstm(void);
RML_API const rml_network *rml_network_lstm_stream(void);
RML_API const rml_network *rml_network_unet(void);
RML_API const rml_network *rml_network_unet_step0(void);
RML_API const rml_network *rml_network_vae_encoder(void);
RML_API const rml_network *rml_network_vae_decoder(void);
RML_API const rml_network *rml_network_wav2vec2(void);
RML_API const rml_network *rml_network_wav2vec2_norm(void);
RML_API const rml_network *rml_network_wav2vec2_features(void);
RML_API const rml_network *rml_network_wav2vec2_encoder(void);
RML_API const rml_network *rml_network_whisper_encoder(void);

// As rml_model_create, of one of them; a graph file in place of weights is refused.
RML_API rml_status rml_model_create_network(rml_model **out, const rml_network *network,
                                            const rml_weights *weights,
                                            const rml_model_settings *settings, rml_error *err);

// As rml_weights_open_memory, of a safetensors file: links the reader of that format alone.
RML_API rml_status rml_weights_open_safetensors(rml_weights **out, const void *data, size_t size,
                                                const rml_allocator *allocator, rml_error *err);

#ifdef __cplusplus
}
#endif

#endif
