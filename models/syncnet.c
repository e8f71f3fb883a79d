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
#include "models/blocks.h"
#include "models/networks.h"

typedef struct layer {
    bool residual;
    int64_t out; // published width
    int64_t kernel_h, kernel_w, stride_h, stride_w, pad;
} layer;

#define COUNT(layers) (sizeof(layers) / sizeof *(layers))
#define RESIDUAL(width)                                                                            \
    {                                                                                              \
        true, width, 3, 3, 1, 1, 1                                                                 \
    }

static const layer face_layers[] = {
    {false, 32, 7, 7, 1, 1, 3}, // [N,32,48,96]
    {false, 64, 5, 5, 1, 2, 1}, // [N,64,46,47]
    RESIDUAL(64),
    RESIDUAL(64),
    {false, 128, 3, 3, 2, 2, 1}, // [N,128,23,24]
    RESIDUAL(128),
    RESIDUAL(128),
    RESIDUAL(128),
    {false, 256, 3, 3, 2, 2, 1}, // [N,256,12,12]
    RESIDUAL(256),
    RESIDUAL(256),
    {false, 512, 3, 3, 2, 2, 1}, // [N,512,6,6]
    RESIDUAL(512),
    RESIDUAL(512),
    {false, 512, 3, 3, 2, 2, 1}, // [N,512,3,3]
    {false, 512, 3, 3, 1, 1, 0}, // [N,512,1,1]
    {false, 512, 1, 1, 1, 1, 0}, //
};

static const layer audio_layers[] = {
    {false, 32, 3, 3, 1, 1, 1}, // [N,32,80,16]
    RESIDUAL(32),
    RESIDUAL(32),
    {false, 64, 3, 3, 3, 1, 1}, // [N,64,27,16]
    RESIDUAL(64),
    RESIDUAL(64),
    {false, 128, 3, 3, 3, 3, 1}, // [N,128,9,6]
    RESIDUAL(128),
    RESIDUAL(128),
    {false, 256, 3, 3, 3, 2, 1}, // [N,256,3,3]
    RESIDUAL(256),
    RESIDUAL(256),
    {false, 512, 3, 3, 1, 1, 0}, // [N,512,1,1]
    {false, 512, 1, 1, 1, 1, 0}, //
};

static const layer latent_layers[] = {
    {false, 128, 7, 7, 1, 1, 3}, // [N,128,96,96]
    {false, 128, 5, 5, 2, 2, 1}, // [N,128,47,47]
    RESIDUAL(128),
    RESIDUAL(128),
    {false, 128, 3, 3, 2, 2, 1}, // [N,128,24,24]; 256 in "xl", and so on
    RESIDUAL(128),
    RESIDUAL(128),
    RESIDUAL(128),
    {false, 256, 3, 3, 2, 2, 1}, // [N,256,12,12]
    RESIDUAL(256),
    RESIDUAL(256),
    {false, 512, 3, 3, 2, 2, 1}, // [N,512,6,6]
    RESIDUAL(512),
    RESIDUAL(512),
    {false, 512, 3, 3, 2, 2, 1}, // [N,512,3,3]
    {false, 512, 3, 3, 1, 1, 0}, // [N,512,1,1]
    {false, 512, 1, 1, 1, 1, 0}, //
};

// Convolution -> batch norm -> (+ input) -> ReLU, keys "<prefix>.conv_block.0" and ".1".
static rml_value_id block(rml_params *params, rml_value_id x, const char *prefix, const layer *at)
{
    char key[RML_KEY_BYTES];
    rml_conv_attr attr = rml_conv_square(at->kernel_h, 1, at->pad);
    attr.window.kernel[1] = at->kernel_w;
    attr.window.stride[0] = at->stride_h;
    attr.window.stride[1] = at->stride_w;
    rml_key(key, "%s.conv_block.0", prefix);
    rml_value_id y = at->residual ? rml_conv(params, x, key, &attr, rml_channels(params, x), true)
                                  : rml_conv(params, x, key, &attr, at->out, false);
    rml_key(key, "%s.conv_block.1", prefix);
    y = rml_batch_norm(params, y, key);
    if (at->residual)
        y = rml_graph_binary(rml_params_graph(params), RML_BINARY_ADD, y, x, prefix);
    return rml_relu(params, y, prefix);
}

static rml_value_id stack(rml_params *params, rml_value_id x, const char *prefix,
                          const layer *layers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char key[RML_KEY_BYTES];
        rml_key(key, "%s.%zu", prefix, i);
        x = block(params, x, key, &layers[i]);
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
    embed(params, stack(params, audio, "audio_encoder", audio_layers, COUNT(audio_layers)),
          "audio_embedding");
    embed(params, stack(params, face, "face_encoder", face_layers, COUNT(face_layers)),
          "face_embedding");
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
    const layer adapter[] = {
        {false, 256, 1, 1, 1, 1, 0}, {false, 256, 1, rows, 1, 1, 0}, {false, 512, 1, 1, 1, 1, 0}};
    rml_value_id audio = rml_graph_input(graph, "audio", &(rml_shape){4, {-1, 1, rows, width}});
    const rml_value_id latents =
        rml_graph_input(graph, "latents", &(rml_shape){4, {-1, planes, 96, 96}});
    static const int order[4] = {0, 3, 1, 2};
    audio = rml_graph_transpose(graph, audio, order, 4, "audio"); // [N,C,1,L]
    embed(params, stack(params, audio, "audio_adapter", adapter, COUNT(adapter)),
          "audio_embedding");
    embed(params, stack(params, latents, "face_encoder", latent_layers, COUNT(latent_layers)),
          "face_embedding");
}
