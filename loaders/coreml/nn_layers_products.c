// Products with weights, embeddings, scales and biases.
#include "loaders/coreml/nn_handler.h"

#include "tensor/tensor.h"

static rml_value_id need(rml_nn_call *call, rml_value_id weights)
{
    if (weights == RML_NO_VALUE)
        rml_coreml_refuse(&call->make, "it has no weights");
    return weights;
}

static rml_value_id linear(rml_nn_call *call, rml_value_id x, rml_value_id weight,
                           rml_value_id bias)
{
    return call->make.refused
               ? RML_NO_VALUE
               : rml_graph_linear(call->make.graph, x, weight, bias, call->make.name);
}

// All three last dimensions are features of an image; of fewer dimensions, the last one is.
static void import_inner_product(rml_nn_call *call)
{
    rml_value_id x = rml_nn_in(call, 0);
    const int64_t in = rml_nn_int(call, 1), out = rml_nn_int(call, 2);
    const int rank = rml_coreml_rank(&call->make, x);
    if (in < 1 || out < 1)
        rml_coreml_refuse(&call->make, "%lld features in and %lld out", (long long)in,
                          (long long)out);
    if (call->make.refused)
        return;
    const rml_value_id weight =
        need(call, rml_nn_weights(call, &call->layer->params, 20, &(rml_shape){2, {out, in}}, 0));
    const rml_value_id bias = rml_nn_bias(call, 10, 21, out);
    if (rank < 4) {
        call->out[0] = linear(call, x, weight, bias);
        return;
    }
    rml_shape flat = {rank - 2, {0, 0}}, back = {rank, {0, 0, out, 1, 1}};
    flat.dim[rank - 3] = -1;
    back.dim[rank - 3] = out;
    back.dim[rank - 2] = back.dim[rank - 1] = 1;
    x = rml_coreml_reshape(&call->make, x, &flat);
    call->out[0] = rml_coreml_reshape(&call->make, linear(call, x, weight, bias), &back);
}

