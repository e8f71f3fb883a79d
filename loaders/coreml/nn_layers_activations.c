// Activations: of their own, and of recurrent layers.
#include "loaders/coreml/nn_handler.h"

#include <math.h>

// Numbers of ActivationParams' fields.
enum {
    LINEAR = 5,
    RELU = 10,
    LEAKY_RELU = 15,
    THRESHOLDED_RELU = 20,
    PRELU = 25,
    TANH = 30,
    SCALED_TANH = 31,
    SIGMOID = 40,
    SIGMOID_HARD = 41,
    ELU = 50,
    SOFTSIGN = 60,
    SOFTPLUS = 70,
    PARAMETRIC_SOFTPLUS = 71,
};

static rml_value_id scaled(rml_nn_call *call, rml_value_id x, double factor)
{
    return factor == 1 ? x
                       : rml_coreml_binary(&call->make, RML_BINARY_MUL, x,
                                           rml_coreml_number(&call->make, factor, RML_F32));
}

static rml_value_id shifted(rml_nn_call *call, rml_value_id x, double offset)
{
    return offset == 0 ? x
                       : rml_coreml_binary(&call->make, RML_BINARY_ADD, x,
                                           rml_coreml_number(&call->make, offset, RML_F32));
}

// A number for each channel, or one for all.
static rml_value_id per_channel(rml_nn_call *call, const rml_protobuf *message, uint32_t number,
                                int64_t channels)
{
    const rml_protobuf weights = rml_nn_inside(call, message, number);
    size_t count = 0;
    rml_protobuf_field field;
    rml_protobuf rest = weights;
    bool more = weights.data != NULL;
    while (more && rml_protobuf_next(&rest, &field, &more, NULL) == RML_OK && more)
        count += field.number == 1 ? field.bytes / 4 : field.number == 2 ? field.bytes / 2 : 0;
    if (count != 1)
        count = (size_t)channels;
    const rml_shape shape = {1, {(int64_t)count}};
    const rml_value_id vector = rml_nn_weights(call, message, number, &shape, 0);
    if (vector == RML_NO_VALUE)
        rml_coreml_refuse(&call->make, "it has no parameters");
    return rml_nn_channels(call, vector, (int64_t)count);
}

static void import_activation(rml_nn_call *call)
{
    static const struct {
        uint32_t number;
        rml_unary kind;
    } plain[] = {
        {LEAKY_RELU, RML_UNARY_LEAKY_RELU},
        {TANH, RML_UNARY_TANH},
        {SIGMOID, RML_UNARY_SIGMOID},
        {SIGMOID_HARD, RML_UNARY_HARD_SIGMOID},
        {ELU, RML_UNARY_ELU},
        {SOFTSIGN, RML_UNARY_SOFTSIGN},
        {SOFTPLUS, RML_UNARY_SOFTPLUS},
    };
    const rml_protobuf *params = &call->layer->params;
    const rml_value_id x = rml_nn_in(call, 0);
    rml_protobuf rest = *params;
    rml_protobuf_field field = {0};
    bool more = true;
    uint32_t number = 0;
    while (rml_protobuf_next(&rest, &field, &more, NULL) == RML_OK && more)
        number = field.number;
    const rml_protobuf inside = number ? rml_nn_inside(call, params, number) : (rml_protobuf){0};
    const double alpha =
        number != PRELU && number != PARAMETRIC_SOFTPLUS ? rml_nn_float_in(call, &inside, 1) : 0;
    const double beta = number == LINEAR || number == SCALED_TANH || number == SIGMOID_HARD
                            ? rml_nn_float_in(call, &inside, 2)
                            : 0;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (plain[i].number == number)
            call->out[0] = rml_coreml_unary(&call->make, plain[i].kind, x, alpha, beta);
    if (number == LINEAR) {
        call->out[0] = shifted(call, scaled(call, x, alpha), beta);
    } else if (number == RELU) {
        call->out[0] = rml_coreml_unary(&call->make, RML_UNARY_CLAMP, x, 0, INFINITY);
    } else if (number == THRESHOLDED_RELU) {
        call->out[0] = rml_coreml_thresholded_relu(&call->make, x, alpha);
    } else if (number == SCALED_TANH) {
        call->out[0] =
            scaled(call, rml_coreml_unary(&call->make, RML_UNARY_TANH, scaled(call, x, beta), 0, 0),
                   alpha);
    } else if (number == PRELU) {
        call->out[0] =
            rml_coreml_binary(&call->make, RML_BINARY_PRELU, x,
                              per_channel(call, &inside, 1, rml_nn_image(call, x).dim[0]));
    } else if (number == PARAMETRIC_SOFTPLUS) {
        const int64_t channels = rml_nn_image(call, x).dim[0];
        const rml_value_id slope = per_channel(call, &inside, 2, channels);
        const rml_value_id soft =
            rml_coreml_unary(&call->make, RML_UNARY_SOFTPLUS,
                             rml_coreml_binary(&call->make, RML_BINARY_MUL, x, slope), 0, 0);
        call->out[0] = rml_coreml_binary(&call->make, RML_BINARY_MUL,
                                         per_channel(call, &inside, 1, channels), soft);
    } else if (call->out[0] == RML_NO_VALUE) {
        rml_coreml_refuse(&call->make, "activation %u is not known", number);
    }
}

static void import_softmax(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    const rml_op_attr attr = {.softmax = {.axis = call->option ? (int)rml_nn_int(call, 1) : -3}};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_SOFTMAX, &attr, &x, 1);
}

static void import_gelu(rml_nn_call *call)
{
    static const rml_unary kinds[] = {RML_UNARY_GELU, RML_UNARY_GELU_TANH, RML_UNARY_SWISH};
    const int64_t mode = rml_nn_int(call, 1);
    if (mode < 0 || mode > 2)
        rml_coreml_refuse(&call->make, "mode %lld is not known", (long long)mode);
    else
        call->out[0] = rml_coreml_unary(&call->make, kinds[mode], rml_nn_in(call, 0), 1.702, 0);
}

static void import_clamped_relu(rml_nn_call *call)
{
    const rml_value_id x = rml_coreml_unary(&call->make, RML_UNARY_LEAKY_RELU, rml_nn_in(call, 0),
                                            rml_nn_float(call, 1), 0);
    call->out[0] =
        rml_coreml_unary(&call->make, RML_UNARY_CLAMP, x, -INFINITY, rml_nn_float(call, 2));
}

static void import_clip(rml_nn_call *call)
{
    call->out[0] = rml_coreml_unary(&call->make, RML_UNARY_CLAMP, rml_nn_in(call, 0),
                                    rml_nn_float(call, 1), rml_nn_float(call, 2));
}

const rml_nn_entry rml_nn_activations[] = {
    {130, "activation", import_activation, 0},
    {175, "softmax", import_softmax, 0},
    {950, "softmaxND", import_softmax, 1},
    {795, "gelu", import_gelu, 0},
    {1460, "clampedReLU", import_clamped_relu, 0},
    {660, "clip", import_clip, 0},
    {0},
};
