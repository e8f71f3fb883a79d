// Convolutions, poolings and what else works on height and width.
#include "loaders/coreml/nn_handler.h"

#include "tensor/tensor.h"

// ---- borders ------------------------------------------------------------------------------------

// BorderAmounts of height and width; all 0 where they are absent.
static void read_borders(rml_nn_call *call, const rml_protobuf *message, int64_t edges[2][2])
{
    rml_protobuf rest = *message, inside;
    rml_error error;
    bool more = message->data != NULL;
    for (int i = 0; i < 2; i++)
        edges[i][0] = edges[i][1] = 0;
    for (int i = 0; more; i++) {
        if (rml_message_inside(&rest, 10, "a border", &inside, &more, &error) != RML_OK) {
            rml_coreml_refuse(&call->make, "%s", error.message);
            return;
        }
        if (more && i > 1)
            rml_coreml_refuse(&call->make, "it has borders of more than two dimensions");
        if (!more || i > 1)
            continue;
        edges[i][0] = rml_nn_int_in(call, &inside, 1);
        edges[i][1] = rml_nn_int_in(call, &inside, 2);
    }
}

static void take_borders(rml_window_attr *w, int64_t edges[2][2])
{
    for (int i = 0; i < 2; i++) {
        w->before[i] = edges[i][0];
        w->after[i] = edges[i][1];
    }
}

// Two numbers, or `absent` for both.
static void pair(rml_nn_call *call, uint32_t number, int64_t absent, int64_t out[2])
{
    const int count = rml_nn_ints(call, number, out, 2);
    if (count != 0 && count != 2)
        rml_coreml_refuse(&call->make, "field %u has %d numbers, not two", number, count);
    for (int i = 0; i < 2 && count != 2; i++)
        out[i] = absent;
}

// Valid or same padding, in the fields `valid` and behind it. What is odd comes behind unless the
// layer says otherwise.
static void read_padding(rml_nn_call *call, uint32_t valid, rml_window_attr *w)
{
    const rml_protobuf *params = &call->layer->params;
    int64_t edges[2][2];
    if (rml_nn_has(call, params, valid + 1)) {
        const rml_protobuf same = rml_nn_inside(call, params, valid + 1);
        w->auto_pad =
            rml_nn_int_in(call, &same, 1) ? RML_AUTO_PAD_SAME_LOWER : RML_AUTO_PAD_SAME_UPPER;
        return;
    }
    if (!rml_nn_has(call, params, valid))
        rml_coreml_refuse(&call->make, "it says nothing of its padding");
    const rml_protobuf inside = rml_nn_inside(call, params, valid);
    const rml_protobuf amounts = rml_nn_inside(call, &inside, 1);
    read_borders(call, &amounts, edges);
    take_borders(w, edges);
}

// ---- convolution --------------------------------------------------------------------------------

// What is cut off the whole, (in - 1) * stride + extent, at both ends.
static void cut_whole(rml_conv_attr *conv, const int64_t *wanted, const int64_t *in)
{
    rml_window_attr *w = &conv->window;
    for (int i = 0; i < w->rank; i++) {
        const int64_t extent = (w->kernel[i] - 1) * w->dilation[i] + 1;
        const bool same = w->auto_pad != RML_AUTO_PAD_NONE,
                   lower = w->auto_pad == RML_AUTO_PAD_SAME_LOWER;
        int64_t total = same ? extent - w->stride[i] : w->before[i] + w->after[i];
        if (wanted[i] > 0 && in[i] > 0)
            total = (in[i] - 1) * w->stride[i] + extent - wanted[i];
        const bool as_given = !same && total == w->before[i] + w->after[i];
        if (as_given)
            continue;
        conv->out_pad[i] = total < 0 ? -total : 0;
        total = total < 0 ? 0 : total;
        const int64_t front = !same && total >= w->before[i] ? w->before[i]
                              : lower                        ? total - total / 2
                                                             : total / 2;
        w->before[i] = front;
        w->after[i] = total - front;
    }
    w->auto_pad = RML_AUTO_PAD_NONE;
}

