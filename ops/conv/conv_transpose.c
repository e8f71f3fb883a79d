// 2-D transposed convolution, NCHW logic on channels-last memory.
//   x [N,C,H,W]   w [C,O/groups,Kh,Kw] (C first)   bias [O] and residual [N,O,Ho,Wo], optional
//   Ho = (H-1)*stride - pad_top - pad_bottom + dilation*(Kh-1) + out_pad + 1
// Source: torch.nn.ConvTranspose2d.
//
// Output pixels whose coordinates agree modulo the stride read the same taps, so each such phase is
// an ordinary stride-1 convolution over the input: no multiplication by zeros, no overlapping sums.
#include "ops/conv/conv.h"

#include "kernels/pack.h"
#include "ops/conv/igemm.h"
#include "tensor/size.h"

#define MAX_STRIDE 64 // phases lie in a table in scratch; networks use 1 to 4

static rml_status infer(const rml_op_attr *attr, const rml_shape *in, int in_count, rml_shape *out,
                        rml_error *err)
{
    static const char *const names[2] = {"height", "width"};
    const rml_conv_attr *conv = &attr->conv;
    int64_t o = 0;
    RML_TRY(rml_conv_check(attr, in, in_count, 1, &o, err));
    *out = (rml_shape){4, {in[0].dim[0], o, -1, -1}};
    for (int axis = 0; axis < 2; axis++) {
        const int64_t size = in[0].dim[2 + axis];
        int64_t checked;
        // the same limits as a convolution's, with an input that is large enough for any kernel
        RML_TRY(rml_window_size(-1, axis, conv->kernel, conv->stride, conv->pad, conv->dilation,
                                false, &checked, err));
        if (conv->stride[axis] > MAX_STRIDE || conv->out_pad[axis] < 0 ||
            (conv->out_pad[axis] >= conv->stride[axis] &&
             conv->out_pad[axis] >= conv->dilation[axis]))
            return rml_fail(
                err, RML_ERR_ARG,
                "%s: stride %lld (at most %d) and output padding %lld (less than stride "
                "or dilation)",
                names[axis], (long long)conv->stride[axis], MAX_STRIDE,
                (long long)conv->out_pad[axis]);
        if (size < 0)
            continue;
        const int64_t result =
            (size - 1) * conv->stride[axis] - conv->pad[axis] - conv->pad[axis + 2] +
            conv->dilation[axis] * (conv->kernel[axis] - 1) + conv->out_pad[axis] + 1;
        if (size < 1 || result < 1)
            return rml_fail(err, RML_ERR_SHAPE, "%s %lld gives an output of %lld", names[axis],
                            (long long)size, (long long)result);
        out->dim[2 + axis] = result;
    }
    return rml_conv_check_residual(in, in_count, out, err);
}

static uint64_t macs(const rml_op_args *args)
{
    return (uint64_t)rml_tensor_count(&args->in[0]) *
           (uint64_t)(args->in[1].dim[1] * args->in[1].dim[2] * args->in[1].dim[3]);
}

// The taps of one phase along one axis. Output y = phase + stride*j reads input (y + pad -
// dilation*k) / stride for the kernel elements k where that is whole: k0, k0 + k_step, ... Input
// coordinates fall as k rises, so taps are walked from the last k to the first.
typedef struct phase {
    int64_t count;          // taps; 0: this phase gets the bias only
    int64_t k_last, k_step; // kernel element of tap 0, and how much it falls a tap
    int64_t first, step;    // input offset of tap 0 relative to j, and how much it rises a tap
    int64_t outputs;        // positions j
} phase;

static phase phase_of(const rml_conv_attr *conv, int axis, int64_t at, int64_t out_size)
{
    const int64_t stride = conv->stride[axis], dilation = conv->dilation[axis];
    const int64_t pad = conv->pad[axis];
    phase p = {
        .step = 1, .k_step = 1, .outputs = at < out_size ? (out_size - at - 1) / stride + 1 : 0};
    int64_t k_first = -1;
    for (int64_t k = 0; k < conv->kernel[axis]; k++) {
        if ((at + pad - dilation * k) % stride != 0)
            continue;
        if (k_first < 0)
            k_first = k;
        else if (p.count == 1)
            p.k_step = k - k_first;
        p.k_last = k;
        p.count++;
    }
    if (p.count) {
        p.first = (at + pad - dilation * p.k_last) / stride;
        p.step = p.count > 1 ? dilation * p.k_step / stride : 1;
    }
    return p;
}

static size_t phase_count(const rml_conv_attr *conv)
{
    return (size_t)(conv->stride[0] * conv->stride[1]);
}

static size_t cols_of(const rml_op_args *args)
{
    return (size_t)args->in[1].dim[1];
}

static size_t depth_of(const rml_op_args *args)
{
    return (size_t)(args->in[1].dim[0] / args->attr->conv.groups);
}

// Packed: groups x phases, each a matrix of its own taps. All phases together have Kh*Kw taps.
static size_t packed_bytes(const rml_op_args *args)
{
    const rml_conv_attr *conv = &args->attr->conv;
    return rml_sat_mul((size_t)conv->groups * sizeof(float),
                       rml_pack_count(&args->kernels->gemm_f32,
                                      (size_t)(conv->kernel[0] * conv->kernel[1]), depth_of(args),
                                      cols_of(args)));
}

typedef struct pack_job {
    const rml_op_args *args;
    const rml_constant *weight;
    float *packed, *rows; // rows: weights of one panel, [C][count][Kh*Kw], a worker
    size_t panels;
} pack_job;

