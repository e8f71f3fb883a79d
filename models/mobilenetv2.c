// MobileNetV2 image classifier, torchvision's layout at any width.
//   image            (N,3,H,W)    RGB, normalised as the weights want it; H and W at least 32
//   classLabelProbs  (N,classes)  after softmax
// Source: torchvision, models/mobilenetv2.py. A leading "0." in all keys is that of
// Sequential(model, Softmax).
//
// Traps: ReLU6, and none behind a block's last convolution nor behind the residual; stride 2 pads
// by 1 on all sides, not as TensorFlow does.
#include "models/blocks.h"
#include "models/networks.h"
#include "ops/alone.h"

typedef struct group {
    int64_t expand, out, blocks, stride; // published; the stride is that of the first block
} group;

static const group groups[] = {
    {1, 16, 1, 1},  // [N,16,H/2,W/2]
    {6, 24, 2, 2},  // [N,24,H/4,W/4]
    {6, 32, 3, 2},  // [N,32,H/8,W/8]
    {6, 64, 4, 2},  // [N,64,H/16,W/16]
    {6, 96, 3, 1},  //
    {6, 160, 3, 2}, // [N,160,H/32,W/32]
    {6, 320, 1, 1}, //
};

// What it is made of: operators that know all ways, or those of alone.h.
typedef struct operators {
    const rml_op *conv, *unary, *binary, *mean, *linear, *softmax;
} operators;

typedef struct network {
    rml_params *params;
    const char *prefix; // "" or "0."
    const operators *op;
} network;

static void key_of(char key[RML_KEY_BYTES], const network *at, const char *layer, int number)
{
    rml_key(key, "%s%s.%d", at->prefix, layer, number);
}

// Convolution `number` of a layer and the batch norm behind it.
static rml_value_id conv(const network *at, rml_value_id x, const char *layer, int number,
                         const rml_conv_attr *attr, int64_t out, bool out_fixed)
{
    char key[RML_KEY_BYTES];
    key_of(key, at, layer, number);
    x = rml_conv_no_bias(at->params, at->op->conv, x, key, attr, out, out_fixed);
    key_of(key, at, layer, number + 1);
    return rml_batch_norm(at->params, x, key);
}

static rml_value_id relu6(const network *at, rml_value_id x, const char *layer)
{
    const rml_op_attr attr = {.unary = {RML_UNARY_CLAMP, {0.0f, 6.0f}}};
    return rml_graph_add(rml_params_graph(at->params), at->op->unary, &attr, &x, 1, layer);
}

// 1x1 up, 3x3 depthwise, 1x1 down; the first block of all has nothing to go up to.
static rml_value_id block(const network *at, rml_value_id in, int number, int64_t expand,
                          int64_t out, int64_t stride)
{
    const rml_conv_attr pointwise = rml_conv_square(1, 1, 0);
    rml_conv_attr depthwise = rml_conv_square(3, stride, 1);
    char layer[RML_KEY_BYTES];
    int step = 0;
    rml_value_id x = in;
    if (expand > 1) {
        rml_key(layer, "features.%d.conv.%d", number, step++);
        const int64_t published = expand * rml_channels(at->params, in);
        x = conv(at, x, layer, 0, &pointwise, published, false);
        x = relu6(at, x, layer);
    }
    rml_key(layer, "features.%d.conv.%d", number, step++);
    depthwise.groups = rml_channels(at->params, x);
    x = conv(at, x, layer, 0, &depthwise, depthwise.groups, true);
    x = relu6(at, x, layer);
    rml_key(layer, "features.%d.conv", number);
    x = conv(at, x, layer, step, &pointwise, out, false);
    if (stride > 1 || rml_channels(at->params, in) != rml_channels(at->params, x))
        return x;
    const rml_op_attr add = {.binary = {RML_BINARY_ADD, rml_activation_none()}};
    const rml_value_id both[] = {in, x};
    return rml_graph_add(rml_params_graph(at->params), at->op->binary, &add, both, 2, layer);
}

// [N,C,h,w] -> [N,classes]
static rml_value_id classify(const network *at, rml_value_id x)
{
    static const rml_op_attr average = {.pool = {.kind = RML_POOL_AVERAGE, .global = true}};
    static const rml_op_attr classes_last = {.softmax = {.axis = 1}};
    rml_graph *graph = rml_params_graph(at->params);
    const int64_t channels = rml_channels(at->params, x);
    char key[RML_KEY_BYTES];
    x = rml_graph_add(graph, at->op->mean, &average, &x, 1, "pool");
    x = rml_graph_reshape(graph, x, &(rml_shape){2, {-1, channels}}, "flatten");
    rml_key(key, "%sclassifier.1.weight", at->prefix);
    const rml_value_id weight =
        rml_params_get(at->params, key, &(rml_shape){2, {1000, channels}}, 1, RML_INIT_WEIGHT);
    if (weight == RML_NO_VALUE)
        return weight;
    const rml_shape classes = {1, {graph->values[weight].shape.dim[0]}};
    rml_key(key, "%sclassifier.1.bias", at->prefix);
    const rml_value_id bias = rml_params_get(at->params, key, &classes, 0, RML_INIT_ZERO);
    x = rml_graph_linear_of(graph, at->op->linear, x, weight, bias, "classifier.1");
    return rml_graph_add(graph, at->op->softmax, &classes_last, &x, 1, "softmax");
}

static void build(rml_params *params, const operators *op)
{
    // Of ImageNet's pictures, as torchvision has them.
    static const float mean[3] = {0.485f * 255, 0.456f * 255, 0.406f * 255};
    static const float deviation[3] = {0.229f * 255, 0.224f * 255, 0.225f * 255};
    rml_graph *graph = rml_params_graph(params);
    const network at = {params, rml_params_stored(params, "0.features.0.0.weight") ? "0." : "", op};
    const rml_conv_attr stem = rml_conv_square(3, 2, 1), head = rml_conv_square(1, 1, 0);
    rml_value_id x = rml_graph_input(graph, "image", &(rml_shape){4, {-1, 3, -1, -1}});
    x = relu6(&at, conv(&at, x, "features.0", 0, &stem, 32, false), "features.0");
    int number = 1;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        for (int64_t k = 0; k < groups[i].blocks; k++)
            x = block(&at, x, number++, groups[i].expand, groups[i].out, k ? 1 : groups[i].stride);
    x = relu6(&at, conv(&at, x, "features.18", 0, &head, 1280, false), "features.18");
    rml_graph_output(graph, "classLabelProbs", classify(&at, x));
    rml_graph_mean_image(graph, false, 3, RML_COLOURS_RGB, mean, deviation);
}

void rml_build_mobilenetv2(rml_params *params)
{
    static const operators whole = {&rml_op_conv, &rml_op_unary,  &rml_op_binary,
                                    &rml_op_pool, &rml_op_matmul, &rml_op_softmax};
    build(params, &whole);
}

static void build_alone(rml_params *params)
{
    static const operators alone = {&rml_op_conv_alone, &rml_op_clamp_alone, &rml_op_add_alone,
                                    &rml_op_mean_alone, &rml_op_linear,      &rml_op_softmax_alone};
    build(params, &alone);
}

RML_NETWORK(mobilenetv2, "mobilenetv2", build_alone, rml_kit_images)
