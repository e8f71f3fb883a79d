// Norms of images a pixel at a time: batch norm that was not folded, L2 and layer normalisation
// over channels. Inputs behind the image are vectors with a number a channel. Batch norm takes any
// value of two or more dimensions and any float type.
#include "ops/elementwise/widen.h"
#include "ops/norm/norm_rows.h"

#include "tensor/size.h"

#include <math.h>

#define CHUNK_FLOATS 16384 // of the pixels a worker takes at a time
#define PLANE_FLOATS 4096  // that are scaled, and then shifted where they are in the cache

static rml_status infer_any(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    const rml_shape *x = &node->shape[0];
    if (x->rank < 2)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, which has no channels",
                        rml_shape_text(x, a));
    for (int k = 1; k < node->in_count; k++)
        if (rml_op_given(node, k) &&
            !rml_shapes_agree(&node->shape[k], &(rml_shape){1, {x->dim[1]}}))
            return rml_fail(err, RML_ERR_SHAPE, "input %d is %s, not a number a channel of %s", k,
                            rml_shape_text(&node->shape[k], b), rml_shape_text(x, a));
    *out = *x;
    return RML_OK;
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    return node->shape[0].rank == 4
               ? infer_any(node, out, err)
               : rml_fail(err, RML_ERR_SHAPE, "input is %s, expected 4 dimensions",
                          rml_shape_text(&node->shape[0], text));
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
    RML_KERNEL(args->kernels, affine)(src, scale, shift, dst, channels);
}

// A scale and a shift.
static void channel_factors(const rml_op_args *args, size_t c, double factors[2])
{
    const double variance = rml_number_f64(&args->in[4], c);
    factors[0] = rml_number_f64(&args->in[1], c) / sqrt(variance + args->attr->batch_norm.eps);
    factors[1] = rml_number_f64(&args->in[2], c) - rml_number_f64(&args->in[3], c) * factors[0];
}

static void find_factors(const rml_op_args *args)
{
    float *scale = (float *)args->scratch;
    float *shift = (float *)(args->scratch + batch_norm_scratch(args) / 2);
    for (size_t c = 0; c < (size_t)args->in[0].dim[1]; c++) {
        double factors[2];
        channel_factors(args, c, factors);
        scale[c] = (float)factors[0];
        shift[c] = (float)factors[1];
    }
}

static void run_batch_norm(const rml_op_args *args)
{
    find_factors(args);
    run_pixels(args, batch_norm_pixel);
}

// ---- plain images of f32: channel by channel, or rows of channels -------------------------------

static bool is_plain_f32(const rml_op_args *args)
{
    return args->in[0].dtype == RML_F32;
}

// Planes, or where there are none, rows.
static void some_planes(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_tensor *x = &args->in[0];
    const size_t channels = (size_t)x->dim[1], places = rml_tensor_span(x, 2, x->rank);
    const float *scale = (const float *)args->scratch;
    const float *shift = (const float *)(args->scratch + batch_norm_scratch(args) / 2);
    (void)worker;
    for (size_t i = begin; i < end && places == 1; i++)
        RML_KERNEL(args->kernels, affine)
    (x->data + i * channels, scale, shift, args->out[0].data + i * channels, channels);
    for (size_t i = begin; i < end && places > 1; i++)
        for (size_t at = 0, some; at < places; at += some) {
            const float *src = x->data + i * places + at;
            float *dst = args->out[0].data + i * places + at;
            some = rml_min_size(PLANE_FLOATS, places - at);
            RML_KERNEL(args->kernels, binary_scalar[RML_BINARY_MUL])
            (src, scale[i % channels], dst, some, false);
            RML_KERNEL(args->kernels, binary_scalar[RML_BINARY_ADD])
            (dst, shift[i % channels], dst, some, false);
        }
}

static void run_plain_f32(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[0];
    const size_t places = rml_tensor_span(x, 2, x->rank), channels = (size_t)x->dim[1];
    const size_t each = places == 1 ? channels : places, count = rml_tensor_count(x);
    rml_op_args copy = *args;
    if (!count)
        return;
    find_factors(args);
    rml_pool_run(args->pool, count / each, CHUNK_FLOATS / each + 1, some_planes, &copy);
}

// ---- plain, of any float type -------------------------------------------------------------------

