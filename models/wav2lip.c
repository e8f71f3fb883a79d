// Wav2Lip generator, 96x96.
//   audio  (N,1,80,16)  normalised mel, 80 bands x 16 frames, values in [-4,4]
//   face   (N,6,96,96)  masked face and reference face, BGR, /255
//   frames (N,3,96,96)  BGR, (0,1)
// Source: Rudrabha/Wav2Lip, models/wav2lip.py.
//
// Traps: the residual is added after the batch norm and before the ReLU; audio strides are (height
// = mel axis, width = time): (3,1), (3,3), (3,2); the concatenation puts the decoder's tensor
// first.
#include "models/blocks.h"
#include "models/networks.h"

typedef enum layer_kind {
    CONV,
    RESIDUAL,
    TRANSPOSED, // its stride doubles the size, but for stride 1
    STAGE_END
} layer_kind;

typedef struct layer {
    layer_kind kind;
    int64_t out; // published width
    int64_t kernel, stride_h, stride_w, pad;
} layer;

#define STAGES 7
#define STAGE_LAYERS 5

static const layer audio_layers[] = {
    {CONV, 32, 3, 1, 1, 1},      // [N,32,80,16]
    {RESIDUAL, 32, 3, 1, 1, 1},  //
    {RESIDUAL, 32, 3, 1, 1, 1},  //
    {CONV, 64, 3, 3, 1, 1},      // [N,64,27,16]
    {RESIDUAL, 64, 3, 1, 1, 1},  //
    {RESIDUAL, 64, 3, 1, 1, 1},  //
    {CONV, 128, 3, 3, 3, 1},     // [N,128,9,6]
    {RESIDUAL, 128, 3, 1, 1, 1}, //
    {RESIDUAL, 128, 3, 1, 1, 1}, //
    {CONV, 256, 3, 3, 2, 1},     // [N,256,3,3]
    {RESIDUAL, 256, 3, 1, 1, 1}, //
    {CONV, 512, 3, 1, 1, 0},     // [N,512,1,1]
    {CONV, 512, 1, 1, 1, 0},     // [N,512,1,1]
};

static const layer encoder_stages[STAGES][STAGE_LAYERS] = {
    {{CONV, 16, 7, 1, 1, 3}, {.kind = STAGE_END}}, // [N,16,96,96]
    {{CONV, 32, 3, 2, 2, 1},
     {RESIDUAL, 32, 3, 1, 1, 1},
     {RESIDUAL, 32, 3, 1, 1, 1},
     {.kind = STAGE_END}}, // [N,32,48,48]
    {{CONV, 64, 3, 2, 2, 1},
     {RESIDUAL, 64, 3, 1, 1, 1},
     {RESIDUAL, 64, 3, 1, 1, 1},
     {RESIDUAL, 64, 3, 1, 1, 1},
     {.kind = STAGE_END}}, // [N,64,24,24]
    {{CONV, 128, 3, 2, 2, 1},
     {RESIDUAL, 128, 3, 1, 1, 1},
     {RESIDUAL, 128, 3, 1, 1, 1},
     {.kind = STAGE_END}}, // [N,128,12,12]
    {{CONV, 256, 3, 2, 2, 1},
     {RESIDUAL, 256, 3, 1, 1, 1},
     {RESIDUAL, 256, 3, 1, 1, 1},
     {.kind = STAGE_END}},                                                       // [N,256,6,6]
    {{CONV, 512, 3, 2, 2, 1}, {RESIDUAL, 512, 3, 1, 1, 1}, {.kind = STAGE_END}}, // [N,512,3,3]
    {{CONV, 512, 3, 1, 1, 0}, {CONV, 512, 1, 1, 1, 0}, {.kind = STAGE_END}},     // [N,512,1,1]
};

