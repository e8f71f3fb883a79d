// Names and sizes of the built-in networks' inputs and outputs in the guides that export them, and
// sizes on which those are tried that no guide exports.
#include "tools/convert/convert_options.h"

#include <string.h>

static const struct {
    const char *network, *port;
    const char *name; // in the guide; NULL: it is in none
    rml_shape shape;  // rank 0: as the network has it
} known[] = {
    {"wav2lip", "audio", "audio_sequences", {4, {1, 1, 80, 16}}},
    {"wav2lip", "face", "face_sequences", {4, {1, 6, 96, 96}}},
    {"wav2lip", "frames", "output", {0}},
    {"ffdnet", "image", "my_input", {4, {1, 3, 512, 512}}},
    {"ffdnet", "sigma", "my_sigma", {1, {1}}},
    {"ffdnet", "denoised", "my_output", {0}},
    {"mobilenetv2", "image", "image", {4, {1, 3, 224, 224}}},
    {"mobilenetv2", "classLabelProbs", "classLabelProbs", {0}},
    {"lstm", "seq_input", "seq_input", {3, {1, 6, 1}}},
    {"lstm", "my_output", "my_output", {0}},
    {"unet", "sample", NULL, {4, {1, 8, 32, 32}}},
    {"unet", "encoder_hidden_states", NULL, {3, {1, 10, 768}}},
    {"unet-step0", "sample", NULL, {4, {1, 8, 32, 32}}},
    {"unet-step0", "encoder_hidden_states", NULL, {3, {1, 10, 768}}},
    {"vae-decoder", "latent_sample", NULL, {4, {1, 4, 8, 8}}},
    {"wav2vec2", "input_values", NULL, {2, {1, 16000}}},
    {"wav2vec2-norm", "input_values", NULL, {2, {1, 16000}}},
    {"wav2vec2-features", "input_values", NULL, {2, {1, 16000}}},
};

bool guide_port(const char *network, const char *port, const char **name, rml_shape *shape)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].network, network) != 0 || strcmp(known[i].port, port) != 0)
            continue;
        *name = known[i].name;
        *shape = known[i].shape;
        return true;
    }
    return false;
}
