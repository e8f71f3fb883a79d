// One name for a layer in whatever format it comes.
#ifndef RML_TOOLS_COMPARE_LAYER_KEY_H
#define RML_TOOLS_COMPARE_LAYER_KEY_H

#include <stdbool.h>
#include <stddef.h>

#define LAYER_KEY_BYTES 256

// "audio_encoder.0.conv_block.0" of any of
//   weight "audio_encoder.0.conv_block.0.weight" (state dicts, and files that keep their names)
//   node   "audio_encoder.0.conv_block.0" (built-in networks)
//   node   "/audio_encoder/audio_encoder.0/conv_block/conv_block.0/Conv" (PyTorch's exporter)
// `weight` may be NULL. False where the names tell no layer.
bool layer_key(const char *node, const char *weight, char key[LAYER_KEY_BYTES]);

#endif
