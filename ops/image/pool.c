// Pooling over windows, or over the whole image.
//   x [N,C,...]   y [N,C,...]   where [N,C,...] of i64, if asked for: place of the largest element
//   in x, counted over all of x
// Source: torch.nn.MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1); ONNX MaxPool, AveragePool, LpPool
// and the global ones.
#include "ops/image/pool.h"

#include "tensor/size.h"

#include <math.h>

static int outputs(const rml_op_attr *attr)
{
    return attr->pool.indices ? 2 : 1;
}

static rml_status types(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    const rml_dtype type = node->in[0].dtype;
    if (type == RML_I64 || type == RML_U64)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "input is %s, which is not pooled",
                        rml_dtype_name(type));
    out[0] = type;
    if (node->attr->pool.indices)
        out[1] = RML_I64;
    return RML_OK;
}

static rml_status make_window(const rml_pool_attr *pool, const rml_shape *x, rml_window *window,
                              rml_error *err)
{
    if (!pool->global)
        return rml_window_make(&pool->window, x, NULL, window, err);
    *window = (rml_window){.rank = x->rank - 2};
    for (int i = 0; i < window->rank; i++) {
        window->in[i] = window->kernel[i] = x->dim[i + 2];
        window->out[i] = window->stride[i] = window->dilation[i] = 1;
    }
    return RML_OK;
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_pool_attr *pool = &node->attr->pool;
    char text[RML_SHAPE_TEXT_BYTES];
    rml_shape x = node->in[0].shape;
    rml_window window;
    if (x.rank == RML_RANK_UNKNOWN && pool->window.rank)
        x = (rml_shape){pool->window.rank + 2, {-1, -1, -1, -1, -1, -1, -1, -1}};
    out[0] = x;
    if (x.rank != RML_RANK_UNKNOWN && x.rank < 3)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, expected 3 dimensions or more",
                        rml_shape_text(&x, text));
    if (pool->kind == RML_POOL_LP && !(pool->p > 0))
        return rml_fail(err, RML_ERR_ARG, "p is %g, expected more than 0", pool->p);
    if (x.rank != RML_RANK_UNKNOWN)
        RML_TRY(make_window(pool, &x, &window, err));
    for (int i = 2; i < x.rank; i++)
        out[0].dim[i] = window.out[i - 2];
    if (pool->indices)
        out[1] = out[0];
    return RML_OK;
}

static bool takes_images(const rml_op_attr *attr, const rml_fact *in, int in_count)
{
    const rml_pool_attr *pool = &attr->pool;
    const int rank = in[0].shape.rank;
    (void)in_count;
    return in[0].dtype == RML_F32 && !pool->indices && pool->kind != RML_POOL_LP &&
           (rank == 4 || (rank == RML_RANK_UNKNOWN && pool->window.rank == 2)) &&
           (pool->global || (pool->window.dilation[0] == 1 && pool->window.dilation[1] == 1));
}

rml_window rml_pool_window(const rml_op_args *args)
{
    const rml_shape x = rml_tensor_shape(&args->in[0]);
    rml_window window;
    make_window(&args->attr->pool, &x, &window, NULL); // infer: it fits
    return window;
}

// A window may be far larger than the image: only taps inside are counted and walked.
static size_t pointer_bytes(const rml_op_args *args)
{
    const rml_window window = rml_pool_window(args);
    size_t taps = 1;
    for (int axis = 0; axis < 2; axis++)
        taps *=
            (size_t)(window.kernel[axis] < args->in[0].dim[2 + axis] ? window.kernel[axis]
                                                                     : args->in[0].dim[2 + axis]);
    return rml_aligned_bytes(taps, sizeof(float *));
}

static size_t scratch_bytes(const rml_op_args *args)
{
    return rml_sat_mul((size_t)args->threads, pointer_bytes(args));
}

// The taps of one window along one axis: those inside the image, and how many there are with the
// declared padding.
typedef struct range {
    int64_t first, stop, padded;
} range;

static range range_of(const rml_window *window, int axis, int64_t at, int64_t size, int64_t after)
{
    const int64_t first = at * window->stride[axis] - window->before[axis];
    const int64_t stop = first + window->kernel[axis];
    return (range){.first = first > 0 ? first : 0,
                   .stop = stop < size ? stop : size,
                   .padded = (stop < size + after ? stop : size + after) - first};
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_pool_attr *pool = &args->attr->pool;
    const rml_tensor *in = &args->in[0];
    const rml_window window = rml_pool_window(args);
    const size_t channels = (size_t)in->dim[1], cols = (size_t)window.out[1];
    const float **src = (const float **)(args->scratch + (size_t)worker * pointer_bytes(args));
    rml_window_at at = rml_window_seek(&window, begin * cols);
    for (size_t i = begin * cols; i < end * cols; i++, rml_window_next(&window, &at)) {
        // Padding is no element: only taps inside the image are given to the kernel.
        const range y = range_of(&window, 0, at.row, in->dim[2], window.after[0]);
        const range x = range_of(&window, 1, at.col, in->dim[3], window.after[1]);
        size_t taps = 0;
        for (int64_t j = y.first; j < y.stop; j++)
            for (int64_t k = x.first; k < x.stop; k++)
                src[taps++] =
                    in->data + at.image * in->stride[0] + j * in->stride[2] + k * in->stride[3];
        float *dst = rml_window_out(&at, &args->out[0]);
        if (taps == 0) // nothing but padding
            for (size_t c = 0; c < channels; c++)
                dst[c] = pool->kind == RML_POOL_MAX ? -INFINITY : 0.0f;
        else if (pool->kind == RML_POOL_MAX)
            args->kernels->pool_max(src, taps, channels, 1.0f, dst);
        else
            args->kernels->pool_sum(src, taps, channels,
                                    1.0f / (pool->count_pad && !pool->global
                                                ? (float)y.padded * (float)x.padded
                                                : (float)taps),
                                    dst);
    }
}

static void run(const rml_op_args *args)
{
    rml_op_args copy = *args;
    rml_pool_run(args->pool, (size_t)(args->out[0].dim[0] * args->out[0].dim[2]), 1, run_rows,
                 &copy);
}

static const rml_algorithm algorithms[] = {
    {.name = "window", .scratch_bytes = scratch_bytes, .run = run},
    {.name = "planes",
     .generic = true,
     .scratch_bytes = rml_pool_generic_scratch_bytes,
     .run = rml_pool_generic_run}};

const rml_op rml_op_pool = {.name = "pool",
                            .inputs = {1, 1},
                            .layout = RML_OP_CHANNELS_LAST,
                            .takes_images = takes_images,
                            .outputs = outputs,
                            .types = types,
                            .infer_values = infer,
                            .algorithms = algorithms};
