// What the layers of a network gave in a run, and how the values of two runs differ.
#ifndef RML_PIPELINES_COMPARE_LAYERS_H
#define RML_PIPELINES_COMPARE_LAYERS_H

#include "runmodel.h"

#define RML_LAYER_KEY_BYTES 256

// "audio_encoder.0.conv_block.0" of any of
//   weight "audio_encoder.0.conv_block.0.weight" (state dicts, and files that keep their names)
//   node   "audio_encoder.0.conv_block.0" (built-in networks)
//   node   "/audio_encoder/audio_encoder.0/conv_block/conv_block.0/Conv" (PyTorch's exporter)
// and "model_audio_encoder_0" of weight "model_audio_encoder_0_weight_to_fp16" (coremltools).
// `weight` may be NULL. False where the names tell no layer.
bool rml_layer_key(const char *node, const char *weight, char key[RML_LAYER_KEY_BYTES]);

// A tensor of a run, as f32.
typedef struct rml_layer {
    char key[RML_LAYER_KEY_BYTES]; // "" where its names tell none
    char *name;
    bool weighted; // it reads a weight
    rml_shape shape;
    size_t count;
    float *data;
} rml_layer;

// Those of one run, in the order they were computed. Zeroed but for the allocator it is empty.
typedef struct rml_layers {
    const rml_allocator *allocator;
    rml_layer *items; // owned, with names and data
    size_t count, capacity;
    bool out_of_memory; // and something was left out
} rml_layers;

// Keeps a copy of a tensor.
void rml_layers_keep(rml_layers *layers, const char *name, const char *weight, rml_dtype dtype,
                     const rml_shape *shape, const void *data);
void rml_layers_observe(void *layers, const rml_observed *value); // an rml_observe_fn
void rml_layers_release(rml_layers *layers);

// The last of this key, which is what the layer gives, or of this name; NULL where there is none.
const rml_layer *rml_layers_find_key(const rml_layers *layers, const char *key);
const rml_layer *rml_layers_find_name(const rml_layers *layers, const char *name);

// Largest difference as a part of the largest value of `a`, and where it is. Both have a->count
// elements.
typedef struct rml_difference {
    double error;
    size_t at;
} rml_difference;

rml_difference rml_layer_difference(const rml_layer *a, const rml_layer *b);

#endif
