// Parts of run-model compare: what a side computes or holds, and how two differ.
#ifndef RML_TOOLS_COMPARE_COMPARE_H
#define RML_TOOLS_COMPARE_COMPARE_H

#include "tools/options.h"

#define LAYER_KEY_BYTES 256

// "audio_encoder.0.conv_block.0" of any of
//   weight "audio_encoder.0.conv_block.0.weight" (state dicts, and files that keep their names)
//   node   "audio_encoder.0.conv_block.0" (built-in networks)
//   node   "/audio_encoder/audio_encoder.0/conv_block/conv_block.0/Conv" (PyTorch's exporter)
// `weight` may be NULL. False where the names tell no layer.
bool layer_key(const char *node, const char *weight, char key[LAYER_KEY_BYTES]);

// A tensor of one side, as f32.
typedef struct layer {
    char key[LAYER_KEY_BYTES]; // "" where its names tell none
    char *name;
    rml_shape shape;
    size_t count;
    float *data; // owned
} layer;

// A network that runs, or a file of tensors that ran elsewhere.
typedef struct side {
    const char *path;
    const char *network; // built-in, or NULL
    rml_weights *weights;
    rml_model *model; // NULL: stored tensors
    rml_session *session;
    layer *layers; // in the order they were computed
    size_t count, capacity;
    bool out_of_memory;
} side;

// Opens what lies at `path`. `network` is the built-in one that it should be, or NULL: then it is
// tried which one fits; a file that fits none holds stored tensors. `function` of an ML Program, or
// NULL.
rml_status side_open(side *s, const char *path, const char *network, const char *function,
                     const common_options *common, rml_error *err);
void side_close(side *s);

// Keeps a tensor; the last one of a key is what the layer gives.
void side_keep(side *s, const char *name, const char *weight, rml_dtype dtype,
               const rml_shape *shape, const void *data);

// Reads the tensors of a file that holds stored ones.
rml_status side_read(side *s, rml_error *err);

const layer *side_find_key(const side *s, const char *key);
const layer *side_find_name(const side *s, const char *name);

// Largest difference as a part of the largest value of `a`, and where it is.
typedef struct difference {
    double error;
    size_t at;
} difference;

difference layer_difference(const layer *a, const layer *b);

#endif
