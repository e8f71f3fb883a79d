// 2-D convolution, NCHW logic on channels-last memory.
//   x [N,C,H,W]   w [O,C/groups,Kh,Kw]   bias [O], optional   residual [N,O,Ho,Wo], optional
//   y = act(conv(x, w) + bias + residual). Source: torch.nn.Conv2d.
#include "ops/conv/conv.h"

#include "kernels/pack.h"
#include "kernels/winograd.h"
#include "ops/conv/igemm.h"
#include "tensor/size.h"

rml_status rml_conv_check(const rml_op_attr *attr, const rml_shape *in, int in_count, int out_axis,
                          int64_t *out_channels, rml_error *err)
{
    const rml_conv_attr *conv = &attr->conv;
    const rml_shape *x = &in[0], *w = &in[1];
    char x_text[RML_SHAPE_TEXT_BYTES], w_text[RML_SHAPE_TEXT_BYTES];
    if (x->rank != 4 || w->rank != 4)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s and weight %s, expected 4 dimensions each",
                        rml_shape_text(x, x_text), rml_shape_text(w, w_text));
    if (conv->groups < 1 || !rml_shape_known(w) || x->dim[1] == 0)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, weight %s and groups %lld",
                        rml_shape_text(x, x_text), rml_shape_text(w, w_text),
                        (long long)conv->groups);
    // weight is [O, C/groups] for convolution and [C, O/groups] for its transpose; groups come from
    // files, so nothing is multiplied by them before they are known to divide C
    const int64_t weight_channels = w->dim[out_axis == 0 ? 1 : 0];
    int64_t c = x->dim[1];
    if (c < 0 && (out_axis == 1 || !rml_i64_mul(weight_channels, conv->groups, &c)))
        c = weight_channels;
    bool fits = c >= 1 && c % conv->groups == 0 && w->dim[2] == conv->kernel[0] &&
                w->dim[3] == conv->kernel[1] &&
                weight_channels == (out_axis == 0 ? c / conv->groups : c);
    const int64_t o = !fits ? 0 : out_axis == 0 ? w->dim[0] : w->dim[1] * conv->groups;
    fits = fits && o >= 1 && o % conv->groups == 0;
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE,
                        "weight %s with groups %lld does not fit input %s and kernel %lldx%lld",
                        rml_shape_text(w, w_text), (long long)conv->groups,
                        rml_shape_text(x, x_text), (long long)conv->kernel[0],
                        (long long)conv->kernel[1]);
    if (in_count > 2 && in[2].rank >= 0 &&
        (in[2].rank != 1 || (in[2].dim[0] >= 0 && in[2].dim[0] != o)))
        return rml_fail(err, RML_ERR_SHAPE, "bias is %s, expected (%lld)",
                        rml_shape_text(&in[2], x_text), (long long)o);
    *out_channels = o;
    return RML_OK;
}

static rml_status infer(const rml_op_attr *attr, const rml_shape *in, int in_count, rml_shape *out,
                        rml_error *err)
{
    const rml_conv_attr *conv = &attr->conv;
    int64_t o = 0;
    RML_TRY(rml_conv_check(attr, in, in_count, 0, &o, err));
    *out = (rml_shape){4, {in[0].dim[0], o, 0, 0}};
    for (int axis = 0; axis < 2; axis++)
        RML_TRY(rml_window_size(in[0].dim[2 + axis], axis, conv->kernel, conv->stride, conv->pad,
                                conv->dilation, false, &out->dim[2 + axis], err));
    return rml_conv_check_residual(in, in_count, out, err);
}

rml_status rml_conv_check_residual(const rml_shape *in, int in_count, const rml_shape *out,
                                   rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    bool fits = in_count < 4 || in[3].rank < 0 || in[3].rank == out->rank;
    for (int i = 0; i < out->rank && fits && in_count > 3 && in[3].rank >= 0; i++)
        fits = in[3].dim[i] == out->dim[i] || in[3].dim[i] < 0 || out->dim[i] < 0;
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "residual is %s, the output %s",
                        rml_shape_text(&in[3], a), rml_shape_text(out, b));
    return RML_OK;
}

static uint64_t macs(const rml_op_args *args)
{
    return (uint64_t)rml_tensor_count(&args->out[0]) *
           (uint64_t)(args->in[1].dim[1] * args->in[1].dim[2] * args->in[1].dim[3]);
}

// ---- general: any kernel, stride, padding, dilation and groups ---------------------------------

static size_t taps_of(const rml_op_args *args)
{
    return (size_t)(args->attr->conv.kernel[0] * args->attr->conv.kernel[1]);
}

static size_t packed_bytes(const rml_op_args *args)
{
    const size_t groups = (size_t)args->attr->conv.groups;
    return rml_sat_mul(groups * sizeof(float),
                       rml_pack_count(&args->kernels->gemm_f32, taps_of(args),
                                      (size_t)args->in[1].dim[1],
                                      (size_t)args->out[0].dim[1] / groups));
}

typedef struct pack_job {
    const rml_op_args *args;
    const rml_constant *weight;
    float *packed, *rows; // rows: one panel's weights a worker
    size_t taps, depth, cols, panels;
} pack_job;

