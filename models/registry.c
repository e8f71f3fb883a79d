// The list of built-in networks, and models by their names: links all networks and importers.
#include "engine/model.h"
#include "loaders/model_file.h"
#include "models/networks.h"

#include <string.h>

typedef struct network {
    rml_model_desc desc;
    void (*build)(rml_params *params);
    // What is added to the outputs of a graph file of this network, or NULL.
    rml_status (*adopt)(rml_graph *graph, rml_error *err);
} network;

static const network *network_at(size_t index)
{
    static const network networks[] = {
        {{"wav2lip", "lip-sync a face to 0.2 s of mel spectrogram"}, rml_build_wav2lip, NULL},
        {{"syncnet", "tell whether five frames of lips belong to 0.2 s of mel spectrogram"},
         rml_build_syncnet,
         NULL},
        {{"syncnet-latent", "the same of latents and vectors of Wav2Vec2 or Whisper"},
         rml_build_syncnet_latent,
         NULL},
        {{"s3fd", "find faces in an image of any size from 32x32"}, rml_build_s3fd, NULL},
        {{"ffdnet", "take noise of a known level out of an image of any size"},
         rml_build_ffdnet,
         NULL},
        {{"ffdnet-map", "the same with a level for each block of 2x2 pixels"},
         rml_build_ffdnet_map,
         NULL},
        {{"mobilenetv2", "tell what an image shows"},
         rml_build_mobilenetv2,
         rml_graph_end_in_softmax}, // its outputs are probabilities
        {{"lstm", "tell the class of a sequence of numbers"},
         rml_build_lstm,
         rml_graph_end_in_logits},
        {{"lstm-stream", "the same piece by piece: its state goes in and comes out"},
         rml_build_lstm_stream,
         NULL},
        {{"unet", "make a latent of a latent, a time step and what is to be attended to"},
         rml_build_unet,
         NULL},
        {{"unet-step0", "the same at time step 0, whose embedding is computed beforehand"},
         rml_build_unet_step0,
         NULL},
        {{"vae-encoder", "turn an image into the parameters of a latent, an eighth of its size"},
         rml_build_vae_encoder,
         NULL},
        {{"vae-decoder", "turn a latent into an image"}, rml_build_vae_decoder, NULL},
        {{"wav2vec2", "speech to a vector for each 20 ms"}, rml_build_wav2vec2, NULL},
        {{"wav2vec2-norm", "in parts: what the first layer of a whole clip is normalised by"},
         rml_build_wav2vec2_norm,
         NULL},
        {{"wav2vec2-features", "in parts: the convolutions, for any piece of the clip"},
         rml_build_wav2vec2_features,
         NULL},
        {{"wav2vec2-encoder", "in parts: the transformer, for the whole clip"},
         rml_build_wav2vec2_encoder,
         NULL},
        {{"whisper-encoder", "half a minute of speech to what each layer makes of it"},
         rml_build_whisper_encoder,
         NULL},
    };
    return index < sizeof networks / sizeof *networks ? &networks[index] : NULL;
}

const rml_model_desc *rml_model_list(size_t index)
{
    const network *found = network_at(index);
    return found ? &found->desc : NULL;
}

static rml_status find_network(const char *name, const network **out, rml_error *err)
{
    char known[512] = "";
    for (size_t i = 0; network_at(i); i++) {
        *out = network_at(i);
        if (strcmp((*out)->desc.name, name) == 0)
            return RML_OK;
        strncat(known, i ? ", " : "", sizeof known - strlen(known) - 1);
        strncat(known, (*out)->desc.name, sizeof known - strlen(known) - 1);
    }
    return rml_fail(err, RML_ERR_ARG, "there is no built-in network \"%s\"; there are %s", name,
                    known);
}

// With everything that settings may ask for.
static rml_network whole_of(const network *found)
{
    return (rml_network){found->desc.name, found->build, &rml_kit_whole};
}

// The network of a graph file, which must be one of ours, by the names of our ports.
static rml_status adopt(rml_model **out, const network *chosen, const rml_weights *weights,
                        const rml_model_settings *settings, rml_error *err)
{
    const char *path = rml_weights_path(weights);
    const void *data;
    size_t size;
    rml_graph like;
    uint64_t trained;
    if (rml_weights_is_graph(weights, &data, &size) && data) {
        RML_TRY(rml_model_memory_begin(out, data, size, settings, err));
    } else {
        RML_TRY(rml_model_file_begin(out, path, settings, err));
    }
    const rml_params_source source = {.config = settings->config};
    rml_graph_init(&like, (*out)->allocator);
    const rml_network whole = whole_of(chosen);
    rml_status status = rml_network_build(&like, &whole, &source, &trained, err);
    if (status == RML_OK && (*out)->graph.state_count)
        status = rml_fail(err, RML_ERR_UNSUPPORTED,
                          "it keeps states, and this network has none (run-model exec takes it as "
                          "it is)");
    if (status == RML_OK)
        status = rml_graph_take_ports(&(*out)->graph, &like, settings->keep_types, err);
    if (status == RML_OK && chosen->adopt)
        status = chosen->adopt(&(*out)->graph, err);
    if (status == RML_OK && !settings->config)
        rml_graph_doubt_image(&(*out)->graph);
    rml_graph_release(&like);
    if (status != RML_OK && *path)
        rml_error_prefix(err, path);
    if (status != RML_OK)
        rml_model_destroy(out);
    return status;
}

rml_status rml_model_create(rml_model **out, const char *name, const rml_weights *weights,
                            const rml_model_settings *settings, rml_error *err)
{
    const network *found;
    rml_model_settings given;
    *out = NULL;
    RML_TRY(rml_settings_take(&given, sizeof given, settings, "rml_model_settings", err));
    RML_TRY(find_network(name, &found, err));
    const rml_network whole = whole_of(found);
    if (!weights || !rml_weights_is_graph(weights, NULL, NULL))
        return rml_model_create_network(out, &whole, weights, settings, err);
    RML_TRY(adopt(out, found, weights, &given, err));
    return rml_model_improve(out, &given, err);
}

rml_status rml_weights_create_random(rml_weights **out, const char *name, uint64_t seed,
                                     const rml_model_settings *settings, rml_error *err)
{
    const network *found;
    rml_graph graph;
    uint64_t trained;
    rml_model_settings given;
    *out = NULL;
    RML_TRY(rml_settings_take(&given, sizeof given, settings, "rml_model_settings", err));
    const rml_allocator *allocator = given.allocator ? given.allocator : rml_allocator_default();
    RML_TRY(find_network(name, &found, err));
    RML_TRY(rml_weights_create(out, allocator, err));
    rml_graph_init(&graph, allocator);
    const rml_params_source source = {.fill = *out, .seed = seed, .config = given.config};
    const rml_network whole = whole_of(found);
    const rml_status status = rml_network_build(&graph, &whole, &source, &trained, err);
    rml_graph_release(&graph);
    if (status != RML_OK)
        rml_weights_close(out);
    return status;
}
