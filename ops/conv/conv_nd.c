// Convolution of any number of dimensions with a weight that need not be a constant.
//   x [N,C,...]   w [O,C/groups,...]   bias [O], optional   y [N,O,...]
// Source: ONNX Conv; torch.nn.functional.conv1d to conv3d.
#include "ops/conv/conv_nd.h"

#include "tensor/size.h"

#include <string.h>

rml_status rml_conv_nd_check(const rml_conv_nd_attr *conv, const rml_shape *in, int in_count,
                             int bias, rml_windows *windows, rml_error *err)
{
    const rml_shape *x = &in[0], *w = &in[1];
    char x_text[RML_SHAPE_TEXT_BYTES], w_text[RML_SHAPE_TEXT_BYTES];
    const int64_t depth = w->rank > 1 ? w->dim[1] : -1, rows = w->rank > 1 ? w->dim[0] : -1;
    int64_t channels = -1;
    bool fits = x->rank >= 3 && depth != 0 && w->rank == x->rank && conv->groups >= 1 &&
                (depth < 0 || rml_i64_mul(depth, conv->groups, &channels)) &&
                (rows < 0 || rows % conv->groups == 0) &&
                (channels < 0 || x->dim[1] < 0 || channels == x->dim[1]);
    if (fits)
        RML_TRY(rml_windows_make(&conv->windows, x, &w->dim[2], windows, err));
    for (int i = 0; fits && i < windows->rank; i++)
        fits = w->dim[i + 2] < 0 || w->dim[i + 2] == windows->kernel[i];
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "weight %s with groups %lld does not fit input %s",
                        rml_shape_text(w, w_text), (long long)conv->groups,
                        rml_shape_text(x, x_text));
    if (in_count > bias && in[bias].rank >= 0 &&
        (in[bias].rank != 1 || (in[bias].dim[0] >= 0 && rows >= 0 && in[bias].dim[0] != rows)))
        return rml_fail(err, RML_ERR_SHAPE, "bias is %s, expected (%lld)",
                        rml_shape_text(&in[bias], x_text), (long long)rows);
    return RML_OK;
}

rml_shape rml_conv_nd_shape(const rml_shape *in, const rml_windows *windows)
{
    rml_shape out = in[0];
    out.dim[1] = in[1].dim[0];
    for (int i = 0; i < windows->rank; i++)
        out.dim[i + 2] = windows->out[i];
    return out;
}

static rml_status infer(const rml_op_attr *attr, const rml_shape *in, int in_count, rml_shape *out,
                        rml_error *err)
{
    rml_windows windows;
    RML_TRY(rml_conv_nd_check(&attr->conv_nd, in, in_count, 2, &windows, err));
    *out = rml_conv_nd_shape(in, &windows);
    return RML_OK;
}

rml_im2col rml_conv_nd_columns(const rml_op_args *args, int bias)
{
    const rml_conv_nd_attr *conv = &args->attr->conv_nd;
    const rml_tensor *w = &args->in[1];
    const rml_shape shapes[2] = {rml_tensor_shape(&args->in[0]), rml_tensor_shape(w)};
    rml_im2col columns = {.args = args,
                          .groups = (size_t)conv->groups,
                          .depth = (size_t)w->dim[1],
                          .rows = (size_t)(w->dim[0] / conv->groups),
                          .in = &args->in[0],
                          .weight = w,
                          .out = &args->out[0]};
    rml_conv_nd_check(conv, shapes, 2, 2, &columns.windows,
                      NULL); // infer has seen to it that it fits
    columns.taps = rml_sizes_count(columns.windows.kernel, columns.windows.rank);
    columns.pixels = rml_sizes_count(columns.windows.out, columns.windows.rank);
    if (args->in_count > bias && args->in[bias].rank >= 0)
        columns.bias = args->in[bias].data;
    return columns;
}

uint64_t rml_conv_nd_macs(const rml_op_args *args)
{
    const int64_t rows = args->in[1].dim[0];
    return rows ? (uint64_t)rml_tensor_count(&args->out[0]) *
                      (uint64_t)(rml_tensor_count(&args->in[1]) / (size_t)rows)
                : 0;
}

size_t rml_conv_nd_scratch_bytes(const rml_op_args *args)
{
    const rml_tensor *w = &args->in[1];
    return rml_im2col_scratch_bytes(args, rml_sizes_count(&w->dim[2], w->rank - 2),
                                    (size_t)w->dim[1]);
}

// Where each pixel of the part finds tap `at`: an offset in its channel, or -1 for padding. True
// when all of them follow each other.
static bool find(const rml_windows *w, const int64_t *first, size_t pixels, const int64_t *at,
                 int64_t *offset)
{
    bool run = true;
    for (size_t i = 0; i < pixels; i++, first += w->rank) {
        int64_t sum = 0;
        for (int d = 0; d < w->rank; d++) {
            const int64_t x = first[d] + at[d] * w->dilation[d];
            if (x < 0 || x >= w->in[d]) {
                sum = -1;
                break;
            }
            sum = sum * w->in[d] + x;
        }
        offset[i] = sum;
        run = run && sum >= 0 && sum == offset[0] + (int64_t)i;
    }
    return run;
}