static void pack_panels(void *context, size_t begin, size_t end, int worker)
{
    const pack_job *job = context;
    const rml_op_args *args = job->args;
    const rml_conv_attr *conv = &args->attr->conv;
    const rml_kernels *kernels = args->kernels;
    const size_t depth = depth_of(args), cols = cols_of(args), groups = (size_t)conv->groups;
    const size_t kernel = (size_t)(conv->kernel[0] * conv->kernel[1]);
    const size_t group_count = rml_pack_count(&kernels->gemm_f32, kernel, depth, cols);
    float *rows = job->rows + (size_t)worker * groups * depth * kernels->gemm_f32.nr * kernel;
    for (size_t panel = begin; panel < end; panel++) {
        const size_t column = panel * kernels->gemm_f32.nr;
        const size_t count = rml_min_size(kernels->gemm_f32.nr, cols - column);
        const size_t pitch = rml_pack_pitch(&kernels->gemm_f32, count);
        rml_constant_read(job->weight, 1, (int64_t)column, (int64_t)count, rows);
        for (size_t group = 0; group < groups; group++) {
            float *matrix = job->packed + group * group_count;
            const float *src = rows + group * depth * count * kernel;
            for (int64_t at = 0; at < (int64_t)phase_count(conv); at++) {
                const phase y = phase_of(conv, 0, at / conv->stride[1], 1);
                const phase x = phase_of(conv, 1, at % conv->stride[1], 1);
                float *dst = matrix + column * (size_t)(y.count * x.count) * depth;
                for (int64_t ty = 0; ty < y.count; ty++)
                    for (int64_t tx = 0; tx < x.count; tx++, dst += depth * pitch) {
                        const int64_t ky = y.k_last - ty * y.k_step, kx = x.k_last - tx * x.k_step;
                        rml_pack_panel(&kernels->gemm_f32, dst, src + ky * conv->kernel[1] + kx, 1,
                                       depth, count, 0, count * kernel, kernel);
                    }
                matrix +=
                    rml_pack_count(&kernels->gemm_f32, (size_t)(y.count * x.count), depth, cols);
            }
        }
    }
}

static rml_status pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                       const rml_allocator *allocator, rml_error *err)
{
    const rml_conv_attr *conv = &args->attr->conv;
    pack_job job = {.args = args, .weight = weight, .packed = packed};
    job.panels = (cols_of(args) + args->kernels->gemm_f32.nr - 1) / args->kernels->gemm_f32.nr;
    const size_t bytes =
        rml_sat_mul((size_t)args->threads * args->kernels->gemm_f32.nr * sizeof(float),
                    (size_t)(args->in[1].dim[0] * conv->kernel[0] * conv->kernel[1]));
    job.rows = rml_alloc(allocator, bytes);
    if (!job.rows)
        return rml_fail_nomem(err, bytes, "packing weights");
    rml_pool_run(args->pool, job.panels, 1, pack_panels, &job);
    rml_free(allocator, job.rows);
    return RML_OK;
}

static size_t scratch_bytes(const rml_op_args *args)
{
    const rml_conv_attr *conv = &args->attr->conv;
    return rml_igemm_scratch_bytes(&args->kernels->gemm_f32, args->threads,
                                   (size_t)(conv->kernel[0] * conv->kernel[1]), depth_of(args));
}

static void run(const rml_op_args *args)
{
    const rml_conv_attr *conv = &args->attr->conv;
    const rml_tensor *out = &args->out[0];
    const float *bias = rml_conv_bias(args);
    const size_t depth = depth_of(args), cols = cols_of(args);
    for (size_t group = 0; group < (size_t)conv->groups; group++) {
        const float *packed =
            (const float *)args->packed +
            group * rml_pack_count(&args->kernels->gemm_f32,
                                   (size_t)(conv->kernel[0] * conv->kernel[1]), depth, cols);
        for (int64_t at = 0; at < (int64_t)phase_count(conv); at++) {
            const int64_t origin[2] = {at / conv->stride[1], at % conv->stride[1]};
            const phase y = phase_of(conv, 0, origin[0], out->dim[2]);
            const phase x = phase_of(conv, 1, origin[1], out->dim[3]);
            const rml_igemm product = {.window = {.rows = y.outputs,
                                                  .cols = x.outputs,
                                                  .step = {1, 1},
                                                  .first = {y.first, x.first},
                                                  .taps = {y.count, x.count},
                                                  .tap_step = {y.step, x.step},
                                                  .origin = {origin[0], origin[1]},
                                                  .out_step = {conv->stride[0], conv->stride[1]}},
                                       .in = &args->in[0],
                                       .out = out,
                                       .residual = rml_conv_residual(args),
                                       .in_channel = (int64_t)(group * depth),
                                       .out_channel = (int64_t)(group * cols),
                                       .depth = depth,
                                       .cols = cols,
                                       .gemm = &args->kernels->gemm_f32,
                                       .packed = packed,
                                       .bias = bias ? bias + group * cols : NULL,
                                       .act = &conv->act};
            rml_igemm_run(args, &product);
            packed +=
                rml_pack_count(&args->kernels->gemm_f32, (size_t)(y.count * x.count), depth, cols);
        }
    }
}

static const rml_algorithm algorithms[] = {{.name = "phases-indirect-gemm",
                                            .packed_bytes = packed_bytes,
                                            .pack = pack,
                                            .scratch_bytes = scratch_bytes,
                                            .run = run}};

const rml_op rml_op_conv_transpose2d = {.name = "conv_transpose2d",
                                        .min_inputs = 2,
                                        .max_inputs = 4,
                                        .layout = RML_OP_CHANNELS_LAST,
                                        .packed_input = 1,
                                        .infer = infer,
                                        .macs = macs,
                                        .algorithms = algorithms};