// One input: times a matrix of weights, which is stored as that of a linear layer.
static void import_matmul(rml_nn_call *call)
{
    const int64_t in = rml_nn_int(call, 5), out = rml_nn_int(call, 6);
    if (call->layer->input_count > 1) {
        if (!call->make.refused)
            call->out[0] =
                rml_graph_matmul(call->make.graph, call->in[0], call->in[1], rml_nn_flag(call, 1),
                                 rml_nn_flag(call, 2), call->make.name);
        return;
    }
    rml_value_id x = rml_nn_in(call, 0);
    if (in < 1 || out < 1)
        rml_coreml_refuse(&call->make, "%lld features in and %lld out", (long long)in,
                          (long long)out);
    if (call->make.refused)
        return;
    if (rml_nn_flag(call, 1)) {
        int order[RML_MAX_RANK];
        const int rank = rml_coreml_rank(&call->make, x);
        for (int i = 0; i < rank; i++)
            order[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
        x = rml_graph_transpose(call->make.graph, x, order, rank, call->make.name);
    }
    const rml_value_id weight =
        need(call, rml_nn_weights(call, &call->layer->params, 8, &(rml_shape){2, {out, in}}, 0));
    call->out[0] = linear(call, x, weight, rml_nn_bias(call, 7, 9, out));
}

// ---- embeddings ---------------------------------------------------------------------------------

// Rows of the table (vocabulary, size), which is stored transposed, and a bias for all.
static rml_value_id rows(rml_nn_call *call, rml_value_id indices, int64_t vocabulary, int64_t size,
                         uint32_t bias_flag)
{
    const size_t rows = vocabulary > 0 ? (size_t)vocabulary : 0;
    const size_t columns = size > 0 ? (size_t)size : 0;
    size_t count;
    if (!rml_size_mul(rows, columns, &count) || count == 0) {
        rml_coreml_refuse(&call->make, "a table of %lld times %lld", (long long)vocabulary,
                          (long long)size);
        return RML_NO_VALUE;
    }
    const rml_value_id stored = need(call, rml_nn_weights(call, &call->layer->params, 20,
                                                          &(rml_shape){2, {size, vocabulary}}, 0));
    if (call->make.refused)
        return RML_NO_VALUE;
    static const int swap[] = {1, 0};
    const rml_value_id table =
        rml_graph_transpose(call->make.graph, stored, swap, 2, call->make.name);
    const rml_value_id in[] = {table, indices};
    const rml_op_attr attr = {.axis = {.from_front = true}};
    const rml_value_id out = rml_coreml_node(&call->make, RML_OP_GATHER, &attr, in, 2);
    const rml_value_id bias = rml_nn_bias(call, bias_flag, 21, size);
    return bias == RML_NO_VALUE ? out : rml_coreml_binary(&call->make, RML_BINARY_ADD, out, bias);
}

// (.., 1, 1, 1) of indices becomes (.., size, 1, 1).
static void import_embedding(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    const rml_shape image = rml_nn_image(call, x);
    const int rank = rml_coreml_rank(&call->make, x);
    const int64_t size = rml_nn_int(call, 2);
    for (int i = 0; i < 3; i++)
        if (image.dim[i] != 1)
            rml_coreml_refuse(&call->make, "its input is no single number for each item");
    rml_shape less = {rank - 3, {0}}, more = {rank, {0}};
    if (call->make.refused)
        return;
    more.dim[rank - 3] = size;
    more.dim[rank - 2] = more.dim[rank - 1] = 1;
    const rml_value_id indices = rml_coreml_reshape(&call->make, rml_nn_indices(call, x), &less);
    call->out[0] =
        rml_coreml_reshape(&call->make, rows(call, indices, rml_nn_int(call, 1), size, 10), &more);
}

// (.., 1) of indices becomes (.., size).
static void import_embedding_nd(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_coreml_rank(&call->make, x);
    const rml_shape shape = rml_coreml_fact(&call->make, x).shape;
    if (rank < 1 || shape.dim[rank - 1] != 1)
        rml_coreml_refuse(&call->make, "the last dimension of its input is not 1");
    if (call->make.refused)
        return;
    const rml_shape less = {rank - 1, {0}};
    const rml_value_id indices = rml_coreml_reshape(&call->make, rml_nn_indices(call, x), &less);
    call->out[0] = rows(call, indices, rml_nn_int(call, 1), rml_nn_int(call, 2), 3);
}

// ---- scales and biases --------------------------------------------------------------------------

// Weights of 1 to 3 dimensions, from the channels on: [1], [C], [1,H,W], [C,H,W], [C,1,1].
static rml_value_id aligned(rml_nn_call *call, uint32_t shape_number, uint32_t number)
{
    rml_shape shape = {.rank = 0};
    shape.rank = rml_nn_ints(call, shape_number, shape.dim, 3);
    if (shape.rank == 0)
        rml_coreml_refuse(&call->make, "its weights have no shape");
    for (int i = shape.rank; i < 3; i++)
        shape.dim[i] = 1;
    shape.rank = 3;
    return call->make.refused
               ? RML_NO_VALUE
               : need(call, rml_nn_weights(call, &call->layer->params, number, &shape, 0));
}

static void import_scale(rml_nn_call *call)
{
    rml_value_id x =
        rml_coreml_binary(&call->make, RML_BINARY_MUL, rml_nn_in(call, 0), aligned(call, 1, 2));
    if (rml_nn_flag(call, 3))
        x = rml_coreml_binary(&call->make, RML_BINARY_ADD, x, aligned(call, 4, 5));
    call->out[0] = x;
}

static void import_bias(rml_nn_call *call)
{
    call->out[0] =
        rml_coreml_binary(&call->make, RML_BINARY_ADD, rml_nn_in(call, 0), aligned(call, 1, 2));
}

static void import_constant(rml_nn_call *call)
{
    rml_shape shape = {.rank = 0};
    shape.rank = rml_nn_ints(call, 1, shape.dim, RML_MAX_RANK);
    const rml_value_id value =
        call->make.refused ? RML_NO_VALUE
                           : need(call, rml_nn_weights(call, &call->layer->params, 2, &shape, 0));
    if (call->option &&
        !call->make.refused) { // of the iOS 12 world: (C,H,W), with a batch in front
        rml_shape more = {4, {1, 1, 1, 1}};
        for (int i = 0; i < shape.rank && i < 3; i++)
            more.dim[4 - shape.rank + i] = shape.dim[i];
        call->out[0] = rml_coreml_reshape(&call->make, value, &more);
        return;
    }
    call->out[0] = value;
}

// ---- products of values -------------------------------------------------------------------------

// Over the channels; of the directions alone where it is a cosine.
static void import_dot(rml_nn_call *call)
{
    static const int channels = -3;
    rml_value_id x[2] = {rml_nn_in(call, 0), rml_nn_in(call, 1)};
    for (int i = 0; i < 2 && rml_nn_flag(call, 1); i++)
        x[i] = rml_coreml_binary(
            &call->make, RML_BINARY_DIV, x[i],
            rml_coreml_reduce(&call->make, RML_REDUCE_L2, x[i], &channels, 1, true));
    call->out[0] = rml_coreml_reduce(&call->make, RML_REDUCE_SUM,
                                     rml_coreml_binary(&call->make, RML_BINARY_MUL, x[0], x[1]),
                                     &channels, 1, true);
}

const rml_nn_entry rml_nn_products[] = {
    {140, "innerProduct", import_inner_product, 0},
    {1045, "batchedMatmul", import_matmul, 0},
    {150, "embedding", import_embedding, 0},
    {1040, "embeddingND", import_embedding_nd, 0},
    {245, "scale", import_scale, 0},
    {250, "bias", import_bias, 0},
    {290, "loadConstant", import_constant, 1},
    {1070, "loadConstantND", import_constant, 0},
    {270, "dot", import_dot, 0},
    {0},
};