static void pack_panels(void *context, size_t begin, size_t end, int worker)
{
    const pack_job *job = context;
    const rml_kernels *kernels = job->args->kernels;
    const size_t row = job->taps * job->depth;
    float *rows = job->rows + (size_t)worker * kernels->gemm_f32.nr * row;
    for (size_t item = begin; item < end; item++) {
        const size_t group = item / job->panels, column = item % job->panels * kernels->gemm_f32.nr;
        const size_t count = rml_min_size(kernels->gemm_f32.nr, job->cols - column);
        float *dst = job->packed +
                     group * rml_pack_count(&kernels->gemm_f32, job->taps, job->depth, job->cols) +
                     column * row;
        rml_constant_read(job->weight, 0, (int64_t)(group * job->cols + column), (int64_t)count,
                          rows);
        rml_pack_panel(&kernels->gemm_f32, dst, rows, job->taps, job->depth, count, 1, job->taps,
                       row);
    }
}

static rml_status pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                       const rml_allocator *allocator, rml_error *err)
{
    const size_t groups = (size_t)args->attr->conv.groups;
    pack_job job = {.args = args,
                    .weight = weight,
                    .packed = packed,
                    .taps = taps_of(args),
                    .depth = (size_t)args->in[1].dim[1],
                    .cols = (size_t)args->out[0].dim[1] / groups};
    job.panels = (job.cols + args->kernels->gemm_f32.nr - 1) / args->kernels->gemm_f32.nr;
    const size_t bytes = rml_sat_mul(
        (size_t)args->threads * args->kernels->gemm_f32.nr * sizeof(float), job.taps * job.depth);
    job.rows = rml_alloc(allocator, bytes);
    if (!job.rows)
        return rml_fail_nomem(err, bytes, "packing weights");
    rml_pool_run(args->pool, groups * job.panels, 1, pack_panels, &job);
    rml_free(allocator, job.rows);
    return RML_OK;
}

static size_t scratch_bytes(const rml_op_args *args)
{
    return rml_igemm_scratch_bytes(&args->kernels->gemm_f32, args->threads, taps_of(args),
                                   (size_t)args->in[1].dim[1]);
}

static void run(const rml_op_args *args)
{
    const rml_conv_attr *conv = &args->attr->conv;
    const rml_tensor *out = &args->out[0];
    const size_t groups = (size_t)conv->groups;
    rml_igemm product = {
        .window = rml_window_conv(out, conv->kernel, conv->stride, conv->pad, conv->dilation),
        .in = &args->in[0],
        .out = out,
        .residual = rml_conv_residual(args),
        .gemm = &args->kernels->gemm_f32,
        .depth = (size_t)args->in[1].dim[1],
        .cols = (size_t)out->dim[1] / groups,
        .act = &conv->act};
    const float *bias = rml_conv_bias(args);
    const size_t group_count =
        rml_pack_count(&args->kernels->gemm_f32, taps_of(args), product.depth, product.cols);
    for (size_t group = 0; group < groups; group++) {
        product.in_channel = (int64_t)(group * product.depth);
        product.out_channel = (int64_t)(group * product.cols);
        product.packed = (const float *)args->packed + group * group_count;
        product.bias = bias ? bias + group * product.cols : NULL;
        rml_igemm_run(args, &product);
    }
}

static const rml_algorithm algorithms[] = {
    {.name = "depthwise",
     .accepts = rml_conv_dw_accepts,
     .packed_bytes = rml_conv_dw_packed_bytes,
     .pack = rml_conv_dw_pack,
     .scratch_bytes = rml_conv_dw_scratch_bytes,
     .run = rml_conv_dw_run},
    {.name = "winograd-4x4-3x3-bf16",
     .precision = RML_PRECISION_BF16,
     .row_unit = RML_WINOGRAD_OUT,
     .accepts = rml_conv_winograd_bf16_accepts,
     .packed_bytes = rml_conv_winograd_bf16_packed_bytes,
     .pack = rml_conv_winograd_bf16_pack,
     .scratch_bytes = rml_conv_winograd_bf16_scratch_bytes,
     .run = rml_conv_winograd_bf16_run},
    {.name = "winograd-4x4-3x3",
     .row_unit = RML_WINOGRAD_OUT,
     .accepts = rml_conv_winograd_accepts,
     .packed_bytes = rml_conv_winograd_packed_bytes,
     .pack = rml_conv_winograd_pack,
     .scratch_bytes = rml_conv_winograd_scratch_bytes,
     .run = rml_conv_winograd_run},
    {.name = "taps-as-columns",
     .accepts = rml_conv_few_accepts,
     .packed_bytes = rml_conv_few_packed_bytes,
     .pack = rml_conv_few_pack,
     .scratch_bytes = rml_conv_few_scratch_bytes,
     .run = rml_conv_few_run},
    {.name = "indirect-gemm-bf16",
     .precision = RML_PRECISION_BF16,
     .accepts = rml_conv_bf16_accepts,
     .packed_bytes = rml_conv_bf16_packed_bytes,
     .pack = rml_conv_bf16_pack,
     .scratch_bytes = rml_conv_bf16_scratch_bytes,
     .run = rml_conv_bf16_run},
    {.name = "indirect-gemm",
     .packed_bytes = packed_bytes,
     .pack = pack,
     .scratch_bytes = scratch_bytes,
     .run = run},
};

const rml_op rml_op_conv2d = {.name = "conv2d",
                              .min_inputs = 2,
                              .max_inputs = 4,
                              .layout = RML_OP_CHANNELS_LAST,
                              .packed_input = 1,
                              .infer = infer,
                              .macs = macs,
                              .algorithms = algorithms};
