// Convolution in bf16: the indirect product of pairs of channels, with f32 sums. One group; few
// channels stay f32, for at the ends of a network they carry most and cost least.
#include "ops/conv.h"

#include "kernels/pack.h"
#include "ops/igemm.h"
#include "ops/pairs.h"
#include "tensor/size.h"

#define LEAST_CHANNELS 16

static size_t taps_of(const rml_op_args *args)
{
    return (size_t)(args->attr->conv.kernel[0] * args->attr->conv.kernel[1]);
}

static size_t depth_of(const rml_op_args *args)
{
    return rml_pairs((size_t)args->in[0].dim[1]);
}

bool rml_conv_bf16_accepts(const rml_op_args *args)
{
    return rml_wants_bf16(args) && args->attr->conv.groups == 1 &&
           args->in[0].dim[1] >= LEAST_CHANNELS && args->out[0].dim[1] >= LEAST_CHANNELS;
}

size_t rml_conv_bf16_packed_count(const rml_op_args *args)
{
    return rml_pack_count(args->kernels, taps_of(args), depth_of(args),
                          (size_t)args->out[0].dim[1]);
}

typedef struct pack_job {
    const rml_op_args *args;
    const rml_constant *weight;
    float *packed, *rows; // rows: one panel's weights a worker
} pack_job;

static void pack_panels(void *context, size_t begin, size_t end, int worker)
{
    const pack_job *job = context;
    const rml_kernels *kernels = job->args->kernels;
    const size_t taps = taps_of(job->args), depth = (size_t)job->args->in[0].dim[1];
    float *rows = job->rows + (size_t)worker * kernels->nr * taps * depth;
    for (size_t panel = begin; panel < end; panel++) {
        const size_t column = panel * kernels->nr;
        const size_t count = rml_min_size(kernels->nr, (size_t)job->args->out[0].dim[1] - column);
        rml_constant_read(job->weight, 0, (int64_t)column, (int64_t)count, rows);
        rml_pairs_pack_panel(kernels, job->packed + column * taps * depth_of(job->args), rows, taps,
                             depth, count, 1, taps, taps * depth);
    }
}

rml_status rml_conv_bf16_pack(const rml_op_args *args, const rml_constant *weight, float *packed,
                              const rml_allocator *allocator, rml_error *err)
{
    pack_job job = {.args = args, .weight = weight, .packed = packed};
    const size_t cols = (size_t)args->out[0].dim[1];
    const size_t bytes = (size_t)args->threads * args->kernels->nr * taps_of(args) *
                         (size_t)args->in[0].dim[1] * sizeof(float);
    job.rows = rml_alloc(allocator, bytes);
    if (!job.rows)
        return rml_fail_nomem(err, bytes, "packing weights");
    rml_pool_run(args->pool, (cols + args->kernels->nr - 1) / args->kernels->nr, 1, pack_panels,
                 &job);
    rml_free(allocator, job.rows);
    return RML_OK;
}

size_t rml_conv_bf16_scratch_bytes(const rml_op_args *args)
{
    return rml_igemm_scratch_bytes(args->threads, taps_of(args), depth_of(args)) +
           rml_pairs_bytes(&args->in[0]);
}

void rml_conv_bf16_run(const rml_op_args *args)
{
    const rml_conv_attr *conv = &args->attr->conv;
    const rml_tensor *out = &args->out[0];
    const size_t used = rml_igemm_scratch_bytes(args->threads, taps_of(args), depth_of(args));
    const rml_tensor in = rml_pairs_make(args, &args->in[0], args->scratch + used);
    const rml_igemm product = {
        .window = rml_window_conv(out, conv->kernel, conv->stride, conv->pad, conv->dilation),
        .in = &in,
        .out = out,
        .residual = rml_conv_residual(args),
        .depth = depth_of(args),
        .cols = (size_t)out->dim[1],
        .pairs = true,
        .packed = args->packed,
        .bias = rml_conv_bias(args),
        .act = &conv->act};
    rml_igemm_run(args, &product, 1);
}
