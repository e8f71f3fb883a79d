// Depthwise convolution: every channel has its own filter.
#include "ops/conv/conv.h"

#include "ops/conv/window.h"
#include "tensor/size.h"

#include <string.h>

bool rml_conv_dw_accepts(const rml_op_args *args)
{
    const rml_conv_attr *conv = &args->attr->conv;
    return conv->groups > 1 && conv->groups == args->in[0].dim[1] &&
           conv->groups == args->out[0].dim[1] && conv->act.kind == RML_UNARY_CLAMP &&
           !rml_conv_residual(args);
}

size_t rml_conv_dw_packed_bytes(const rml_op_args *args)
{
    return rml_sat_mul(rml_conv_taps(args) * sizeof(float), (size_t)args->in[0].dim[1]);
}

rml_status rml_conv_dw_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                            const rml_allocator *allocator, rml_error *err)
{
    const size_t taps = rml_conv_taps(args), channels = (size_t)args->in[0].dim[1];
    const size_t bytes = rml_conv_dw_packed_bytes(args);
    float *rows = rml_alloc(allocator, bytes);
    if (!rows)
        return rml_fail_nomem(err, bytes, "packing weights");
    float *dst = packed;
    rml_constant_read(weight, 0, 0, (int64_t)channels, rows);
    for (size_t t = 0; t < taps; t++)
        for (size_t c = 0; c < channels; c++)
            dst[t * channels + c] = rows[c * taps + t];
    rml_free(allocator, rows);
    return RML_OK;
}

size_t rml_conv_dw_scratch_bytes(const rml_op_args *args)
{
    const size_t table = rml_aligned_bytes(rml_conv_taps(args), sizeof(float *));
    return rml_sat_add(rml_aligned_bytes((size_t)args->in[0].dim[1], sizeof(float)),
                       rml_sat_mul((size_t)args->threads, table));
}

// Columns of the output all of whose taps lie inside the width: [first, stop).
static void inner_columns(const rml_window *window, const rml_tensor *in, int64_t *first,
                          int64_t *stop)
{
    rml_window_at at = {0, 0, 0};
    while (at.col < window->out[1] && !rml_window_inside_cols(window, &at, in))
        at.col++;
    *first = at.col;
    while (at.col < window->out[1] && rml_window_inside_cols(window, &at, in))
        at.col++;
    *stop = at.col;
}

// Rows of taps that lie inside the height: [first, stop).
static void inner_taps(const rml_window *window, int64_t row, const rml_tensor *in, size_t *first,
                       size_t *stop)
{
    *first = *stop = 0;
    for (int64_t t = 0; t < window->kernel[0]; t++) {
        const int64_t y = row * window->stride[0] - window->before[0] + t * window->dilation[0];
        *first += y < 0;
        *stop += y < in->dim[2];
    }
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_conv_attr *conv = &args->attr->conv;
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    const size_t channels = (size_t)out->dim[1], taps = rml_conv_taps(args);
    const rml_window window = rml_conv_window(args);
    const float *zeros = (const float *)args->scratch;
    const float **src =
        (const float **)(args->scratch + rml_round_up(channels * sizeof(float), RML_ALIGNMENT) +
                         (size_t)worker * rml_round_up(taps * sizeof(float *), RML_ALIGNMENT));
    rml_conv_dw_row row = {.channels = channels,
                           .src_step = (size_t)(window.stride[1] * in->stride[3]),
                           .dst_step = (size_t)out->stride[3],
                           .bias = rml_conv_bias(args),
                           .low = conv->act.param[0],
                           .high = conv->act.param[1]};
    int64_t inner_first, inner_stop;
    inner_columns(&window, in, &inner_first, &inner_stop);
    for (size_t i = begin; i < end; i++) {
        rml_window_at at = rml_window_seek(&window, i * (size_t)window.out[1]);
        size_t tap_first, tap_stop;
        inner_taps(&window, at.row, in, &tap_first, &tap_stop);
        while (at.col < window.out[1]) {
            const bool inner = at.col >= inner_first && at.col < inner_stop;
            // At the left and right some taps read zeros, and have no step to go on by.
            row.pixels = inner ? (size_t)(inner_stop - at.col) : 1;
            rml_window_pointers(&window, &at, in, 0, zeros, false, (const void **)src, 1);
            // Above and below the image whole rows of taps are zeros, and left out.
            const size_t skipped = tap_first * (size_t)window.kernel[1];
            row.src = src + skipped;
            row.taps = tap_stop * (size_t)window.kernel[1] - skipped;
            row.weight = (const float *)args->packed + skipped * channels;
            row.dst = rml_window_out(&at, out);
            args->kernels->conv_dw(&row);
            at.col += (int64_t)row.pixels;
        }
    }
}

void rml_conv_dw_run(const rml_op_args *args)
{
    memset(args->scratch, 0, (size_t)args->in[0].dim[1] * sizeof(float));
    rml_op_args copy = *args;
    rml_pool_run(args->pool, (size_t)(args->out[0].dim[0] * args->out[0].dim[2]), 1, run_rows,
                 &copy);
}