static void fill(const rml_im2col *columns, const rml_im2col_part *part)
{
    const rml_windows *w = &columns->windows;
    const size_t plane = rml_sizes_count(w->in, w->rank);
    const float *src = columns->in->data +
                       (part->image * columns->groups * columns->depth + part->channel) * plane;
    int64_t *offset = (int64_t *)(void *)part->scratch, *first = offset + part->pixels;
    int64_t at[RML_MAX_SPATIAL], tap[RML_MAX_SPATIAL] = {0};
    rml_sizes_seek(w->out, w->rank, part->pixel, at);
    for (size_t i = 0; i < part->pixels; i++, rml_sizes_next(w->out, w->rank, at))
        for (int d = 0; d < w->rank; d++)
            first[i * (size_t)w->rank + (size_t)d] = at[d] * w->stride[d] - w->before[d];
    for (size_t t = 0; t < columns->taps; t++, rml_sizes_next(w->kernel, w->rank, tap)) {
        const bool run = find(w, first, part->pixels, tap, offset);
        float *dst = part->dst + t * part->pitch;
        for (size_t c = 0; c < part->channels; c++, dst += columns->taps * part->pitch) {
            const float *channel = src + c * plane;
            if (run)
                memcpy(dst, channel + offset[0], part->pixels * sizeof *dst);
            else
                for (size_t i = 0; i < part->pixels; i++)
                    dst[i] = offset[i] < 0 ? 0.0f : channel[offset[i]];
            memset(dst + part->pixels, 0, (part->pitch - part->pixels) * sizeof *dst);
        }
    }
}

static void run(const rml_op_args *args)
{
    rml_im2col columns = rml_conv_nd_columns(args, 2);
    columns.fill = fill;
    rml_im2col_run(&columns);
}

// ---- one input channel a group ------------------------------------------------------------------

static bool is_depthwise(const rml_op_args *args)
{
    return args->in[1].dim[1] == 1;
}

// Output coordinates along one axis that tap `tap` has an input for: [first, stop).
static void reach(const rml_windows *w, int axis, int64_t tap, int64_t *first, int64_t *stop)
{
    const int64_t stride = w->stride[axis], shift = tap * w->dilation[axis] - w->before[axis];
    *first = shift < 0 ? (-shift + stride - 1) / stride : 0;
    *stop = w->in[axis] > shift ? (w->in[axis] - 1 - shift) / stride + 1 : 0;
    *stop = *stop < w->out[axis] ? *stop : w->out[axis];
}

// Adds one tap of a filter to an output channel, row after row.
static void add_tap(const rml_windows *w, const int64_t *tap, float weight, const float *src,
                    float *dst)
{
    const int last = w->rank - 1;
    const int64_t stride = w->stride[last];
    int64_t first[RML_MAX_SPATIAL], count[RML_MAX_SPATIAL], index[RML_MAX_SPATIAL] = {0};
    for (int i = 0; i < w->rank; i++) {
        reach(w, i, tap[i], &first[i], &count[i]);
        count[i] -= first[i];
        if (count[i] <= 0)
            return;
    }
    const size_t rows = rml_sizes_count(count, last);
    for (size_t row = 0; row < rows; row++, rml_sizes_next(count, last, index)) {
        int64_t from = 0, to = 0;
        for (int i = 0; i <= last; i++) {
            const int64_t at = first[i] + (i < last ? index[i] : 0);
            to = to * w->out[i] + at;
            from = from * w->in[i] + at * w->stride[i] + tap[i] * w->dilation[i] - w->before[i];
        }
        if (stride == 1)
            for (int64_t i = 0; i < count[last]; i++)
                dst[to + i] += weight * src[from + i];
        else
            for (int64_t i = 0; i < count[last]; i++)
                dst[to + i] += weight * src[from + i * stride];
    }
}

static void run_channels(void *context, size_t begin, size_t end, int worker)
{
    const rml_im2col *columns = context;
    const rml_windows *w = &columns->windows;
    const size_t plane = rml_sizes_count(w->in, w->rank), all = columns->groups * columns->rows;
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        const size_t image = item / all, channel = item % all;
        const size_t from = image * columns->groups + channel / columns->rows;
        float *dst = columns->out->data + item * columns->pixels;
        int64_t tap[RML_MAX_SPATIAL] = {0};
        for (size_t i = 0; i < columns->pixels; i++)
            dst[i] = columns->bias ? columns->bias[channel] : 0.0f;
        for (size_t t = 0; t < columns->taps; t++, rml_sizes_next(w->kernel, w->rank, tap))
            add_tap(w, tap, columns->weight->data[channel * columns->taps + t],
                    columns->in->data + from * plane, dst);
    }
}

static void run_depthwise(const rml_op_args *args)
{
    rml_im2col columns = rml_conv_nd_columns(args, 2);
    rml_pool_run(args->pool, (size_t)(args->out[0].dim[0] * args->out[0].dim[1]), 1, run_channels,
                 &columns);
}

static const rml_algorithm algorithms[] = {
    {.name = "depthwise-rows", .accepts = is_depthwise, .run = run_depthwise},
    {.name = "columns", .scratch_bytes = rml_conv_nd_scratch_bytes, .run = run}};

const rml_op rml_op_conv_nd = {.name = "conv_nd",
                               .min_inputs = 2,
                               .max_inputs = 3,
                               .packed_input = -1,
                               .infer = infer,
                               .macs = rml_conv_nd_macs,
                               .algorithms = algorithms};
