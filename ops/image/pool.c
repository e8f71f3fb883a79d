// Max and average pooling over windows, or over the whole image.
// Source: torch.nn.MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1).
#include "ops/conv/window.h"

#include "tensor/size.h"

static rml_status infer(const rml_op_attr *attr, const rml_shape *in, int in_count, rml_shape *out,
                        rml_error *err)
{
    static const int64_t one[2] = {1, 1};
    const rml_pool_attr *pool = &attr->pool;
    char text[RML_SHAPE_TEXT_BYTES];
    (void)in_count;
    if (in[0].rank != 4)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, expected 4 dimensions",
                        rml_shape_text(&in[0], text));
    *out = in[0];
    for (int axis = 0; axis < 2; axis++) {
        if (in[0].dim[2 + axis] == 0 && in[0].dim[0] != 0 && in[0].dim[1] != 0)
            return rml_fail(err, RML_ERR_SHAPE, "input %s has no pixels",
                            rml_shape_text(&in[0], text));
        if (pool->global) {
            out->dim[2 + axis] = 1;
            continue;
        }
        RML_TRY(rml_window_size(in[0].dim[2 + axis], axis, pool->kernel, pool->stride, pool->pad,
                                one, pool->ceil_mode, &out->dim[2 + axis], err));
        if (pool->pad[axis] * 2 > pool->kernel[axis] ||
            pool->pad[axis + 2] * 2 > pool->kernel[axis])
            return rml_fail(err, RML_ERR_ARG, "padding %lld is more than half the kernel's %lld",
                            (long long)pool->pad[axis], (long long)pool->kernel[axis]);
    }
    return RML_OK;
}

static rml_window window_of(const rml_op_args *args)
{
    static const int64_t one[2] = {1, 1}, none[4] = {0, 0, 0, 0};
    const rml_pool_attr *pool = &args->attr->pool;
    if (pool->global) {
        const int64_t whole[2] = {args->in[0].dim[2], args->in[0].dim[3]};
        return rml_window_conv(&args->out[0], whole, one, none, one);
    }
    return rml_window_conv(&args->out[0], pool->kernel, pool->stride, pool->pad, one);
}

// A window may be far larger than the image: only taps inside are counted and walked.
static size_t pointer_bytes(const rml_op_args *args)
{
    const rml_window window = window_of(args);
    size_t taps = 1;
    for (int axis = 0; axis < 2; axis++)
        taps *= (size_t)(window.taps[axis] < args->in[0].dim[2 + axis] ? window.taps[axis]
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
    const int64_t first = at * window->step[axis] + window->first[axis];
    const int64_t stop = first + window->taps[axis];
    return (range){.first = first > 0 ? first : 0,
                   .stop = stop < size ? stop : size,
                   .padded = (stop < size + after ? stop : size + after) - first};
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_pool_attr *pool = &args->attr->pool;
    const rml_tensor *in = &args->in[0];
    const rml_window window = window_of(args);
    const size_t channels = (size_t)in->dim[1], cols = (size_t)window.cols;
    const float **src = (const float **)(args->scratch + (size_t)worker * pointer_bytes(args));
    rml_window_at at = rml_window_seek(&window, begin * cols);
    for (size_t i = begin * cols; i < end * cols; i++, rml_window_next(&window, &at)) {
        // Padding is no element: only taps inside the image are given to the kernel.
        const range y = range_of(&window, 0, at.row, in->dim[2], pool->pad[2]);
        const range x = range_of(&window, 1, at.col, in->dim[3], pool->pad[3]);
        size_t taps = 0;
        for (int64_t j = y.first; j < y.stop; j++)
            for (int64_t k = x.first; k < x.stop; k++)
                src[taps++] =
                    in->data + at.image * in->stride[0] + j * in->stride[2] + k * in->stride[3];
        float *dst = rml_window_out(&window, &at, &args->out[0]);
        if (pool->kind == RML_POOL_MAX)
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
    {.name = "window", .scratch_bytes = scratch_bytes, .run = run}};

const rml_op rml_op_pool2d = {.name = "pool2d",
                              .min_inputs = 1,
                              .max_inputs = 1,
                              .layout = RML_OP_CHANNELS_LAST,
                              .packed_input = -1,
                              .infer = infer,
                              .algorithms = algorithms};
