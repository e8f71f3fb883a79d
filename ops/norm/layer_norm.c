// Layer normalisation: over the last dimensions of any value, and over the channels of images.
//   y = (x - mean) / sqrt(variance + eps) * gamma + beta
// Inputs: x, gamma, beta; the last two may be absent. One row is one kernel call, so that a result
// does not depend on threads or on the row's place.
#include "ops/op.h"

#include "tensor/size.h"

#define CHUNK_FLOATS 16384 // of the rows a worker takes at a time

// The weights of an absent input: NULL.
static const float *optional(const rml_op_args *args, int input)
{
    return rml_op_input(args, input) ? args->in[input].data : NULL;
}

static void normalise(const rml_op_args *args, const float *src, size_t count, float *dst)
{
    const rml_layer_norm_attr *attr = &args->attr->layer_norm;
    args->kernels->layer_norm(src, optional(args, 1), optional(args, 2), attr->eps, attr->rms,
                              count, dst);
}

static void run_rows(const rml_op_args *args, size_t rows, size_t count, rml_pool_fn fn)
{
    rml_op_args copy = *args;
    const size_t chunk = count < CHUNK_FLOATS ? CHUNK_FLOATS / count : 1;
    rml_pool_run(args->pool, rows, chunk, fn, &copy);
}

// gamma and beta must have the `rank` dimensions from `dim` on.
static rml_status check_weights(const rml_shape *in, int in_count, const int64_t *dim, int rank,
                                rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    for (int k = 1; k < in_count; k++) {
        if (in[k].rank < 0)
            continue;
        bool fits = in[k].rank == rank;
        for (int i = 0; i < rank && fits; i++)
            fits = in[k].dim[i] == dim[i] || in[k].dim[i] < 0 || dim[i] < 0;
        if (!fits)
            return rml_fail(err, RML_ERR_SHAPE, "%s is %s, the input %s", k == 1 ? "gamma" : "beta",
                            rml_shape_text(&in[k], b), rml_shape_text(&in[0], a));
    }
    return RML_OK;
}

// ---- over the last dimensions -------------------------------------------------------------------

static rml_status infer_layer_norm(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    int axis = node->attr->layer_norm.axis;
    axis += axis < 0 ? node->shape[0].rank : 0;
    if (axis < 0 || axis >= node->shape[0].rank)
        return rml_fail(err, RML_ERR_SHAPE, "axis %d is not one of input %s",
                        node->attr->layer_norm.axis, rml_shape_text(&node->shape[0], text));
    RML_TRY(check_weights(node->shape, node->in_count, node->shape[0].dim + axis,
                          node->shape[0].rank - axis, err));
    *out = node->shape[0];
    return RML_OK;
}

static size_t row_count(const rml_op_args *args)
{
    const int rank = args->in[0].rank, axis = args->attr->layer_norm.axis;
    size_t count = 1;
    for (int i = axis < 0 ? axis + rank : axis; i < rank; i++)
        count *= (size_t)args->in[0].dim[i];
    return count;
}

static void layer_norm_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const size_t count = row_count(args);
    (void)worker;
    for (size_t i = begin; i < end; i++)
        normalise(args, args->in[0].data + i * count, count, args->out[0].data + i * count);
}

static void run_layer_norm(const rml_op_args *args)
{
    const size_t count = row_count(args);
    if (count)
        run_rows(args, rml_tensor_count(&args->in[0]) / count, count, layer_norm_rows);
}

const rml_op rml_op_layer_norm = {.name = "layer_norm",
                                  .inputs = {1, 3},
                                  .in_place = true,
                                  .infer = infer_layer_norm,
                                  .algorithms = RML_ONE_WAY("rows", run_layer_norm)};

// ---- over the channels of a pixel ---------------------------------------------------------------

static rml_status infer_channel_norm(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    if (node->shape[0].rank != 4)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, expected 4 dimensions",
                        rml_shape_text(&node->shape[0], text));
    RML_TRY(check_weights(node->shape, node->in_count, &node->shape[0].dim[1], 1, err));
    *out = node->shape[0];
    return RML_OK;
}

static float *pixel_at(const rml_tensor *tensor, size_t pixel)
{
    const size_t cols = (size_t)tensor->dim[3], rows = (size_t)tensor->dim[2];
    return tensor->data + (int64_t)(pixel / (cols * rows)) * tensor->stride[0] +
           (int64_t)(pixel / cols % rows) * tensor->stride[2] +
           (int64_t)(pixel % cols) * tensor->stride[3];
}

static void channel_norm_pixels(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        normalise(args, pixel_at(&args->in[0], i), (size_t)args->in[0].dim[1],
                  pixel_at(&args->out[0], i));
}

static void run_channel_norm(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    if (in->dim[1])
        run_rows(args, rml_tensor_count(in) / (size_t)in->dim[1], (size_t)in->dim[1],
                 channel_norm_pixels);
}

const rml_op rml_op_channel_norm = {.name = "channel_norm",
                                    .inputs = {1, 3},
                                    .layout = RML_OP_CHANNELS_LAST,
                                    .in_place = true,
                                    .infer = infer_channel_norm,
                                    .algorithms = RML_ONE_WAY("pixel", run_channel_norm)};
