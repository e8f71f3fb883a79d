// Names and sizes of the built-in networks' inputs and outputs in the guides that export them, and
// sizes and numbers on which networks are tried.
#include "tools/convert/convert_options.h"

#include <string.h>

#define EVEN_OF_DEVIATION_1 -1.73f, 1.73f // numbers spread evenly, of mean 0 and deviation 1

static const guide_port known[] = {
    {"wav2lip", "audio", "audio_sequences", {4, {1, 1, 80, 16}}, -4, 4},
    {"wav2lip", "face", "face_sequences", {4, {1, 6, 96, 96}}, 0, 0},
    {"wav2lip", "frames", "output", {0}, 0, 0},
    {"syncnet", "audio", NULL, {4, {1, 1, 80, 16}}, -4, 4},
    {"syncnet", "face", NULL, {4, {1, 15, 48, 96}}, 0, 0},
    {"syncnet-latent", "audio", NULL, {4, {1, 1, 10, 768}}, EVEN_OF_DEVIATION_1},
    {"syncnet-latent", "latents", NULL, {4, {1, 20, 96, 96}}, EVEN_OF_DEVIATION_1},
    {"ffdnet", "image", "my_input", {4, {1, 3, 512, 512}}, 0, 0},
    {"ffdnet", "sigma", "my_sigma", {1, {1}}, 0, 0},
    {"ffdnet", "denoised", "my_output", {0}, 0, 0},
    // Pixels of 0 to 1, less ImageNet's mean and by its deviation.
    {"mobilenetv2", "image", "image", {4, {1, 3, 224, 224}}, -2.11f, 2.64f},
    {"mobilenetv2", "classLabelProbs", "classLabelProbs", {0}, 0, 0},
    {"lstm", "seq_input", "seq_input", {3, {1, 6, 1}}, 0, 0},
    {"lstm", "my_output", "my_output", {0}, 0, 0},
    {"unet", "sample", NULL, {4, {1, 8, 32, 32}}, EVEN_OF_DEVIATION_1},
    {"unet", "encoder_hidden_states", NULL, {3, {1, 10, 768}}, EVEN_OF_DEVIATION_1},
    {"unet-step0", "sample", NULL, {4, {1, 8, 32, 32}}, EVEN_OF_DEVIATION_1},
    {"unet-step0", "encoder_hidden_states", NULL, {3, {1, 10, 768}}, EVEN_OF_DEVIATION_1},
    {"vae-decoder", "latent_sample", NULL, {4, {1, 4, 8, 8}}, EVEN_OF_DEVIATION_1},
    {"wav2vec2", "input_values", NULL, {2, {1, 16000}}, EVEN_OF_DEVIATION_1},
    {"wav2vec2-norm", "input_values", NULL, {2, {1, 16000}}, EVEN_OF_DEVIATION_1},
    {"wav2vec2-features", "input_values", NULL, {2, {1, 16000}}, EVEN_OF_DEVIATION_1},
};

const guide_port *find_guide_port(const char *network, const char *port)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].network, network) == 0 && strcmp(known[i].port, port) == 0)
            return &known[i];
    return NULL;
}
