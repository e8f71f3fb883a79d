// Wav2Lip generators, side S: 96, or 128, 256, 288, 384, 512 as the weights tell.
//   audio  (N,1,80,16)  normalised mel, 80 bands x 16 frames, values in [-4,4]
//   face   (N,6,S,S)    masked face and reference face, BGR, /255 (two kinds: [-1,1])
//   frames (N,3,S,S)    BGR, the same
// Source: Rudrabha/Wav2Lip, models/wav2lip.py, and those named in wav2lip.md.
//
// Traps: the residual is added after the batch norm and before the activation, and the first block
// of a stage has none even where its width stays; audio strides are (height = mel axis, width =
// time): (3,1), (3,3), (3,2); the concatenation puts the decoder's tensor first; attention is made
// of the skip (mean, then maximum) and applied to the decoder's tensor.
#include "models/wav2lip.h"

#include "models/networks.h"

#define SMALLEST_LENGTH 1e-12f

typedef struct generator {
    rml_params *params;
    rml_graph *graph;
    rml_wav2lip_kind kind;
} generator;

static rml_value_id unary(const generator *g, rml_value_id x, rml_unary kind, const char *name)
{
    return rml_graph_unary(g->graph, x, (rml_activation){.kind = kind}, name);
}

static rml_value_id stage(const generator *g, rml_value_id x, const char *prefix, int *at,
                          const rml_lip_stage *s, int64_t to, bool leaky)
{
    const rml_lip_act act = g->kind.prelu ? RML_LIP_PRELU : leaky ? RML_LIP_LEAKY : RML_LIP_RELU;
    return rml_lip_blocks(g->params, x, prefix, at, s, to, act);
}

// The embedding of the sound, (N,C,1,1).
static rml_value_id hear(const generator *g, rml_value_id x)
{
    int at = 0;
    for (const rml_lip_stage *s = g->kind.audio; s->out; s++)
        x = stage(g, x, "audio_encoder", &at, s, 0, g->kind.leaky_audio && s[1].out);
    if (g->kind.has_refine) {
        // Where the blocks are not run they are in the file all the same.
        const rml_lip_stage pointwise = {(int)rml_channels(g->params, x), 1, 1, 1, 0, -1};
        at = 0;
        const rml_value_id refined = stage(g, x, "audio_refine", &at, &pointwise, 0, g->kind.leaky);
        x = g->kind.refine ? refined : x;
    }
    return g->kind.norm ? rml_graph_l2norm(g->graph, x, RML_NO_VALUE, SMALLEST_LENGTH, "audio_norm")
                        : x;
}

// x * A + x, A (N,1,h,w) made of the skip. At the first stage x is one pixel, which becomes h x w.
static rml_value_id attend(const generator *g, rml_value_id x, rml_value_id skip,
                           rml_value_id weight, int index)
{
    char name[RML_KEY_BYTES];
    rml_key(name, "sam.%d", index);
    const rml_conv_attr attr = rml_conv_square(7, 1, 3);
    const rml_value_id both[2] = {rml_graph_reduce(g->graph, skip, RML_REDUCE_MEAN, 1, true, name),
                                  rml_graph_reduce(g->graph, skip, RML_REDUCE_MAX, 1, true, name)};
    rml_value_id a = rml_graph_concat(g->graph, both, 2, 1, name);
    a = rml_graph_conv(g->graph, a, weight, RML_NO_VALUE, &attr, name);
    a = unary(g, a, RML_UNARY_SIGMOID, name);
    a = rml_graph_binary(g->graph, RML_BINARY_MUL, x, a, name);
    return rml_graph_binary(g->graph, RML_BINARY_ADD, a, x, name);
}

static rml_value_id decode(const generator *g, rml_value_id x, const rml_value_id *skip,
                           int skip_count)
{
    const rml_lip_stage *const stages = g->kind.decoder;
    rml_value_id attention = RML_NO_VALUE;
    if (g->kind.attention || g->kind.open & RML_WAV2LIP_TELL_ATTENTION)
        attention = rml_params_get(g->params, "sam.sa.conv1.weight", &(rml_shape){4, {1, 2, 7, 7}},
                                   0, RML_INIT_WEIGHT);
    for (int i = 0; stages[i].out; i++) {
        char key[RML_KEY_BYTES];
        int at = 0;
        const rml_value_id by = skip[skip_count - 1 - i];
        rml_key(key, "face_decoder_blocks.%d", i);
        x = stage(g, x, key, &at, &stages[i], i ? rml_dim(g->params, by, 2) : 0, g->kind.leaky);
        if (g->kind.attention)
            x = attend(g, x, by, attention, i);
        const rml_value_id both[2] = {x, by};
        x = rml_graph_concat(g->graph, both, 2, 1, key);
    }
    return x;
}

static rml_value_id draw(const generator *g, rml_value_id x)
{
    const rml_conv_attr pointwise = rml_conv_square(1, 1, 0);
    char key[RML_KEY_BYTES];
    int at = 0;
    for (const rml_lip_stage *s = g->kind.head; s->out; s++)
        x = stage(g, x, "output_block", &at, s, 0, g->kind.leaky);
    rml_key(key, "output_block.%d", at);
    x = rml_conv(g->params, x, key, &pointwise, 3, true);
    rml_key(key, "output_block.%d", at + 1);
    return unary(g, x, g->kind.tanh ? RML_UNARY_TANH : RML_UNARY_SIGMOID, key);
}

void rml_build_wav2lip(rml_params *params)
{
    static const float zero[3] = {0}, most[3] = {255, 255, 255}, half[3] = {127.5f, 127.5f, 127.5f};
    generator g = {.params = params, .graph = rml_params_graph(params)};
    if (!rml_wav2lip_tell(params, &g.kind))
        return;
    const rml_value_id audio = rml_graph_input(g.graph, "audio", &(rml_shape){4, {-1, 1, 80, 16}});
    rml_value_id x =
        rml_graph_input(g.graph, "face", &(rml_shape){4, {-1, 6, g.kind.side, g.kind.side}});
    rml_value_id skip[RML_WAV2LIP_MAX_STAGES];
    int count = 0;
    for (const rml_lip_stage *s = g.kind.encoder; s->out; s++) {
        char key[RML_KEY_BYTES];
        int at = 0;
        rml_key(key, "face_encoder_blocks.%d", count);
        skip[count++] = x = stage(&g, x, key, &at, s, 0, g.kind.leaky);
    }
    x = draw(&g, decode(&g, hear(&g, audio), skip, count));
    rml_graph_output(g.graph, "frames", x);
    rml_graph_mean_image(g.graph, true, 3, RML_COLOURS_BGR, g.kind.signed_faces ? half : zero,
                         g.kind.signed_faces ? half : most);
}

RML_NETWORK(wav2lip, "wav2lip", rml_build_wav2lip, rml_kit_whole)
