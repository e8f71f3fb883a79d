// Shapes, the movement of elements, and resizing.
#include "loaders/coreml/nn_handler.h"

#include "tensor/tensor.h"

#include <math.h>

static rml_value_id transposed(rml_nn_call *call, rml_value_id x, const int *order, int rank)
{
    return call->make.refused
               ? RML_NO_VALUE
               : rml_graph_transpose(call->make.graph, x, order, rank, call->make.name);
}

// Channels, height and width as height, width and channels, or back.
static rml_value_id channels_moved(rml_nn_call *call, rml_value_id x, bool to_end)
{
    int order[RML_MAX_RANK];
    const int rank = rml_coreml_rank(&call->make, x), first = rank - 3;
    for (int i = 0; i < first; i++)
        order[i] = i;
    for (int i = 0; i < 3 && first >= 0; i++)
        order[first + i] = first + (i + (to_end ? 1 : 2)) % 3;
    return first < 0 ? x : transposed(call, x, order, rank);
}

// ---- of the iOS 12 world ------------------------------------------------------------------------

static void import_flatten(rml_nn_call *call)
{
    rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_coreml_rank(&call->make, x);
    rml_shape shape = {.rank = rank};
    rml_nn_image(call, x);
    if (rml_nn_int(call, 1))
        x = channels_moved(call, x, true);
    if (call->make.refused)
        return;
    shape.dim[rank - 3] = -1; // the ones in front stay
    shape.dim[rank - 2] = shape.dim[rank - 1] = 1;
    call->out[0] = rml_coreml_reshape(&call->make, x, &shape);
}

// To (C,H,W), or, with the sequence, to (Seq,C,H,W). By channels last: the elements of both shapes
// are counted with the channels running fastest.
static void import_reshape(rml_nn_call *call)
{
    int64_t target[4];
    rml_value_id x = rml_nn_in(call, 0);
    const int count = rml_nn_ints(call, 1, target, 4);
    const bool last = rml_nn_int(call, 2) != 0;
    rml_nn_image(call, x);
    if (count != 3 && count != 4)
        rml_coreml_refuse(&call->make, "its target has %d dimensions, 3 and 4 are right", count);
    if (count == 4 && target[0] != 1 && target[0] != -1 && !call->has_sequence)
        rml_coreml_refuse(&call->make, "its target has a sequence of %lld", (long long)target[0]);
    if (call->make.refused)
        return;
    const int64_t *image = target + count - 3;
    const int rank = rml_coreml_rank(&call->make, x);
    rml_shape shape = {.rank = rank};
    if (last)
        x = channels_moved(call, x, true);
    for (int i = 0; i < 3; i++)
        shape.dim[rank - 3 + i] = last ? image[(i + 1) % 3] : image[i];
    if (call->has_sequence && rank == 5 && count == 4)
        shape.dim[0] = target[0];
    x = rml_coreml_reshape(&call->make, x, &shape);
    call->out[0] = last ? channels_moved(call, x, false) : x;
}

// A permutation of sequence, channels, height and width; the batch stays.
static void import_permute(rml_nn_call *call)
{
    static const int of_five[] = {0, 2, 3, 4};
    int64_t axes[4];
    const rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_coreml_rank(&call->make, x);
    const int count = rml_nn_ints(call, 1, axes, 4);
    int order[5] = {0, 1};
    if (count != 4 || (rank != 4 && rank != 5))
        rml_coreml_refuse(&call->make, "it permutes %d axes of %d", count, rank);
    for (int i = 0; i < 4 && !call->make.refused; i++)
        if (axes[i] < 0 || axes[i] > 3 || (rank == 4 && (i == 0) != (axes[i] == 0)))
            rml_coreml_refuse(&call->make, "axis %lld", (long long)axes[i]);
    for (int i = 0; i < 4 && !call->make.refused; i++)
        if (rank == 5)
            order[of_five[i]] = of_five[axes[i]];
        else
            order[i] = (int)axes[i];
    call->out[0] = transposed(call, x, order, rank);
}

static void import_concat(rml_nn_call *call)
{
    const bool sequence = rml_nn_flag(call, 100);
    if (!call->make.refused && call->layer->input_count > 0)
        call->out[0] = rml_graph_concat(call->make.graph, call->in, (int)call->layer->input_count,
                                        sequence ? -5 : -3, call->make.name);
}

static void split_into(rml_nn_call *call, int axis, int64_t count, int64_t *sizes)
{
    const rml_value_id x = rml_nn_in(call, 0);
    const size_t outputs = call->layer->output_count;
    if (count < 1 || (size_t)count != outputs || outputs > RML_MAX_OUTPUTS)
        rml_coreml_refuse(&call->make, "%lld parts and %zu outputs, at most %d", (long long)count,
                          outputs, RML_MAX_OUTPUTS);
    const rml_op_attr attr = {.split = {.axis = axis, .count = (int)outputs, .sizes = sizes}};
    const rml_value_id first = rml_coreml_node(&call->make, RML_OP_SPLIT, &attr, &x, 1);
    for (size_t k = 0; k < outputs && first != RML_NO_VALUE; k++)
        call->out[k] = first + (rml_value_id)k;
}

