// Transposed convolution of any number of dimensions with a weight that need not be a constant.
//   x [N,C,...]   w [C,O/groups,...]   bias [O], optional   y [N,O,...]
// Source: ONNX ConvTranspose; torch.nn.functional.conv_transpose1d to conv_transpose3d.
//
// Each output channel is summed up from the input's rows, tap after tap: every multiplication is
// one that counts, and nobody else writes to the channel.
#include "ops/conv/windows.h"

#include "tensor/size.h"

// Where things lie; `before` may be negative: the output then begins with what no input reaches.
typedef struct plan {
    rml_windows windows;
    int64_t out[RML_MAX_SPATIAL];
} plan;

static rml_status size_axis(const rml_conv_transpose_nd_attr *conv, plan *p, int i, rml_error *err)
{
    const rml_auto_pad auto_pad = conv->windows.auto_pad;
    const bool same = auto_pad == RML_AUTO_PAD_SAME_UPPER || auto_pad == RML_AUTO_PAD_SAME_LOWER;
    rml_windows *w = &p->windows;
    int64_t reach;
    p->out[i] = conv->out_size[i] ? conv->out_size[i] : -1;
    if (w->in[i] < 0 || w->kernel[i] < 0)
        return RML_OK;
    if (!rml_i64_mul(w->in[i] > 0 ? w->in[i] - 1 : 0, w->stride[i], &reach) || reach > (int64_t)1
                                                                                           << 62)
        return rml_fail(err, RML_ERR_LIMIT, "axis %d: the output is too large", i + 2);
    reach += rml_windows_span(w, i) + conv->out_pad[i];
    if (w->in[i] == 0)
        reach = conv->out_pad[i];
    if (!conv->out_size[i])
        p->out[i] = same ? w->in[i] * w->stride[i] : reach - w->before[i] - w->after[i];
    if (conv->out_size[i] || same) {
        const int64_t total = reach - p->out[i] > 0 ? reach - p->out[i] : 0;
        w->before[i] = auto_pad == RML_AUTO_PAD_SAME_UPPER ? total / 2 : total - total / 2;
    }
    if (p->out[i] < 0)
        return rml_fail(err, RML_ERR_SHAPE, "axis %d: size %lld gives an output of %lld", i + 2,
                        (long long)w->in[i], (long long)p->out[i]);
    return RML_OK;
}

static rml_status make_plan(const rml_conv_transpose_nd_attr *conv, const rml_shape *x,
                            const rml_shape *weight, plan *p, rml_error *err)
{
    // The forward windows only check and collect: any image is large enough for them.
    rml_shape any = *x;
    for (int i = 2; i < any.rank; i++)
        any.dim[i] = -1;
    RML_TRY(rml_windows_make(&conv->windows, &any, &weight->dim[2], &p->windows, err));
    for (int i = 0; i < p->windows.rank; i++) {
        if (conv->out_pad[i] < 0 || conv->out_size[i] < 0 || conv->out_pad[i] > INT32_MAX)
            return rml_fail(err, RML_ERR_ARG, "axis %d: output padding %lld and size %lld", i + 2,
                            (long long)conv->out_pad[i], (long long)conv->out_size[i]);
        p->windows.in[i] = x->dim[i + 2];
        RML_TRY(size_axis(conv, p, i, err));
    }
    return RML_OK;
}

static rml_status infer(const rml_op_attr *attr, const rml_shape *in, int in_count, rml_shape *out,
                        rml_error *err)
{
    const rml_conv_transpose_nd_attr *conv = &attr->conv_transpose_nd;
    const rml_shape *x = &in[0], *w = &in[1];
    char x_text[RML_SHAPE_TEXT_BYTES], w_text[RML_SHAPE_TEXT_BYTES];
    int64_t channels = -1;
    plan p;
    bool fits = x->rank >= 3 && w->rank == x->rank && conv->groups >= 1 &&
                (w->dim[0] < 0 || x->dim[1] < 0 || w->dim[0] == x->dim[1]) &&
                (w->dim[0] < 0 || w->dim[0] % conv->groups == 0) &&
                (w->dim[1] < 0 || rml_i64_mul(w->dim[1], conv->groups, &channels));
    if (fits)
        RML_TRY(make_plan(conv, x, w, &p, err));
    for (int i = 0; fits && i < p.windows.rank; i++)
        fits = w->dim[i + 2] < 0 || w->dim[i + 2] == p.windows.kernel[i];
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "weight %s with groups %lld does not fit input %s",
                        rml_shape_text(w, w_text), (long long)conv->groups,
                        rml_shape_text(x, x_text));
    if (in_count > 2 && in[2].rank >= 0 &&
        (in[2].rank != 1 || (in[2].dim[0] >= 0 && channels >= 0 && in[2].dim[0] != channels)))
        return rml_fail(err, RML_ERR_SHAPE, "bias is %s, expected (%lld)",
                        rml_shape_text(&in[2], x_text), (long long)channels);
    *out = *x;
    out->dim[1] = channels;
    for (int i = 0; i < p.windows.rank; i++)
        out->dim[i + 2] = p.out[i];
    return RML_OK;
}

