// SyncNet: do these lips belong to this sound? Both become vectors of length 1, near each other
// where they do.
//
// "syncnet", the colour expert (Rudrabha/Wav2Lip, models/syncnet.py):
//   audio (N,1,80,16)  normalised mel, as the generator's
//   face  (N,15,48,96) lower halves of five frames, channel 3*t + c, BGR, /255
// "syncnet-latent", the expert on latents (LatentWav2Lip.UNet.V2, models/syncnet.py):
//   audio   (N,1,L,C)       vectors of Wav2Vec2 or Whisper, L of them for the frames
//   latents (N,4*T,96,96)   of T whole faces, channel 4*t + c, not scaled
// Both give audio_embedding and face_embedding (N,E).
//
// Traps: the residual is added after the batch norm and before the ReLU; the kernel of 5x5 pads by
// 1; the sound's encoder has a residual block more at 256 than the generator's.
#include "models/lip_blocks.h"
#include "models/networks.h"

static const rml_lip_stage face_stages[] = {
    {32, 7, 1, 1, 3, 0},   // [N,32,48,96]
    {64, 5, 1, 2, 1, 2},   // [N,64,46,47]
    {128, 3, 2, 2, 1, 3},  // [N,128,23,24]
    {256, 3, 2, 2, 1, 2},  // [N,256,12,12]
    {512, 3, 2, 2, 1, 2},  // [N,512,6,6]
    {512, 3, 2, 2, 1, 0},  // [N,512,3,3]
    {512, 3, 1, 1, 0, -1}, // [N,512,1,1]
    {0},
};

static const rml_lip_stage audio_stages[] = {
    {32, 3, 1, 1, 1, 2},   // [N,32,80,16]
    {64, 3, 3, 1, 1, 2},   // [N,64,27,16]
    {128, 3, 3, 3, 1, 2},  // [N,128,9,6]
    {256, 3, 3, 2, 1, 2},  // [N,256,3,3]
    {512, 3, 1, 1, 0, -1}, // [N,512,1,1]
    {0},
};

static const rml_lip_stage latent_stages[] = {
    {128, 7, 1, 1, 3, 0},  // [N,128,96,96]
    {128, 5, 2, 2, 1, 2},  // [N,128,47,47]
    {128, 3, 2, 2, 1, 3},  // [N,128,24,24]; 256 in "xl", and so on
    {256, 3, 2, 2, 1, 2},  // [N,256,12,12]
    {512, 3, 2, 2, 1, 2},  // [N,512,6,6]
    {512, 3, 2, 2, 1, 0},  // [N,512,3,3]
    {512, 3, 1, 1, 0, -1}, // [N,512,1,1]
    {0},
};

static rml_value_id encode(rml_params *params, rml_value_id x, const char *prefix,
                           const rml_lip_stage *stages)
{
    int at = 0;
    for (; stages->out; stages++)
        x = rml_lip_blocks(params, x, prefix, &at, stages, 0, RML_LIP_RELU);
    return x;
}

// [N,C,1,L] -> [N,512,1,1]; the second kernel takes the whole run.
static rml_value_id adapt(rml_params *params, rml_value_id x, int64_t rows)
{
    static const int64_t widths[] = {256, 256, 512};
    for (int i = 0; i < 3; i++) {
        char key[RML_KEY_BYTES];
        rml_conv_attr attr = rml_conv_square(1, 1, 0);
        attr.window.kernel[1] = i == 1 ? rows : 1;
        rml_key(key, "audio_adapter.%d", i);
        x = rml_lip_block(params, x, key, RML_LIP_CONV, widths[i], &attr, RML_LIP_RELU);
    }
    return x;
}

// [N,E,1,1] -> [N,E] of length 1. PyTorch divides by the larger of length and 1e-12, of which the
// sum has the bits wherever the length is more than 1e-5.
static void embed(rml_params *params, rml_value_id x, const char *name)
{
    rml_graph *graph = rml_params_graph(params);
    const int64_t width = rml_channels(params, x);
    x = rml_graph_l2norm(graph, x, RML_NO_VALUE, 1e-12f, name);
    rml_graph_output(graph, name, rml_graph_reshape(graph, x, &(rml_shape){2, {-1, width}}, name));
}

// Other networks of the same purpose are told by name. Returns whether it was one.
static bool refuse_others(rml_params *params)
{
    static const char beyond[] = "face_encoder.17.conv_block.0.weight";
    const char *what = NULL;
    if (rml_params_stored(params, "netcnnlip.0.weight"))
        what = "the network of syncnet_python, which takes MFCC and faces of 224x224";
    else if (rml_params_stored(params, "audio_adapter.0.conv_block.0.weight"))
        what = "an expert that hears vectors of Wav2Vec2 or Whisper; syncnet-latent is the one "
               "of these that sees latents";
    else if (rml_params_stored(params, beyond))
        what = "the expert of a fork, which sees faces larger than 96x96";
    if (what)
        rml_graph_fail(rml_params_graph(params), RML_ERR_UNSUPPORTED,
                       "this is %s; syncnet is Wav2Lip's own (lipsync_expert.pth)", what);
    return what != NULL;
}

void rml_build_syncnet(rml_params *params)
{
    rml_graph *graph = rml_params_graph(params);
    const rml_value_id audio = rml_graph_input(graph, "audio", &(rml_shape){4, {-1, 1, 80, 16}});
    const rml_value_id face = rml_graph_input(graph, "face", &(rml_shape){4, {-1, 15, 48, 96}});
    if (refuse_others(params))
        return;
    embed(params, encode(params, audio, "audio_encoder", audio_stages), "audio_embedding");
    embed(params, encode(params, face, "face_encoder", face_stages), "face_embedding");
}

// A dimension of stored weights, or what was published.
static int64_t stored_dim(const rml_params *params, const char *key, int axis, int64_t published)
{
    const rml_shape *shape = rml_params_stored(params, key);
    return shape && shape->rank == 4 ? shape->dim[axis] : published;
}

void rml_build_syncnet_latent(rml_params *params)
{
    static const char *const wholes[] = {"model.", NULL}; // a checkpoint of the training
    static const char face_key[] = "face_encoder.0.conv_block.0.weight";
    rml_graph *graph = rml_params_graph(params);
    rml_params_scope(params, face_key, wholes);
    rml_params_ignore(params, "logit_scale"); // of the loss
    const int64_t width = stored_dim(params, "audio_adapter.0.conv_block.0.weight", 1, 768);
    const int64_t rows = stored_dim(params, "audio_adapter.1.conv_block.0.weight", 3, 10);
    const int64_t planes = stored_dim(params, face_key, 1, 20);
    rml_value_id audio = rml_graph_input(graph, "audio", &(rml_shape){4, {-1, 1, rows, width}});
    const rml_value_id latents =
        rml_graph_input(graph, "latents", &(rml_shape){4, {-1, planes, 96, 96}});
    static const int order[4] = {0, 3, 1, 2};
    audio = rml_graph_transpose(graph, audio, order, 4, "audio"); // [N,C,1,L]
    embed(params, adapt(params, audio, rows), "audio_embedding");
    embed(params, encode(params, latents, "face_encoder", latent_stages), "face_embedding");
}

RML_NETWORK(syncnet, "syncnet", rml_build_syncnet, rml_kit_whole)
RML_NETWORK(syncnet_latent, "syncnet-latent", rml_build_syncnet_latent, rml_kit_whole)
