// Rules of single layers: versions, what must be set, how many weights there must be.
#include "loaders/check/layer_weights.h"

enum {
    CONVOLUTION = 100,
    POOLING = 120,
    ACTIVATION = 130,
    INNER_PRODUCT = 140,
    EMBEDDING = 150,
    BATCHNORM = 160,
    UPSAMPLE = 210,
    RESIZE_BILINEAR = 211,
    CROP_RESIZE = 212,
    PADDING = 200,
    SCALE = 245,
    BIAS = 250,
    LOAD_CONSTANT = 290,
    REORGANIZE = 345,
    RECURRENT = 400,
    GRU = 410,
    LSTM = 420,
    LSTM_BOTH_WAYS = 430,
    CUSTOM = 500,
    FIRST_EXACT = 600,
    CONCAT_ND = 980,
    EMBEDDING_ND = 1040,
    BATCHED_MATMUL = 1045,
    LOAD_CONSTANT_ND = 1070,
    LAYER_NORM = 1350,
};

// ---- versions -----------------------------------------------------------------------------------

static int64_t version_of(int kind)
{
    static const int fifth[] = {1450, 1455, 1460, 1461, 1465, 1466, 1470, 1471};
    for (size_t i = 0; i < sizeof fifth / sizeof *fifth; i++)
        if (fifth[i] == kind)
            return 5;
    if (kind == CUSTOM)
        return 2;
    if (kind == RESIZE_BILINEAR || kind == CROP_RESIZE)
        return 3;
    return kind >= FIRST_EXACT ? 4 : 1;
}

static void check_version(rml_layer_check *c)
{
    const rml_protobuf *params = &c->layer->params;
    rml_layer_needs(c, version_of(c->layer->kind), "this kind of layer");
    if (c->layer->kind == REORGANIZE && rml_layer_int(c, params, 1) == 2)
        rml_layer_needs(c, 5, "PIXEL_SHUFFLE");
    if (c->layer->kind == UPSAMPLE && rml_layer_int(c, params, 6) != 0)
        rml_layer_needs(c, 5, "linearUpsampleMode with aligned corners");
    if (c->layer->kind == UPSAMPLE && rml_layer_has(c, params, 7))
        rml_layer_needs(c, 5, "fractionalScalingFactor");
    if (c->layer->kind == CONCAT_ND && rml_layer_int(c, params, 2) != 0)
        rml_layer_needs(c, 5, "interleave");
}

// ---- convolutions and products ------------------------------------------------------------------

static void check_padding_kind(rml_layer_check *c, uint32_t first, uint32_t last)
{
    for (uint32_t number = first; number <= last; number++)
        if (rml_layer_has(c, &c->layer->params, number))
            return;
    rml_check_fault(c->checker, c->place, "its kind of padding is not set");
}

static void check_convolution(rml_layer_check *c)
{
    const rml_protobuf *params = &c->layer->params;
    const uint64_t out = (uint64_t)rml_layer_int(c, params, 1);
    const uint64_t in = (uint64_t)rml_layer_int(c, params, 2); // for each group, of a convolution
    uint64_t groups = (uint64_t)rml_layer_int(c, params, 10);
    const bool transposed = rml_layer_int(c, params, 60) != 0;
    const uint64_t kernel =
        rml_layer_times(rml_layer_item(c, params, 20, 0, 3), rml_layer_item(c, params, 20, 1, 3));
    groups = groups ? groups : 1;
    check_padding_kind(c, 50, 51);
    if (out % groups)
        rml_check_fault(c->checker, c->place, "%llu output channels are no multiple of %llu groups",
                        (unsigned long long)out, (unsigned long long)groups);
    if (c->layer->input_count > 1) // the second is the weights
        rml_layer_needs(c, 4, "weights that are computed");
    else
        rml_layer_weights(
            c, params, 90, "weights",
            rml_layer_times(rml_layer_times(transposed ? out / groups : out, in), kernel));
    if (rml_layer_int(c, params, 70))
        rml_layer_weights(c, params, 91, "biases", out);
}

// A matrix in field `weights` and a bias behind it, where there is one.
static void check_product(rml_layer_check *c, uint32_t rows, uint32_t has_bias, uint32_t weights)
{
    const rml_protobuf *params = &c->layer->params;
    const uint64_t in = (uint64_t)rml_layer_int(c, params, rows);
    const uint64_t out = (uint64_t)rml_layer_int(c, params, rows + 1);
    rml_layer_weights(c, params, weights, "weights", rml_layer_times(in, out));
    if (rml_layer_int(c, params, has_bias))
        rml_layer_weights(c, params, weights + 1, "biases", out);
}

static void check_batchnorm(rml_layer_check *c)
{
    const rml_protobuf *params = &c->layer->params;
    const uint64_t channels = (uint64_t)rml_layer_int(c, params, 1);
    rml_layer_weights(c, params, 15, "gammas", channels);
    rml_layer_weights(c, params, 16, "betas", channels);
    if (rml_layer_int(c, params, 5)) // means are computed
        return;
    rml_layer_weights(c, params, 17, "means", channels);
    rml_layer_weights(c, params, 18, "variances", channels);
}