static uint64_t macs(const rml_op_args *args)
{
    const int64_t channels = args->in[1].dim[0];
    return channels ? (uint64_t)rml_tensor_count(&args->in[0]) *
                          (uint64_t)(rml_tensor_count(&args->in[1]) / (size_t)channels)
                    : 0;
}

// The part of an input row that reaches the output through one tap: its elements [first, stop).
typedef struct reach {
    int64_t first, stop, out; // out: where element `first` goes
} reach;

static reach reach_of(const plan *p, int axis, int64_t tap)
{
    const rml_windows *w = &p->windows;
    const int64_t stride = w->stride[axis];
    const int64_t shift = tap * w->dilation[axis] - w->before[axis];
    reach r = {.first = shift < 0 ? (-shift + stride - 1) / stride : 0};
    r.stop = p->out[axis] > shift ? (p->out[axis] - 1 - shift) / stride + 1 : 0;
    r.stop = r.stop < w->in[axis] ? r.stop : w->in[axis];
    r.out = r.first * stride + shift;
    return r;
}

// Adds one input channel times one tap to an output channel.
static void add_tap(const plan *p, const int64_t *tap, float weight, const float *src, float *dst)
{
    const rml_windows *w = &p->windows;
    const int last = w->rank - 1;
    const int64_t stride = w->stride[last];
    reach at[RML_MAX_SPATIAL];
    int64_t count[RML_MAX_SPATIAL], index[RML_MAX_SPATIAL] = {0};
    for (int i = 0; i < w->rank; i++) {
        at[i] = reach_of(p, i, tap[i]);
        count[i] = at[i].stop - at[i].first;
        if (count[i] <= 0)
            return;
    }
    const size_t rows = rml_sizes_count(count, last);
    for (size_t row = 0; row < rows; row++, rml_sizes_next(count, last, index)) {
        int64_t from = 0, to = 0;
        for (int i = 0; i < last; i++) {
            from = from * w->in[i] + at[i].first + index[i];
            to = to * p->out[i] + at[i].out + index[i] * w->stride[i];
        }
        const float *x = src + from * w->in[last] + at[last].first;
        float *y = dst + to * p->out[last] + at[last].out;
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
    plan p;
} transpose_job;

static void run_channels(void *context, size_t begin, size_t end, int worker)
{
    const transpose_job *job = context;
    const rml_op_args *args = job->args;
    const plan *p = &job->p;
    const rml_tensor *w = &args->in[1];
    const size_t groups = (size_t)args->attr->conv_transpose_nd.groups;
    const size_t depth = (size_t)w->dim[0] / groups, cols = (size_t)w->dim[1];
    const size_t taps = rml_sizes_count(p->windows.kernel, p->windows.rank);
    const size_t in_plane = rml_sizes_count(p->windows.in, p->windows.rank);
    const size_t out_plane = rml_sizes_count(p->out, p->windows.rank);
    const bool has_bias = args->in_count > 2 && args->in[2].rank >= 0;
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        const size_t image = item / (groups * cols), channel = item % (groups * cols);
        const size_t group = channel / cols;
        float *dst = args->out[0].data + item * out_plane;
        for (size_t i = 0; i < out_plane; i++)
            dst[i] = has_bias ? args->in[2].data[channel] : 0.0f;
        for (size_t c = group * depth; c < (group + 1) * depth; c++) {
            const float *src = args->in[0].data + (image * groups * depth + c) * in_plane;
            const float *weight = w->data + (c * cols + channel % cols) * taps;
            int64_t tap[RML_MAX_SPATIAL] = {0};
            for (size_t t = 0; t < taps;
                 t++, rml_sizes_next(p->windows.kernel, p->windows.rank, tap))
                add_tap(p, tap, weight[t], src, dst);
        }
    }
}

static void run(const rml_op_args *args)
{
    const rml_shape x = rml_tensor_shape(&args->in[0]), w = rml_tensor_shape(&args->in[1]);
    transpose_job job = {.args = args};
    make_plan(&args->attr->conv_transpose_nd, &x, &w, &job.p, NULL); // infer has seen to the rest
    rml_pool_run(args->pool, (size_t)(args->out[0].dim[0] * args->out[0].dim[1]), 1, run_channels,
                 &job);
}

static const rml_algorithm algorithms[] = {{.name = "rows", .run = run}};

const rml_op rml_op_conv_transpose_nd = {.name = "conv_transpose_nd",
                                         .min_inputs = 2,
                                         .max_inputs = 3,
                                         .packed_input = -1,
                                         .infer = infer,
                                         .macs = macs,
                                         .algorithms = algorithms};