static void import_split(rml_nn_call *call)
{
    split_into(call, -3, rml_nn_int(call, 1), NULL);
}

static void import_repeat(rml_nn_call *call)
{
    const int64_t given = rml_nn_int(call, 1);
    const int64_t times[] = {given ? given : 1, 1, 1, 1, 1};
    const rml_value_id x = rml_nn_in(call, 0);
    if (rml_coreml_rank(&call->make, x) != 5)
        rml_coreml_refuse(&call->make, "its input has no sequence");
    const rml_value_id in[] = {x, rml_coreml_ints(&call->make, times, 5)};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_TILE, NULL, in, 2);
}

static void import_reorganize(rml_nn_call *call)
{
    enum { SPACE_TO_DEPTH, DEPTH_TO_SPACE, PIXEL_SHUFFLE };
    const int64_t mode = rml_nn_int(call, 1);
    const rml_value_id x = rml_nn_in(call, 0);
    const rml_op_attr attr = {.shuffle = {.block = rml_nn_int(call, 2),
                                          .pixels_first = mode != PIXEL_SHUFFLE,
                                          .exact = true}};
    if (mode < SPACE_TO_DEPTH || mode > PIXEL_SHUFFLE)
        rml_coreml_refuse(&call->make, "mode %lld is not known", (long long)mode);
    const rml_value_id in[] = {rml_nn_as_images(call, x), RML_NO_VALUE};
    call->out[0] = rml_nn_like(
        call,
        mode == SPACE_TO_DEPTH ? rml_coreml_node(&call->make, RML_OP_SPACE_TO_DEPTH, &attr, in, 1)
                               : rml_coreml_node(&call->make, RML_OP_DEPTH_TO_SPACE, &attr, in, 2),
        x);
}

static void import_slice(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    const int64_t axis = rml_nn_int(call, 4), step = rml_nn_int(call, 3);
    if (axis < 0 || axis > 2 || axis - 3 < -rml_coreml_rank(&call->make, x) || step < 1)
        rml_coreml_refuse(&call->make, "axis %lld by steps of %lld", (long long)axis,
                          (long long)step);
    if (!call->make.refused)
        call->out[0] = rml_graph_slice(call->make.graph, x, (int)axis - 3, rml_nn_int(call, 1),
                                       rml_nn_int(call, 2), step, call->make.name);
}

// ---- resizing -----------------------------------------------------------------------------------

static void import_upsample(rml_nn_call *call)
{
    enum { NEAREST, BILINEAR };
    static const rml_coreml_sampling samplings[] = {RML_COREML_DEFAULT, RML_COREML_STRICT_ALIGN,
                                                    RML_COREML_UNALIGN};
    const rml_value_id x = rml_nn_in(call, 0);
    const int64_t mode = rml_nn_int(call, 5), way = rml_nn_int(call, 6);
    int64_t whole[2] = {1, 1};
    size_t count;
    const float *parts = rml_nn_float_list(call, &call->layer->params, 7, &count);
    rml_nn_ints(call, 1, whole, 2);
    if (mode < NEAREST || mode > BILINEAR || way < 0 || way > 2 || (parts && count != 2))
        rml_coreml_refuse(&call->make, "mode %lld, %lld is not known", (long long)mode,
                          (long long)way);
    if (call->make.refused)
        return;
    const double factor[] = {parts ? (double)parts[0] : (double)whole[0],
                             parts ? (double)parts[1] : (double)whole[1]};
    call->out[0] = rml_coreml_rescale(&call->make, x, factor,
                                      mode == NEAREST ? RML_COREML_NEAREST : samplings[way]);
}

static void import_resize_bilinear(rml_nn_call *call)
{
    static const rml_coreml_sampling samplings[] = {RML_COREML_STRICT_ALIGN, RML_COREML_ALIGN,
                                                    RML_COREML_DEFAULT, RML_COREML_OFFSET};
    const rml_protobuf sampling = rml_nn_inside(call, &call->layer->params, 2);
    const int64_t method = sampling.data ? rml_nn_int_in(call, &sampling, 1) : 0;
    int64_t size[2] = {1, 1};
    rml_nn_ints(call, 1, size, 2);
    if (method < 0 || method > 3)
        rml_coreml_refuse(&call->make, "method %lld is not known", (long long)method);
    else
        call->out[0] = rml_coreml_resize(&call->make, rml_nn_in(call, 0), size, samplings[method]);
}

const rml_nn_entry rml_nn_shapes[] = {
    {301, "flatten", import_flatten, 0},
    {300, "reshape", import_reshape, 0},
    {310, "permute", import_permute, 0},
    {320, "concat", import_concat, 0},
    {330, "split", import_split, 0},
    {340, "sequenceRepeat", import_repeat, 0},
    {345, "reorganizeData", import_reorganize, 0},
    {350, "slice", import_slice, 0},
    {210, "upsample", import_upsample, 0},
    {211, "resizeBilinear", import_resize_bilinear, 0},
    {0},
};
