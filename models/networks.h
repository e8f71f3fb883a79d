// The built-in networks: one builder each. Every builder reads its widths from the weights.
#ifndef RML_MODELS_NETWORKS_H
#define RML_MODELS_NETWORKS_H

#include "engine/model.h"
#include "models/params.h"
#include "runmodel_networks.h"

struct rml_network {
    const char *name;
    void (*build)(rml_params *params);
    const rml_kit *kit;
};

// rml_network_lstm() and its sisters, which runmodel_networks.h declares.
#define RML_NETWORK(lower, text, builder, its_kit)                                                 \
    const rml_network *rml_network_##lower(void)                                                   \
    {                                                                                              \
        static const rml_network self = {text, builder, &its_kit};                                 \
        return &self;                                                                              \
    }

void rml_build_wav2lip(rml_params *params);
void rml_build_syncnet(rml_params *params);
void rml_build_syncnet_latent(rml_params *params);
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

// Fills an empty graph. *trained: numbers that were trained.
rml_status rml_network_build(rml_graph *graph, const rml_network *chosen,
                             const rml_params_source *source, uint64_t *trained, rml_error *err);

// Parts of "wav2vec2-encoder" that take little memory together, with its bits:
//   front  features (N,T,512) -> hidden (N,T,C) before the first layer; sets the number of layers
//   keys   hidden, any rows -> key, value of a layer
//   layer  hidden, any rows; key and value of all -> made, the rows behind the layer
void rml_build_wav2vec2_front(rml_params *params);
void rml_build_wav2vec2_keys(rml_params *params);
void rml_build_wav2vec2_layer(rml_params *params);

// As rml_model_create, of one such part.
rml_status rml_model_create_part(rml_model **out, void (*build)(rml_params *params), int64_t *part,
                                 const rml_weights *weights, const rml_model_settings *settings,
                                 rml_error *err);

// ---- a graph file that is one of our networks, under names and in an order of its own -----------

// Gives the inputs and outputs of `graph` the names and the order of those of `like`, to which they
// are matched by name, or else by rank and sizes. Further outputs of `graph` are dropped. Other
// element types than those of `like` are refused unless they may stay (`keep_types`). Images that
// the file declares take and give the numbers of `like` from then on, and scores are rows.
rml_status rml_graph_take_ports(rml_graph *graph, const rml_graph *like, bool keep_types,
                                rml_error *err);

// A part of that: inputs and outputs of more dimensions than those of `like`, where these only say
// that there is one sequence, one image or one channel, lose them; and of sequences the batch comes
// first. Files of iOS 12 have both.
rml_status rml_graph_take_shapes(rml_graph *graph, const rml_graph *like, rml_error *err);

// What nodes read of `input`, they read of x, which those from `first` on compute.
void rml_graph_read_instead(rml_graph *graph, rml_value_id input, rml_value_id x, size_t first);

// A part of that: the image at an input (output), which `like` (or NULL) says the numbers of.
rml_status rml_graph_take_image(rml_graph *graph, bool output, size_t port, const rml_meaning *like,
                                rml_error *err);

// Forgets that the first output is an image of [0,1] where it ends in tanh: then only a config can
// tell whether it is one of [-1,1].
void rml_graph_doubt_image(rml_graph *graph);

// Takes a softmax that the first output, (N, classes), ends in away.
rml_status rml_graph_end_in_logits(rml_graph *graph, rml_error *err);

// Puts a softmax behind the first output, (N, classes), where there is none: files that classify
// often end in logits.
rml_status rml_graph_end_in_softmax(rml_graph *graph, rml_error *err);

#endif