static void import_convolution(rml_nn_call *call)
{
    const rml_protobuf *params = &call->layer->params;
    const rml_value_id x = rml_nn_in(call, 0);
    const rml_shape image = rml_nn_image(call, x);
    const int64_t out = rml_nn_int(call, 1), in = rml_nn_int(call, 2), given = rml_nn_int(call, 10);
    const int64_t groups = given ? given : 1;
    const bool transposed = rml_nn_flag(call, 60);
    rml_op_attr attr = {
        .conv = {.window = {.rank = 2}, .groups = groups, .act = rml_activation_none()}};
    rml_window_attr *w = &attr.conv.window;
    int64_t wanted[2];
    pair(call, 20, 3, w->kernel);
    pair(call, 30, 1, w->stride);
    pair(call, 40, 1, w->dilation);
    pair(call, 100, 0, wanted);
    read_padding(call, 50, w);
    if (out < 1 || in < 1 || groups < 1 || out % groups != 0)
        rml_coreml_refuse(&call->make, "%lld channels in, %lld out and %lld groups", (long long)in,
                          (long long)out, (long long)groups);
    if (call->make.refused)
        return;
    const rml_shape shape = {
        4, {transposed ? in : out, transposed ? out / groups : in, w->kernel[0], w->kernel[1]}};
    rml_value_id weight = call->layer->input_count > 1
                              ? call->in[1]
                              : rml_nn_weights(call, params, 90, &shape, transposed ? 1 : 0);
    if (weight == RML_NO_VALUE)
        rml_coreml_refuse(&call->make, "it has no weights");
    const rml_value_id bias = rml_nn_bias(call, 70, 91, out);
    if (transposed)
        cut_whole(&attr.conv, wanted, image.dim + 1);
    const rml_value_id all[] = {rml_nn_as_images(call, x), weight, bias};
    const rml_value_id images = rml_coreml_node(
        &call->make, transposed ? RML_OP_CONV_TRANSPOSE : RML_OP_CONV, &attr, all, 3);
    call->out[0] = rml_nn_like(call, images, x);
}

// ---- pooling ------------------------------------------------------------------------------------

static void import_pooling(rml_nn_call *call)
{
    static const rml_pool_kind kinds[] = {RML_POOL_MAX, RML_POOL_AVERAGE, RML_POOL_LP};
    const rml_value_id x = rml_nn_in(call, 0);
    const int64_t type = rml_nn_int(call, 1);
    rml_op_attr attr = {.pool = {.p = 2, .global = rml_nn_flag(call, 60)}};
    rml_window_attr *w = &attr.pool.window;
    if (type < 0 || type > 2) {
        rml_coreml_refuse(&call->make, "pooling %lld is not known", (long long)type);
        return;
    }
    attr.pool.kind = kinds[type];
    if (!attr.pool.global) {
        w->rank = 2;
        w->dilation[0] = w->dilation[1] = 1;
        pair(call, 10, 3, w->kernel);
        pair(call, 20, 1, w->stride);
        attr.pool.count_pad = type == 1 && !rml_nn_flag(call, 50);
        const rml_protobuf last = rml_nn_inside(call, &call->layer->params, 32);
        if (last.data) { // a last window that is not whole counts
            int64_t amounts[2] = {0, 0};
            rml_nn_ints_in(call, &last, 10, amounts, 2);
            for (int i = 0; i < 2; i++)
                w->before[i] = w->after[i] = amounts[i];
            w->ceil_mode = true;
        } else {
            read_padding(call, 30, w);
        }
    }
    const rml_value_id images = rml_nn_as_images(call, x);
    call->out[0] =
        rml_nn_like(call, rml_coreml_node(&call->make, RML_OP_POOL, &attr, &images, 1), x);
}

