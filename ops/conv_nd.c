// Convolution of any number of dimensions with a weight that need not be a constant.
//   x [N,C,...]   w [O,C/groups,...]   bias [O], optional   y [N,O,...]
// Source: ONNX Conv; torch.nn.functional.conv1d to conv3d.
#include "ops/conv_nd.h"

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

rml_columns rml_conv_nd_columns(const rml_op_args *args, int bias)
{
    const rml_conv_nd_attr *conv = &args->attr->conv_nd;
    const rml_tensor *w = &args->in[1];
    const rml_shape shapes[2] = {rml_tensor_shape(&args->in[0]), rml_tensor_shape(w)};
    rml_columns columns = {.args = args,
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
    return rml_columns_scratch_bytes(args, rml_sizes_count(&w->dim[2], w->rank - 2),
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

static void fill(const rml_columns *columns, const rml_columns_part *part)
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
    rml_columns columns = rml_conv_nd_columns(args, 2);
    columns.fill = fill;
    rml_columns_run(&columns);
}

static const rml_algorithm algorithms[] = {
    {.name = "columns", .scratch_bytes = rml_conv_nd_scratch_bytes, .run = run}};

const rml_op rml_op_conv_nd = {.name = "conv_nd",
                               .min_inputs = 2,
                               .max_inputs = 3,
                               .packed_input = -1,
                               .infer = infer,
                               .macs = rml_conv_nd_macs,
                               .algorithms = algorithms};
