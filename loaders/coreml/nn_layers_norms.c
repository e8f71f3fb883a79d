// Normalisations.
#include "loaders/coreml/nn_handler.h"

static double or_default(double given, double absent)
{
    return given != 0 ? given : absent;
}

static void import_batchnorm(rml_nn_call *call)
{
    const rml_protobuf *params = &call->layer->params;
    const rml_value_id x = rml_nn_in(call, 0);
    const int64_t channels = rml_nn_int(call, 1);
    const double eps = or_default(rml_nn_float(call, 10), 1e-5);
    const rml_shape shape = {1, {channels}};
    rml_nn_image(call, x);
    if (channels < 1)
        rml_coreml_refuse(&call->make, "%lld channels", (long long)channels);
    if (call->make.refused)
        return;
    const rml_value_id gamma = rml_nn_weights(call, params, 15, &shape, 0);
    const rml_value_id beta = rml_nn_weights(call, params, 16, &shape, 0);
    if (gamma == RML_NO_VALUE || beta == RML_NO_VALUE)
        rml_coreml_refuse(&call->make, "it has no gamma or no beta");
    if (rml_nn_flag(call, 5)) { // statistics of the images: of each, or of all together
        static const int axes[] = {-2, -1, -4};
        const rml_value_id flat = rml_nn_as_images(call, x);
        rml_value_id out =
            rml_coreml_normalise(&call->make, flat, axes, rml_nn_flag(call, 6) ? 2 : 3, eps, true);
        out = rml_coreml_binary(&call->make, RML_BINARY_MUL, out,
                                rml_nn_channels(call, gamma, channels));
        out = rml_coreml_binary(&call->make, RML_BINARY_ADD, out,
                                rml_nn_channels(call, beta, channels));
        call->out[0] = rml_nn_like(call, out, x);
        return;
    }
    const rml_value_id mean = rml_nn_weights(call, params, 17, &shape, 0);
    const rml_value_id variance = rml_nn_weights(call, params, 18, &shape, 0);
    if (mean == RML_NO_VALUE || variance == RML_NO_VALUE)
        rml_coreml_refuse(&call->make, "it has no mean or no variance");
    const rml_value_id images = rml_nn_as_images(call, x);
    if (!call->make.refused)
        call->out[0] = rml_nn_like(call,
                                   rml_graph_batch_norm(call->make.graph, images, gamma, beta, mean,
                                                        variance, (float)eps, call->make.name),
                                   x);
}

static void import_mvn(rml_nn_call *call)
{
    static const int axes[] = {-2, -1, -3};
    call->out[0] =
        rml_coreml_normalise(&call->make, rml_nn_in(call, 0), axes, rml_nn_flag(call, 1) ? 3 : 2,
                             or_default(rml_nn_float(call, 3), 1e-6), rml_nn_flag(call, 2));
}

static void import_l2normalize(rml_nn_call *call)
{
    call->out[0] = rml_coreml_l2_norm(&call->make, rml_nn_in(call, 0),
                                      or_default(rml_nn_float(call, 1), 1e-6));
}

static void import_lrn(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    const rml_op_attr attr = {.lrn = {.alpha = (float)rml_nn_float(call, 1),
                                      .beta = (float)rml_nn_float(call, 2),
                                      .size = rml_nn_int(call, 3),
                                      .bias = (float)or_default(rml_nn_float(call, 4), 1)}};
    const rml_value_id images = rml_nn_as_images(call, x);
    call->out[0] =
        rml_nn_like(call, rml_coreml_node(&call->make, RML_OP_LRN, &attr, &images, 1), x);
}

// Over as many of the last dimensions as gamma and beta have.
static void import_layer_norm(rml_nn_call *call)
{
    rml_shape shape = {.rank = 0};
    shape.rank = rml_nn_ints(call, 1, shape.dim, RML_MAX_RANK);
    const rml_value_id x = rml_nn_in(call, 0);
    const rml_layer_norm_attr attr = {.axis = -shape.rank, .eps = (float)rml_nn_float(call, 2)};
    if (shape.rank < 1)
        rml_coreml_refuse(&call->make, "it has no shape to normalise over");
    if (call->make.refused)
        return;
    const rml_value_id gamma = rml_nn_weights(call, &call->layer->params, 3, &shape, 0);
    const rml_value_id beta = rml_nn_weights(call, &call->layer->params, 4, &shape, 0);
    if (!call->make.refused)
        call->out[0] =
            rml_graph_layer_norm(call->make.graph, x, gamma, beta, &attr, call->make.name);
}

const rml_nn_entry rml_nn_norms[] = {
    {160, "batchnorm", import_batchnorm, 0},
    {165, "mvn", import_mvn, 0},
    {170, "l2normalize", import_l2normalize, 0},
    {180, "lrn", import_lrn, 0},
    {1350, "layerNormalization", import_layer_norm, 0},
    {0},
};