// Numbers of a shape, both in fields of the message.
static void check_shaped(rml_layer_check *c, uint32_t shape, uint32_t weights, const char *what)
{
    rml_layer_weights(c, &c->layer->params, weights, what,
                      rml_layer_product(c, &c->layer->params, shape));
}

static void check_activation(rml_layer_check *c, const rml_protobuf *params)
{
    static const uint32_t kinds[] = {5, 10, 15, 20, 25, 30, 31, 40, 41, 50, 60, 70, 71};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (rml_layer_has(c, params, kinds[i]))
            return;
    rml_check_fault(c->checker, c->place, "its kind of activation is not set");
}

// ---- recurrent layers ---------------------------------------------------------------------------

// `gates` matrices of the input from field `first` on, of the state from `first` + `state`.
static void check_gates(rml_layer_check *c, const rml_protobuf *params, uint32_t first,
                        uint32_t state, uint32_t bias, int gates, bool has_bias)
{
    const uint64_t in = (uint64_t)rml_layer_int(c, &c->layer->params, 1);
    const uint64_t out = (uint64_t)rml_layer_int(c, &c->layer->params, 2);
    for (uint32_t g = 0; g < (uint32_t)gates; g++) {
        rml_layer_weights(c, params, first + g, "weights of the input", rml_layer_times(in, out));
        rml_layer_weights(c, params, state + g, "weights of the state", rml_layer_times(out, out));
        if (has_bias)
            rml_layer_weights(c, params, bias + g, "biases", out);
    }
}

static void check_lstm(rml_layer_check *c)
{
    const rml_protobuf options = rml_layer_inside(c, &c->layer->params, 15);
    const uint64_t out = (uint64_t)rml_layer_int(c, &c->layer->params, 2);
    const bool has_bias = rml_layer_int(c, &options, 20) != 0;
    const bool has_peepholes = rml_layer_int(c, &options, 40) != 0;
    rml_protobuf rest = c->layer->params, weights;
    bool more = true;
    int sets = 0;
    while (rml_message_inside(&rest, 20, "weights", &weights, &more, NULL) == RML_OK && more) {
        sets++;
        check_gates(c, &weights, 1, 20, 40, 4, has_bias);
        for (uint32_t g = 0; g < 3 && has_peepholes; g++)
            rml_layer_weights(c, &weights, 60 + g, "peepholes", out);
    }
    const int wanted = c->layer->kind == LSTM ? 1 : 2;
    if (sets != wanted)
        rml_check_fault(c->checker, c->place, "it has %d sets of weights, %d are right", sets,
                        wanted);
}

static void check_recurrent(rml_layer_check *c)
{
    const rml_protobuf *params = &c->layer->params;
    const bool has_bias = rml_layer_int(c, params, 20) != 0;
    if (c->layer->kind == GRU)
        check_gates(c, params, 30, 50, 70, 3, has_bias);
    else if (c->layer->kind == RECURRENT)
        check_gates(c, params, 30, 31, 32, 1, has_bias);
    else
        check_lstm(c);
}

// ---- all ----------------------------------------------------------------------------------------

static void check_kind(rml_layer_check *c)
{
    const rml_protobuf *params = &c->layer->params;
    switch (c->layer->kind) {
    case CONVOLUTION:
        check_convolution(c);
        break;
    case POOLING:
        check_padding_kind(c, 30, 32);
        break;
    case PADDING:
        check_padding_kind(c, 1, 3);
        break;
    case ACTIVATION:
        check_activation(c, params);
        break;
    case INNER_PRODUCT:
        check_product(c, 1, 10, 20);
        break;
    case EMBEDDING:
        check_product(c, 1, 10, 20);
        break;
    case EMBEDDING_ND:
        check_product(c, 1, 3, 20);
        break;
    case BATCHED_MATMUL:
        if (rml_layer_has(c, params, 8) || c->layer->input_count < 2)
            check_product(c, 5, 7, 8);
        break;
    case BATCHNORM:
        check_batchnorm(c);
        break;
    case SCALE:
        check_shaped(c, 1, 2, "scales");
        if (rml_layer_int(c, params, 3))
            check_shaped(c, 4, 5, "biases");
        break;
    case BIAS:
        check_shaped(c, 1, 2, "biases");
        break;
    case LOAD_CONSTANT:
    case LOAD_CONSTANT_ND:
        check_shaped(c, 1, 2, "numbers");
        break;
    case LAYER_NORM:
        check_shaped(c, 1, 3, "gammas");
        check_shaped(c, 1, 4, "betas");
        break;
    case RECURRENT:
    case GRU:
    case LSTM:
    case LSTM_BOTH_WAYS:
        check_recurrent(c);
        break;
    }
}

rml_status rml_check_layer(rml_checker *checker, rml_coreml *file, const rml_coreml_model *model,
                           const rml_nn_layer *layer, const char *place)
{
    rml_layer_check c = {.checker = checker,
                         .file = file,
                         .version = model->version,
                         .layer = layer,
                         .place = place};
    check_version(&c);
    check_kind(&c);
    if (c.wide && c.half)
        rml_check_fault(checker, place, "floats of 32 and of 16 bits among its weights");
    return c.status;
}
