// Maximum and average pooling of channels-last images, window by window: all channels of a window
// at once, and all windows of a row that no edge cuts in one call of the kernel.
#include "ops/image/pool.h"

#include "tensor/size.h"

#include <math.h>

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// A window may be far larger than the image: only taps inside are counted and walked.
size_t rml_pool_window_bytes(const rml_op_args *args)
{
    const rml_window window = rml_pool_window(args);
    size_t taps = 1;
    for (int axis = 0; axis < 2; axis++)
        taps *= (size_t)least(window.kernel[axis], args->in[0].dim[2 + axis]);
    return rml_aligned_bytes(taps, sizeof(float *));
}

// The taps of one window along one axis: those inside the image, and how many there are with the
// declared padding.
typedef struct range {
    int64_t first, stop, padded;
} range;

static range range_of(const rml_window *window, int axis, int64_t at)
{
    const int64_t size = window->in[axis], after = window->after[axis];
    const int64_t first = at * window->stride[axis] - window->before[axis];
    const int64_t stop = first + window->kernel[axis];
    return (range){.first = first > 0 ? first : 0,
                   .stop = least(stop, size),
                   .padded = least(stop, size + after) - first};
}

// How many windows from `at` on lie inside the width; 1 where the edge cuts the first of them.
static int64_t whole_windows(const rml_window *window, int64_t at)
{
    const int64_t first = at * window->stride[1] - window->before[1];
    const int64_t room = window->in[1] - window->kernel[1] - first;
    if (first < 0 || room < 0)
        return 1;
    return least(room / window->stride[1] + 1, window->out[1] - at);
}

static float scale_of(const rml_pool_attr *pool, range y, range x, size_t taps)
{
    if (pool->kind == RML_POOL_MAX)
        return 1.0f;
    if (pool->count_pad && !pool->global)
        return 1.0f / ((float)y.padded * (float)x.padded);
    return 1.0f / (float)taps;
}

static void run_row(const rml_op_args *args, const rml_window *window, size_t row,
                    const float **src)
{
    const rml_pool_attr *pool = &args->attr->pool;
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    const bool max = pool->kind == RML_POOL_MAX;
    const int64_t n = (int64_t)row / window->out[0], at = (int64_t)row % window->out[0];
    const float *image = in->data + n * in->stride[0];
    float *dst = out->data + n * out->stride[0] + at * out->stride[2];
    // Padding is no element: only taps inside the image are given to the kernel.
    const range y = range_of(window, 0, at);
    for (int64_t i = 0, count; i < window->out[1]; i += count, dst += count * out->stride[3]) {
        const range x = range_of(window, 1, i);
        size_t taps = 0;
        for (int64_t j = y.first; j < y.stop; j++)
            for (int64_t k = x.first; k < x.stop; k++)
                src[taps++] = image + j * in->stride[2] + k * in->stride[3];
        count = whole_windows(window, i);
        for (int64_t c = 0; taps == 0 && c < count * in->dim[1]; c++) // nothing but padding
            dst[c / in->dim[1] * out->stride[3] + c % in->dim[1]] = max ? -INFINITY : 0.0f;
        if (taps > 0)
            (max ? RML_KERNEL(args->kernels, pool_max) : RML_KERNEL(args->kernels, pool_sum))(
                &(rml_pool_windows){.src = src,
                                    .taps = taps,
                                    .channels = (size_t)in->dim[1],
                                    .count = (size_t)count,
                                    .src_step = (size_t)(window->stride[1] * in->stride[3]),
                                    .dst_step = (size_t)out->stride[3],
                                    .scale = scale_of(pool, y, x, taps),
                                    .dst = dst});
    }
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_window window = rml_pool_window(args);
    for (size_t row = begin; row < end; row++)
        run_row(args, &window, row, rml_op_worker(args, worker));
}

void rml_pool_window_run(const rml_op_args *args)
{
    rml_op_args copy = *args;
    rml_pool_run(args->pool, (size_t)(args->out[0].dim[0] * args->out[0].dim[2]), 1, run_rows,
                 &copy);
}