// ---- volumes ------------------------------------------------------------------------------------

static void volume_padding(rml_nn_call *call, uint32_t type, uint32_t first, rml_window_attr *w)
{
    enum { CUSTOM, VALID, SAME };
    const int64_t kind = rml_nn_int(call, type);
    if (kind == SAME)
        w->auto_pad = RML_AUTO_PAD_SAME_UPPER;
    for (uint32_t i = 0; i < 3 && kind == CUSTOM; i++) {
        w->before[i] = rml_nn_int(call, first + 2 * i);
        w->after[i] = rml_nn_int(call, first + 2 * i + 1);
    }
}

static int64_t or_one(int64_t value)
{
    return value ? value : 1;
}

static void import_convolution_3d(rml_nn_call *call)
{
    const rml_protobuf *params = &call->layer->params;
    const rml_value_id x = rml_nn_in(call, 0);
    const int64_t out = rml_nn_int(call, 1), in = rml_nn_int(call, 2);
    const int64_t groups = or_one(rml_nn_int(call, 10));
    const bool transposed = rml_nn_flag(call, 86);
    int64_t wanted[3] = {0};
    rml_op_attr attr = {
        .conv = {.window = {.rank = 3}, .groups = groups, .act = rml_activation_none()}};
    rml_window_attr *w = &attr.conv.window;
    for (uint32_t i = 0; i < 3; i++) {
        w->kernel[i] = rml_nn_int(call, 20 + i);
        w->stride[i] = or_one(rml_nn_int(call, 31 + i));
        w->dilation[i] = or_one(rml_nn_int(call, 40 + i));
    }
    volume_padding(call, 70, 80, w);
    rml_nn_ints(call, 87, wanted, 3);
    const rml_shape volume = rml_coreml_fact(&call->make, x).shape;
    if (rml_coreml_rank(&call->make, x) != 5)
        rml_coreml_refuse(&call->make, "its input is no volume of 5 dimensions");
    if (out < 1 || in < 1 || groups < 1 || in % groups != 0 || out % groups != 0)
        rml_coreml_refuse(&call->make, "%lld channels in, %lld out and %lld groups", (long long)in,
                          (long long)out, (long long)groups);
    if (call->make.refused)
        return;
    if (transposed)
        cut_whole(&attr.conv, wanted, volume.dim + 2);
    // As coremltools writes those of a transposed one: its own words on them disagree.
    const rml_shape shape = {5,
                             {transposed ? in : out, (transposed ? out : in) / groups, w->kernel[0],
                              w->kernel[1], w->kernel[2]}};
    const rml_value_id all[] = {x, rml_nn_weights(call, params, 60, &shape, transposed ? 1 : 0),
                                rml_nn_bias(call, 50, 61, out)};
    call->out[0] = rml_coreml_node(&call->make, transposed ? RML_OP_CONV_TRANSPOSE : RML_OP_CONV,
                                   &attr, all, 3);
}

static void import_pooling_3d(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    rml_op_attr attr = {.pool = {.kind = rml_nn_int(call, 1) ? RML_POOL_AVERAGE : RML_POOL_MAX,
                                 .global = call->option != 0}};
    rml_window_attr *w = &attr.pool.window;
    for (uint32_t i = 0; i < 3 && !attr.pool.global; i++) {
        w->rank = 3;
        w->kernel[i] = rml_nn_int(call, 2 + i);
        w->stride[i] = or_one(rml_nn_int(call, 5 + i));
        w->dilation[i] = 1;
    }
    if (!attr.pool.global) {
        volume_padding(call, 15, 8, w);
        attr.pool.count_pad = attr.pool.kind == RML_POOL_AVERAGE && !rml_nn_flag(call, 14);
    }
    call->out[0] = rml_coreml_node(&call->make, RML_OP_POOL, &attr, &x, 1);
}

