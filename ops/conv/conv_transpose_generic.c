// Transposed convolution of any number of dimensions, plain, with a weight as it is stored.
//
// Each output channel is summed up from the input's rows, tap after tap: every multiplication is
// one that counts, and nobody else writes to the channel.
#include "ops/conv/conv.h"

// The part of an input row that reaches the output through one tap: its elements [first, stop).
typedef struct reach {
    int64_t first, stop, out; // out: where element `first` goes
} reach;

static reach reach_of(const rml_window *w, int axis, int64_t tap)
{
    const int64_t stride = w->stride[axis];
    const int64_t shift = tap * w->dilation[axis] - w->before[axis];
    reach r = {.first = shift < 0 ? (-shift + stride - 1) / stride : 0};
    r.stop = w->out[axis] > shift ? (w->out[axis] - 1 - shift) / stride + 1 : 0;
    r.stop = r.stop < w->in[axis] ? r.stop : w->in[axis];
    r.out = r.first * stride + shift;
    return r;
}

// Adds one input channel times one tap to an output channel.
static void add_tap(const rml_window *w, const int64_t *tap, float weight, const float *src,
                    float *dst)
{
    const int last = w->rank - 1;
    const int64_t stride = w->stride[last];
    reach at[RML_MAX_SPATIAL];
    int64_t count[RML_MAX_SPATIAL], index[RML_MAX_SPATIAL] = {0};
    for (int i = 0; i < w->rank; i++) {
        at[i] = reach_of(w, i, tap[i]);
        count[i] = at[i].stop - at[i].first;
        if (count[i] <= 0)
            return;
    }
    const size_t rows = rml_sizes_count(count, last);
    for (size_t row = 0; row < rows; row++, rml_sizes_next(count, last, index)) {
        int64_t from = 0, to = 0;
        for (int i = 0; i < last; i++) {
            from = from * w->in[i] + at[i].first + index[i];
            to = to * w->out[i] + at[i].out + index[i] * w->stride[i];
        }
        const float *x = src + from * w->in[last] + at[last].first;
        float *y = dst + to * w->out[last] + at[last].out;
        if (stride == 1)
            for (int64_t i = 0; i < count[last]; i++)
                y[i] += weight * x[i];
        else
            for (int64_t i = 0; i < count[last]; i++)
                y[i * stride] += weight * x[i];
    }
}

typedef struct transpose_job {
    const rml_op_args *args;
    rml_window window;
} transpose_job;

static void run_channels(void *context, size_t begin, size_t end, int worker)
{
    const transpose_job *job = context;
    const rml_op_args *args = job->args;
    const rml_window *window = &job->window;
    const rml_tensor *w = &args->in[1];
    const size_t groups = (size_t)args->attr->conv.groups;
    const size_t depth = (size_t)w->dim[0] / groups, cols = (size_t)w->dim[1];
    const size_t taps = rml_sizes_count(window->kernel, window->rank);
    const size_t in_plane = rml_sizes_count(window->in, window->rank);
    const size_t out_plane = rml_sizes_count(window->out, window->rank);
    const float *bias = rml_conv_bias(args);
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        const size_t image = item / (groups * cols), channel = item % (groups * cols);
        const size_t group = channel / cols;
        float *dst = args->out[0].data + item * out_plane;
        for (size_t i = 0; i < out_plane; i++)
            dst[i] = bias ? bias[channel] : 0.0f;
        for (size_t c = group * depth; c < (group + 1) * depth; c++) {
            const float *src = args->in[0].data + (image * groups * depth + c) * in_plane;
            const float *weight = w->data + (c * cols + channel % cols) * taps;
            int64_t tap[RML_MAX_SPATIAL] = {0};
            for (size_t t = 0; t < taps; t++, rml_sizes_next(window->kernel, window->rank, tap))
                add_tap(window, tap, weight[t], src, dst);
        }
        rml_conv_epilogue(args, dst, out_plane);
    }
}

void rml_conv_transpose_generic_run(const rml_op_args *args)
{
    transpose_job job = {.args = args, .window = rml_conv_transpose_window(args)};
    rml_pool_run(args->pool, (size_t)(args->out[0].dim[0] * args->out[0].dim[1]), 1, run_channels,
                 &job);
}
