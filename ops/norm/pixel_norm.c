// Norms of images a pixel at a time: batch norm that was not folded, L2 and layer normalisation
// over channels. Inputs behind the image are vectors with a number a channel.
#include "ops/op.h"

#include "tensor/size.h"

#include <math.h>

#define CHUNK_FLOATS 16384 // of the pixels a worker takes at a time

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    const rml_shape *x = &node->shape[0];
    if (x->rank != 4)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, expected 4 dimensions",
                        rml_shape_text(x, a));
    for (int k = 1; k < node->in_count; k++)
        if (rml_op_given(node, k) &&
            !rml_shapes_agree(&node->shape[k], &(rml_shape){1, {x->dim[1]}}))
            return rml_fail(err, RML_ERR_SHAPE, "input %d is %s, not a number a channel of %s", k,
                            rml_shape_text(&node->shape[k], b), rml_shape_text(x, a));
    *out = *x;
    return RML_OK;
}

// The vector of an absent input: NULL.
static const float *vector(const rml_op_args *args, int input)
{
    return rml_op_input(args, input) ? args->in[input].data : NULL;
}

typedef void (*pixel_fn)(const rml_op_args *args, size_t channels, const float *src, float *dst);

typedef struct pixels_job {
    const rml_op_args *args;
    pixel_fn fn;
} pixels_job;

static float *pixel_at(const rml_tensor *tensor, size_t pixel)
{
    const size_t cols = (size_t)tensor->dim[3], rows = (size_t)tensor->dim[2];
    return tensor->data + (int64_t)(pixel / (cols * rows)) * tensor->stride[0] +
           (int64_t)(pixel / cols % rows) * tensor->stride[2] +
           (int64_t)(pixel % cols) * tensor->stride[3];
}

static void some_pixels(void *context, size_t begin, size_t end, int worker)
{
    const pixels_job *job = context;
    const rml_tensor *in = &job->args->in[0], *out = &job->args->out[0];
    (void)worker;
    for (size_t i = begin; i < end; i++)
        job->fn(job->args, (size_t)in->dim[1], pixel_at(in, i), pixel_at(out, i));
}

static void run_pixels(const rml_op_args *args, pixel_fn fn)
{
    const rml_tensor *in = &args->in[0];
    const size_t channels = (size_t)in->dim[1];
    pixels_job job = {args, fn};
    if (channels)
        rml_pool_run(args->pool, rml_tensor_count(in) / channels,
                     channels < CHUNK_FLOATS ? CHUNK_FLOATS / channels : 1, some_pixels, &job);
}

// ---- batch norm: y = (x - mean) / sqrt(var + eps) * gamma + beta ------------------------------

static size_t batch_norm_scratch(const rml_op_args *args)
{
    return rml_sat_mul(2, rml_aligned_bytes((size_t)args->in[0].dim[1], sizeof(float)));
}

static void batch_norm_pixel(const rml_op_args *args, size_t channels, const float *src, float *dst)
{
    const float *scale = (const float *)args->scratch;
    const float *shift = (const float *)(args->scratch + batch_norm_scratch(args) / 2);
    args->kernels->binary[RML_BINARY_MUL](src, scale, dst, channels);
    args->kernels->binary[RML_BINARY_ADD](dst, shift, dst, channels);
}

static void run_batch_norm(const rml_op_args *args)
{
    float *scale = (float *)args->scratch;
    float *shift = (float *)(args->scratch + batch_norm_scratch(args) / 2);
    for (int64_t c = 0; c < args->in[0].dim[1]; c++) {
        const double factor = (double)args->in[1].data[c] /
                              sqrt((double)args->in[4].data[c] + args->attr->batch_norm.eps);
        scale[c] = (float)factor;
        shift[c] = (float)((double)args->in[2].data[c] - (double)args->in[3].data[c] * factor);
    }
    run_pixels(args, batch_norm_pixel);
}

const rml_op rml_op_batch_norm = {
    .name = "batch_norm",
    .inputs = {5, 5},
    .layout = RML_OP_CHANNELS_LAST,
    .in_place = true,
    .infer = infer,
    .algorithms = RML_ONE_WAY_IN("scale-shift", batch_norm_scratch, run_batch_norm)};

// ---- L2 normalisation: y = x / (sqrt(sum over c of x^2) + eps) * scale[c] --------------------

static void l2norm_pixel(const rml_op_args *args, size_t channels, const float *src, float *dst)
{
    args->kernels->l2norm(src, vector(args, 1), args->attr->l2norm.eps, channels, dst);
}

static void run_l2norm(const rml_op_args *args)
{
    run_pixels(args, l2norm_pixel);
}

const rml_op rml_op_l2norm = {.name = "l2norm",
                              .inputs = {1, 2},
                              .layout = RML_OP_CHANNELS_LAST,
                              .in_place = true,
                              .infer = infer,
                              .algorithms = RML_ONE_WAY("pixel", run_l2norm)};

// ---- layer norm over the channels of a pixel ----------------------------------------------------

static void channel_norm_pixel(const rml_op_args *args, size_t channels, const float *src,
                               float *dst)
{
    const rml_layer_norm_attr *attr = &args->attr->layer_norm;
    args->kernels->layer_norm(src, vector(args, 1), vector(args, 2), attr->eps, attr->rms, channels,
                              dst);
}

static void run_channel_norm(const rml_op_args *args)
{
    run_pixels(args, channel_norm_pixel);
}

const rml_op rml_op_channel_norm = {.name = "channel_norm",
                                    .inputs = {1, 3},
                                    .layout = RML_OP_CHANNELS_LAST,
                                    .in_place = true,
                                    .infer = infer,
                                    .algorithms = RML_ONE_WAY("pixel", run_channel_norm)};