// ---- edges --------------------------------------------------------------------------------------

// The rank of what has a height and a width; channels it may lack.
static int plane_rank(rml_nn_call *call, rml_value_id x)
{
    const int rank = rml_coreml_rank(&call->make, x);
    if (rank < 2)
        rml_coreml_refuse(&call->make, "its input has %d dimensions, and no height and width",
                          rank);
    return rank;
}

static void import_padding(rml_nn_call *call)
{
    enum { CONSTANT = 1, REFLECTION, REPLICATION, AMOUNTS = 10 };
    const rml_protobuf *params = &call->layer->params;
    const rml_value_id x = rml_nn_in(call, 0);
    const int rank = plane_rank(call, x);
    const rml_protobuf amounts = rml_nn_inside(call, params, AMOUNTS);
    const rml_protobuf constant = rml_nn_inside(call, params, CONSTANT);
    int64_t edges[2][2], list[2 * RML_MAX_RANK] = {0};
    rml_op_attr attr = {.pad = {RML_PAD_CONSTANT}};
    read_borders(call, &amounts, edges);
    if (rml_nn_has(call, params, REFLECTION))
        attr.pad.mode = RML_PAD_REFLECT;
    if (rml_nn_has(call, params, REPLICATION))
        attr.pad.mode = RML_PAD_EDGE;
    for (int i = 0; i < 2 && !call->make.refused; i++) {
        list[rank - 2 + i] = edges[i][0];
        list[2 * rank - 2 + i] = edges[i][1];
    }
    const rml_value_id in[] = {
        x, rml_coreml_ints(&call->make, list, 2 * rank),
        rml_coreml_number(&call->make, rml_nn_float_in(call, &constant, 1), RML_F32)};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_PAD, &attr, in,
                                   attr.pad.mode == RML_PAD_CONSTANT ? 3 : 2);
}

// With two inputs, the size is the second one's.
static void import_crop(rml_nn_call *call)
{
    rml_value_id x = rml_nn_in(call, 0);
    const int rank = plane_rank(call, x);
    const rml_protobuf amounts = rml_nn_inside(call, &call->layer->params, 1);
    int64_t edges[2][2], offset[2];
    read_borders(call, &amounts, edges);
    pair(call, 5, 0, offset);
    const bool by_size = call->layer->input_count > 1;
    const rml_shape like = by_size ? rml_nn_image(call, call->in[1]) : (rml_shape){0};
    for (int i = 0; i < 2 && !call->make.refused; i++) {
        const int axis = rank - 2 + i;
        const int64_t size = by_size ? like.dim[1 + i] : -1;
        const int64_t first = by_size ? offset[i] : edges[i][0];
        const int64_t stop = by_size ? offset[i] + size : edges[i][1] ? -edges[i][1] : INT64_MAX;
        if (!by_size || size >= 0) {
            x = rml_graph_slice(call->make.graph, x, axis, first, stop, 1, call->make.name);
            continue;
        }
        const rml_value_id from = rml_coreml_ints(&call->make, &first, 1);
        const rml_value_id sizes = rml_coreml_last_sizes(&call->make, call->in[1], 2);
        const rml_value_id wide =
            rml_graph_slice(call->make.graph, sizes, 0, i, i + 1, 1, call->make.name);
        x = rml_coreml_slice_axis(&call->make, x, axis, from,
                                  rml_coreml_binary(&call->make, RML_BINARY_ADD, from, wide));
    }
    call->out[0] = x;
}

const rml_nn_entry rml_nn_images[] = {
    {100, "convolution", import_convolution, 0},
    {120, "pooling", import_pooling, 0},
    {200, "padding", import_padding, 0},
    {190, "crop", import_crop, 0},
    {1471, "convolution3d", import_convolution_3d, 0},
    {1465, "pooling3d", import_pooling_3d, 0},
    {1466, "globalPooling3d", import_pooling_3d, 1},
    {0},
};
