// S3FD face detector: a VGG16 trunk with six detection heads.
//   image (N,3,H,W)  RGB minus (104,117,123) in that order, H and W at least 32
//   cls1 reg1 ... cls6 reg6: (N,2,h,w) scores before softmax, the first after max-out, and
//   (N,4,h,w)
// Source: Rudrabha/Wav2Lip, face_detection/detection/sfd/net_s3fd.py.
//
// Traps: fc6 pads by 3, so its map grows; pools and later layers read the features before L2Norm,
// only the heads read them after; the first head has three background channels, of which the
// largest counts.
#include "models/blocks.h"
#include "models/networks.h"

typedef struct trunk_layer {
    const char *name;
    int64_t out; // published width
    int64_t kernel, stride, pad;
    bool pool; // 2x2 max pool behind it
    int head;  // number of the head that reads its output, or 0
} trunk_layer;

static const trunk_layer trunk[] = {
    {"conv1_1", 64, 3, 1, 1, false, 0},  //
    {"conv1_2", 64, 3, 1, 1, true, 0},   //
    {"conv2_1", 128, 3, 1, 1, false, 0}, //
    {"conv2_2", 128, 3, 1, 1, true, 0},  //
    {"conv3_1", 256, 3, 1, 1, false, 0}, //
    {"conv3_2", 256, 3, 1, 1, false, 0}, //
    {"conv3_3", 256, 3, 1, 1, true, 1},  // [N,256,H/4,W/4] before the pool
    {"conv4_1", 512, 3, 1, 1, false, 0}, //
    {"conv4_2", 512, 3, 1, 1, false, 0}, //
    {"conv4_3", 512, 3, 1, 1, true, 2},  // [N,512,H/8,W/8]
    {"conv5_1", 512, 3, 1, 1, false, 0}, //
    {"conv5_2", 512, 3, 1, 1, false, 0}, //
    {"conv5_3", 512, 3, 1, 1, true, 3},  // [N,512,H/16,W/16]
    {"fc6", 1024, 3, 1, 3, false, 0},    // [N,1024,H/32+4,W/32+4]
    {"fc7", 1024, 1, 1, 0, false, 4},    //
    {"conv6_1", 256, 1, 1, 0, false, 0}, //
    {"conv6_2", 512, 3, 2, 1, false, 5}, //
    {"conv7_1", 128, 1, 1, 0, false, 0}, //
    {"conv7_2", 256, 3, 2, 1, false, 6}, //
};

static const char *const head_names[] = {"conv3_3_norm", "conv4_3_norm", "conv5_3_norm",
                                         "fc7",          "conv6_2",      "conv7_2"};

#define NORM_HEADS 3

static rml_value_id normalise(rml_params *params, rml_value_id x, const char *name)
{
    char key[RML_KEY_BYTES];
    rml_key(key, "%s.weight", name);
    const rml_shape shape = {1, {rml_channels(params, x)}};
    const rml_value_id scale = rml_params_get(params, key, &shape, 0, RML_INIT_ONE);
    return rml_graph_l2norm(rml_params_graph(params), x, scale, 1e-10f, name);
}

// The largest of the first three class channels is the background.
static rml_value_id max_out(rml_graph *graph, rml_value_id cls, const char *name)
{
    const rml_value_id candidates = rml_graph_slice(graph, cls, 1, 0, 3, 1, name);
    const rml_value_id background =
        rml_graph_reduce(graph, candidates, RML_REDUCE_MAX, 1, true, name);
    const rml_value_id face = rml_graph_slice(graph, cls, 1, 3, 4, 1, name);
    const rml_value_id both[2] = {background, face};
    return rml_graph_concat(graph, both, 2, 1, name);
}

static void head(rml_params *params, rml_value_id x, int number)
{
    rml_graph *graph = rml_params_graph(params);
    const rml_conv_attr attr = rml_conv_square(3, 1, 1);
    const char *name = head_names[number - 1];
    char key[RML_KEY_BYTES];
    if (number <= NORM_HEADS)
        x = normalise(params, x, name);
    rml_key(key, "%s_mbox_conf", name);
    rml_value_id cls = rml_conv(params, x, key, &attr, number == 1 ? 4 : 2, true);
    if (number == 1)
        cls = max_out(graph, cls, key);
    rml_key(key, "cls%d", number);
    rml_graph_output(graph, key, cls);
    rml_key(key, "%s_mbox_loc", name);
    const rml_value_id reg = rml_conv(params, x, key, &attr, 4, true);
    rml_key(key, "reg%d", number);
    rml_graph_output(graph, key, reg);
}

void rml_build_s3fd(rml_params *params)
{
    static const float mean[3] = {104, 117, 123}, one[3] = {1, 1, 1};
    rml_graph *graph = rml_params_graph(params);
    rml_value_id x = rml_graph_input(graph, "image", &(rml_shape){4, {-1, 3, -1, -1}});
    rml_graph_mean_image(graph, false, 3, RML_COLOURS_BGR, mean, one);
    const rml_pool_attr pool = {.kind = RML_POOL_MAX, .window = rml_window_square(2, 2, 0)};
    for (size_t i = 0; i < sizeof trunk / sizeof *trunk; i++) {
        const trunk_layer *layer = &trunk[i];
        const rml_conv_attr attr = rml_conv_square(layer->kernel, layer->stride, layer->pad);
        x = rml_conv(params, x, layer->name, &attr, layer->out, false);
        x = rml_relu(params, x, layer->name);
        if (layer->head)
            head(params, x, layer->head);
        if (layer->pool)
            x = rml_graph_pool(graph, x, &pool, layer->name);
    }
}

RML_NETWORK(s3fd, "s3fd", rml_build_s3fd, rml_kit_whole)
