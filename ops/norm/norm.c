// Batch norm that was not folded, and L2 normalisation over channels.
#include "ops/op.h"

#include "tensor/size.h"

#include <math.h>

static size_t pixels_of(const rml_tensor *tensor)
{
    return (size_t)(tensor->dim[0] * tensor->dim[2] * tensor->dim[3]);
}

static float *pixel_at(const rml_tensor *tensor, size_t pixel)
{
    const size_t cols = (size_t)tensor->dim[3], rows = (size_t)tensor->dim[2];
    return tensor->data + (int64_t)(pixel / (cols * rows)) * tensor->stride[0] +
           (int64_t)(pixel / cols % rows) * tensor->stride[2] +
           (int64_t)(pixel % cols) * tensor->stride[3];
}

#define PIXEL_CHUNK 64

// ---- batch norm: y = (x - mean) / sqrt(var + eps) * gamma + beta ------------------------------

static rml_status infer_batch_norm(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    for (int i = 1; i < 5; i++)
        if (node->shape[0].rank != 4 || node->shape[i].rank != 1 ||
            (node->shape[i].dim[0] != node->shape[0].dim[1] && node->shape[i].dim[0] >= 0 &&
             node->shape[0].dim[1] >= 0))
            return rml_fail(err, RML_ERR_SHAPE, "input is %s, gamma, beta, mean or variance %s",
                            rml_shape_text(&node->shape[0], a), rml_shape_text(&node->shape[i], b));
    *out = node->shape[0];
    return RML_OK;
}

static size_t batch_norm_scratch(const rml_op_args *args)
{
    return rml_sat_mul(2, rml_aligned_bytes((size_t)args->in[0].dim[1], sizeof(float)));
}

static void batch_norm_pixels(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const size_t channels = (size_t)args->in[0].dim[1];
    const float *scale = (const float *)args->scratch;
    const float *shift = (const float *)(args->scratch + batch_norm_scratch(args) / 2);
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        float *dst = pixel_at(&args->out[0], i);
        args->kernels->binary[RML_BINARY_MUL](pixel_at(&args->in[0], i), scale, dst, channels);
        args->kernels->binary[RML_BINARY_ADD](dst, shift, dst, channels);
    }
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
    rml_op_args copy = *args;
    rml_pool_run(args->pool, pixels_of(&args->in[0]), PIXEL_CHUNK, batch_norm_pixels, &copy);
}

const rml_op rml_op_batch_norm = {
    .name = "batch_norm",
    .inputs = {5, 5},
    .layout = RML_OP_CHANNELS_LAST,
    .in_place = true,
    .infer = infer_batch_norm,
    .algorithms = RML_ONE_WAY_IN("scale-shift", batch_norm_scratch, run_batch_norm)};

// ---- L2 normalisation: y = x / (sqrt(sum over c of x^2) + eps) * scale[c] --------------------

static rml_status infer_l2norm(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    if (node->shape[0].rank != 4)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, expected 4 dimensions",
                        rml_shape_text(&node->shape[0], a));
    if (node->in_count > 1 && node->shape[1].rank >= 0 &&
        (node->shape[1].rank != 1 || node->shape[1].dim[0] != node->shape[0].dim[1]))
        return rml_fail(err, RML_ERR_SHAPE, "scale is %s, the input %s",
                        rml_shape_text(&node->shape[1], b), rml_shape_text(&node->shape[0], a));
    *out = node->shape[0];
    return RML_OK;
}

static void l2norm_pixels(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const float *scale = rml_op_input(args, 1) ? args->in[1].data : NULL;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        args->kernels->l2norm(pixel_at(&args->in[0], i), scale, args->attr->l2norm.eps,
                              (size_t)args->in[0].dim[1], pixel_at(&args->out[0], i));
}

static void run_l2norm(const rml_op_args *args)
{
    rml_op_args copy = *args;
    rml_pool_run(args->pool, pixels_of(&args->in[0]), PIXEL_CHUNK, l2norm_pixels, &copy);
}

const rml_op rml_op_l2norm = {.name = "l2norm",
                              .inputs = {1, 2},
                              .layout = RML_OP_CHANNELS_LAST,
                              .in_place = true,
                              .infer = infer_l2norm,
                              .algorithms = RML_ONE_WAY("pixel", run_l2norm)};
