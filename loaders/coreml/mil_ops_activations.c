// Activations.
#include "loaders/coreml/mil_handler.h"

#include <math.h>

// The parameters of each are in the table's option: how many of alpha and beta.
enum { NONE = 0, ALPHA = 1 << 8, BETA = 2 << 8 };

static void import_unary(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const double p = call->option & ALPHA ? rml_mil_float(call, "alpha", 0) : 0;
    const double q = call->option & BETA ? rml_mil_float(call, "beta", 0) : 0;
    call->out[0] = rml_coreml_unary(&call->make, (rml_unary)(call->option & 0xFF), x, p, q);
}

static rml_value_id clamped(rml_mil_call *call, double low, double high)
{
    return rml_coreml_unary(&call->make, RML_UNARY_CLAMP, rml_mil_in(call, "x"), low, high);
}

static void import_relu(rml_mil_call *call)
{
    call->out[0] = clamped(call, 0, INFINITY);
}

static void import_relu6(rml_mil_call *call)
{
    call->out[0] = clamped(call, 0, 6);
}

static void import_clip(rml_mil_call *call)
{
    call->out[0] = clamped(call, rml_mil_float(call, "alpha", -INFINITY),
                           rml_mil_float(call, "beta", INFINITY));
}

static void import_threshold(rml_mil_call *call)
{
    call->out[0] = clamped(call, rml_mil_float(call, "alpha", -INFINITY), INFINITY);
}

static void import_clamped_relu(rml_mil_call *call)
{
    const rml_value_id x =
        rml_coreml_unary(&call->make, RML_UNARY_LEAKY_RELU, rml_mil_in(call, "x"),
                         rml_mil_float(call, "alpha", 0), 0);
    call->out[0] = rml_coreml_unary(&call->make, RML_UNARY_CLAMP, x, -INFINITY,
                                    rml_mil_float(call, "beta", 0));
}

static void import_thresholded_relu(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    call->out[0] = rml_coreml_thresholded_relu(&call->make, x, rml_mil_float(call, "alpha", 0));
}

static void import_gelu(rml_mil_call *call)
{
    static const rml_unary kinds[] = {RML_UNARY_GELU, RML_UNARY_GELU_TANH, RML_UNARY_SWISH};
    const int mode =
        rml_mil_word(call, "mode", "EXACT TANH_APPROXIMATION SIGMOID_APPROXIMATION", 0);
    call->out[0] = rml_coreml_unary(&call->make, kinds[mode], rml_mil_in(call, "x"), 1.702, 0);
}

static rml_value_id scaled(rml_mil_call *call, rml_value_id x, double factor)
{
    return rml_coreml_binary(&call->make, RML_BINARY_MUL, x,
                             rml_coreml_number_like(&call->make, x, factor));
}

static void import_scaled_tanh(rml_mil_call *call)
{
    const rml_value_id x = scaled(call, rml_mil_in(call, "x"), rml_mil_float(call, "beta", 1));
    call->out[0] = scaled(call, rml_coreml_unary(&call->make, RML_UNARY_TANH, x, 0, 0),
                          rml_mil_float(call, "alpha", 1));
}

static void import_linear(rml_mil_call *call)
{
    const rml_value_id x = scaled(call, rml_mil_in(call, "x"), rml_mil_float(call, "alpha", 1));
    call->out[0] =
        rml_coreml_binary(&call->make, RML_BINARY_ADD, x,
                          rml_coreml_number_like(&call->make, x, rml_mil_float(call, "beta", 0)));
}

// A vector of C numbers as (C,1,1..), for axis 1 of a value of `rank` dimensions.
static rml_value_id per_channel(rml_mil_call *call, rml_value_id vector, int rank)
{
    rml_shape shape = {.rank = rank > 1 ? rank - 1 : 1, .dim = {-1}};
    for (int i = 1; i < shape.rank; i++)
        shape.dim[i] = 1;
    if (call->make.refused || rml_coreml_fact(&call->make, vector).shape.rank == 0)
        return vector;
    return rml_graph_reshape(call->make.graph, vector, &shape, call->make.name);
}

static void import_prelu(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const rml_value_id alpha =
        per_channel(call, rml_mil_in(call, "alpha"), rml_coreml_rank(&call->make, x));
    call->out[0] = rml_coreml_binary(&call->make, RML_BINARY_PRELU, x, alpha);
}

// alpha * log(1 + e^(beta x)), both for each channel.
static void import_softplus_parametric(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const int rank = rml_coreml_rank(&call->make, x);
    const rml_value_id alpha = per_channel(call, rml_mil_in(call, "alpha"), rank);
    const rml_value_id beta = per_channel(call, rml_mil_in(call, "beta"), rank);
    const rml_value_id inside = rml_coreml_binary(&call->make, RML_BINARY_MUL, x, beta);
    call->out[0] =
        rml_coreml_binary(&call->make, RML_BINARY_MUL, alpha,
                          rml_coreml_unary(&call->make, RML_UNARY_SOFTPLUS, inside, 0, 0));
}

static void import_softmax(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const rml_op_attr attr = {.softmax = {.axis = (int)rml_mil_int(call, "axis", -1)}};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_SOFTMAX, &attr, &x, 1);
}

#define UNARY(name, which, parameters)                                                             \
    {                                                                                              \
        name, import_unary, RML_UNARY_##which | (parameters)                                       \
    }

const rml_mil_entry rml_mil_activations[] = {
    {"relu", import_relu, 0},
    {"relu6", import_relu6, 0},
    {"clip", import_clip, 0},
    {"threshold", import_threshold, 0},
    {"clamped_relu", import_clamped_relu, 0},
    {"thresholded_relu", import_thresholded_relu, 0},
    {"gelu", import_gelu, 0},
    {"scaled_tanh", import_scaled_tanh, 0},
    {"linear_activation", import_linear, 0},
    {"prelu", import_prelu, 0},
    {"softplus_parametric", import_softplus_parametric, 0},
    {"softmax", import_softmax, 0},
    UNARY("leaky_relu", LEAKY_RELU, ALPHA),
    UNARY("elu", ELU, ALPHA),
    UNARY("sigmoid", SIGMOID, NONE),
    UNARY("sigmoid_hard", HARD_SIGMOID, ALPHA | BETA),
    UNARY("silu", SILU, NONE),
    UNARY("softplus", SOFTPLUS, NONE),
    UNARY("softsign", SOFTSIGN, NONE),
    UNARY("tanh", TANH, NONE),
    {0},
};