typedef struct planes_job {
    const rml_op_args *args;
    rml_tensor scale, shift; // as if of x [N,C,places], or of x [N,C]
} planes_job;

static void some_elements(void *context, size_t begin, size_t end, int worker)
{
    const planes_job *job = context;
    (void)worker;
    for (size_t at = begin, some; at < end; at += some) {
        rml_widen scale, shift;
        double x[RML_WIDEN_COUNT];
        some = rml_min_size(RML_WIDEN_COUNT, end - at);
        rml_read_f64(&job->args->in[0], at, x, some);
        rml_widen_read(&job->scale, at, some, RML_WIDE_F64, &scale);
        rml_widen_read(&job->shift, at, some, RML_WIDE_F64, &shift);
        for (size_t i = 0; i < some; i++)
            x[i] = x[i] * scale.f64[i] + shift.f64[i];
        rml_write_f64(&job->args->out[0], at, x, some);
    }
}

static size_t planes_scratch(const rml_op_args *args)
{
    return rml_aligned_bytes((size_t)args->in[0].dim[1], 2 * sizeof(double));
}

static void run_planes(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[0];
    const size_t channels = (size_t)x->dim[1], places = rml_tensor_span(x, 2, x->rank);
    double *scale = (double *)(void *)args->scratch, *shift = scale + channels;
    rml_tensor view = {.raw = scale,
                       .dtype = RML_F64,
                       .rank = places == 1 ? 2 : 3,
                       .dim = {x->dim[0], x->dim[1], (int64_t)places},
                       .stride = {0, 1, 0}};
    planes_job job = {args, view, view};
    job.shift.raw = shift;
    for (size_t c = 0; c < channels; c++) {
        double factors[2];
        channel_factors(args, c, factors);
        scale[c] = factors[0];
        shift[c] = factors[1];
    }
    rml_pool_run(args->pool, rml_tensor_count(x), 64 * RML_WIDEN_COUNT, some_elements, &job);
}

static bool takes_images(const rml_op_attr *attr, const rml_fact *in, int in_count)
{
    (void)attr;
    for (int k = 0; k < in_count; k++)
        if (in[k].dtype != RML_F32)
            return false;
    return in[0].shape.rank == 4;
}

static const rml_algorithm batch_norm_algorithms[] = {
    {.name = "scale-shift", .scratch_bytes = batch_norm_scratch, .run = run_batch_norm},
    {.name = "planes-f32",
     .generic = true,
     .accepts = is_plain_f32,
     .scratch_bytes = batch_norm_scratch,
     .run = run_plain_f32},
    {.name = "planes", .generic = true, .scratch_bytes = planes_scratch, .run = run_planes}};

const rml_op rml_op_batch_norm = {.id = RML_OP_BATCH_NORM,
                                  .name = "batch_norm",
                                  .inputs = {5, 5},
                                  .layout = RML_OP_CHANNELS_LAST,
                                  .takes_images = takes_images,
                                  .plain_as_well = takes_images,
                                  .in_place = true,
                                  .signature = "r>0",
                                  .infer = infer_any,
                                  .algorithms = batch_norm_algorithms};

// ---- L2 normalisation: y = x / (sqrt(sum over c of x^2) + eps) * scale[c] --------------------

static void l2norm_pixel(const rml_op_args *args, size_t channels, const float *src, float *dst)
{
    RML_KERNEL(args->kernels, l2norm)(src, vector(args, 1), args->attr->l2norm.eps, channels, dst);
}

static void run_l2norm(const rml_op_args *args)
{
    run_pixels(args, l2norm_pixel);
}

const rml_op rml_op_l2norm = {.id = RML_OP_L2NORM,
                              .name = "l2norm",
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
    RML_KERNEL(args->kernels, layer_norm)
    (src, vector(args, 1), vector(args, 2), attr->eps, attr->rms, channels, dst);
}

static void run_channel_norm(const rml_op_args *args)
{
    run_pixels(args, channel_norm_pixel);
}

const rml_op rml_op_channel_norm = {.id = RML_OP_CHANNEL_NORM,
                                    .name = "channel_norm",
                                    .inputs = {1, 3},
                                    .layout = RML_OP_CHANNELS_LAST,
                                    .in_place = true,
                                    .infer = infer,
                                    .algorithms = RML_ONE_WAY("pixel", run_channel_norm)};