static const layer decoder_stages[STAGES][STAGE_LAYERS] = {
    {{CONV, 512, 1, 1, 1, 0}, {.kind = STAGE_END}}, // [N,512,1,1]
    {{TRANSPOSED, 512, 3, 1, 1, 0},
     {RESIDUAL, 512, 3, 1, 1, 1},
     {.kind = STAGE_END}}, // [N,512,3,3]
    {{TRANSPOSED, 512, 3, 2, 2, 1},
     {RESIDUAL, 512, 3, 1, 1, 1},
     {RESIDUAL, 512, 3, 1, 1, 1},
     {.kind = STAGE_END}}, // [N,512,6,6]
    {{TRANSPOSED, 384, 3, 2, 2, 1},
     {RESIDUAL, 384, 3, 1, 1, 1},
     {RESIDUAL, 384, 3, 1, 1, 1},
     {.kind = STAGE_END}}, // [N,384,12,12]
    {{TRANSPOSED, 256, 3, 2, 2, 1},
     {RESIDUAL, 256, 3, 1, 1, 1},
     {RESIDUAL, 256, 3, 1, 1, 1},
     {.kind = STAGE_END}}, // [N,256,24,24]
    {{TRANSPOSED, 128, 3, 2, 2, 1},
     {RESIDUAL, 128, 3, 1, 1, 1},
     {RESIDUAL, 128, 3, 1, 1, 1},
     {.kind = STAGE_END}}, // [N,128,48,48]
    {{TRANSPOSED, 64, 3, 2, 2, 1},
     {RESIDUAL, 64, 3, 1, 1, 1},
     {RESIDUAL, 64, 3, 1, 1, 1},
     {.kind = STAGE_END}}, // [N,64,96,96]
};

// Convolution -> batch norm -> (+ input) -> ReLU, keys "<prefix>.conv_block.0" and ".1".
static rml_value_id block(rml_params *params, rml_value_id x, const char *prefix, const layer *at)
{
    char key[RML_KEY_BYTES];
    rml_conv_attr attr = rml_conv_square(at->kernel, 1, at->pad);
    attr.window.stride[0] = at->stride_h;
    attr.window.stride[1] = at->stride_w;
    rml_key(key, "%s.conv_block.0", prefix);
    rml_value_id y;
    if (at->kind == TRANSPOSED) {
        attr.out_pad[0] = attr.out_pad[1] = at->stride_h - 1;
        y = rml_conv_transpose(params, x, key, &attr, at->out);
    } else if (at->kind == RESIDUAL) {
        y = rml_conv(params, x, key, &attr, rml_channels(params, x), true);
    } else {
        y = rml_conv(params, x, key, &attr, at->out, false);
    }
    rml_key(key, "%s.conv_block.1", prefix);
    y = rml_batch_norm(params, y, key);
    if (at->kind == RESIDUAL)
        y = rml_graph_binary(rml_params_graph(params), RML_BINARY_ADD, y, x, prefix);
    return rml_relu(params, y, prefix);
}

static rml_value_id stage(rml_params *params, rml_value_id x, const char *prefix, int index,
                          const layer *layers)
{
    for (int i = 0; layers[i].kind != STAGE_END; i++) {
        char key[RML_KEY_BYTES];
        rml_key(key, "%s.%d.%d", prefix, index, i);
        x = block(params, x, key, &layers[i]);
    }
    return x;
}

void rml_build_wav2lip(rml_params *params)
{
    rml_graph *graph = rml_params_graph(params);
    const rml_value_id audio = rml_graph_input(graph, "audio", &(rml_shape){4, {-1, 1, 80, 16}});
    const rml_value_id face = rml_graph_input(graph, "face", &(rml_shape){4, {-1, 6, 96, 96}});

    rml_value_id skip[STAGES], x = face;
    for (int i = 0; i < STAGES; i++)
        skip[i] = x = stage(params, x, "face_encoder_blocks", i, encoder_stages[i]);

    x = audio;
    for (size_t i = 0; i < sizeof audio_layers / sizeof *audio_layers; i++) {
        char key[RML_KEY_BYTES];
        rml_key(key, "audio_encoder.%zu", i);
        x = block(params, x, key, &audio_layers[i]);
    }

    for (int i = 0; i < STAGES; i++) {
        char key[RML_KEY_BYTES];
        rml_key(key, "face_decoder_blocks.%d", i);
        x = stage(params, x, "face_decoder_blocks", i, decoder_stages[i]);
        const rml_value_id both[2] = {x, skip[STAGES - 1 - i]};
        x = rml_graph_concat(graph, both, 2, 1, key);
    }

    static const layer head = {CONV, 32, 3, 1, 1, 1};
    static const float black[3] = {0}, white[3] = {255, 255, 255};
    const rml_conv_attr last = rml_conv_square(1, 1, 0);
    x = block(params, x, "output_block.0", &head);             // [N,32,96,96]
    x = rml_conv(params, x, "output_block.1", &last, 3, true); // [N,3,96,96]
    x = rml_graph_unary(graph, x, (rml_activation){.kind = RML_UNARY_SIGMOID}, "output_block.2");
    rml_graph_output(graph, "frames", x);
    rml_graph_mean_image(graph, true, 3, RML_COLOURS_BGR, black, white);
}
