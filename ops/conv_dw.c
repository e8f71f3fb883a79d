// Depthwise convolution: every channel has its own filter.
#include "ops/conv.h"

#include "ops/window.h"
#include "tensor/size.h"

#include <string.h>

bool rml_conv_dw_accepts(const rml_op_args *args)
{
    const rml_conv_attr *conv = &args->attr->conv;
    return conv->groups > 1 && conv->groups == args->in[0].dim[1] &&
           conv->groups == args->out[0].dim[1] && conv->act.kind == RML_UNARY_CLAMP &&
           !rml_conv_residual(args);
}

static size_t taps_of(const rml_op_args *args)
{
    return (size_t)(args->attr->conv.kernel[0] * args->attr->conv.kernel[1]);
}

size_t rml_conv_dw_packed_count(const rml_op_args *args)
{
    return taps_of(args) * (size_t)args->in[0].dim[1];
}

rml_status rml_conv_dw_pack(const rml_op_args *args, const rml_constant *weight, float *packed,
                            const rml_allocator *allocator, rml_error *err)
{
    const size_t taps = taps_of(args), channels = (size_t)args->in[0].dim[1];
    float *rows = rml_alloc(allocator, taps * channels * sizeof *rows);
    if (!rows)
        return rml_fail_nomem(err, taps * channels * sizeof *rows, "packing weights");
    rml_constant_read(weight, 0, 0, (int64_t)channels, rows);
    for (size_t t = 0; t < taps; t++)
        for (size_t c = 0; c < channels; c++)
            packed[t * channels + c] = rows[c * taps + t];
    rml_free(allocator, rows);
    return RML_OK;
}

size_t rml_conv_dw_scratch_bytes(const rml_op_args *args)
{
    return rml_round_up((size_t)args->in[0].dim[1] * sizeof(float), RML_ALIGNMENT) +
           (size_t)args->threads * rml_round_up(taps_of(args) * sizeof(float *), RML_ALIGNMENT);
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_conv_attr *conv = &args->attr->conv;
    const rml_tensor *out = &args->out[0];
    const size_t channels = (size_t)out->dim[1], taps = taps_of(args);
    const rml_window window =
        rml_window_conv(out, conv->kernel, conv->stride, conv->pad, conv->dilation);
    const float *zeros = (const float *)args->scratch;
    const float **src =
        (const float **)(args->scratch + rml_round_up(channels * sizeof(float), RML_ALIGNMENT) +
                         (size_t)worker * rml_round_up(taps * sizeof(float *), RML_ALIGNMENT));
    rml_window_at at = rml_window_seek(&window, begin * (size_t)window.cols);
    for (size_t i = begin * (size_t)window.cols; i < end * (size_t)window.cols;
         i++, rml_window_next(&window, &at)) {
        rml_window_pointers(&window, &at, &args->in[0], 0, zeros, false, src, 1);
        args->kernels->conv_dw(src, taps, args->packed, rml_conv_bias(args), channels,
                               rml_window_out(&window, &at, out), conv->act.param[0],
                               conv->act.param[1]);
    }
}

void rml_conv_dw_run(const rml_op_args *args)
{
    memset(args->scratch, 0, (size_t)args->in[0].dim[1] * sizeof(float));
    rml_op_args copy = *args;
    rml_pool_run(args->pool, (size_t)(args->out[0].dim[0] * args->out[0].dim[2]), 1, run_rows,
                 &copy);
}
